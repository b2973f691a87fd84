"""Debian packages that one machine needs: installed as root, or named in the line to type.

`python3 local/packages.py [--with-tests] [--with-bench]`. Needs nothing but Python itself, as it runs before there is a
.venv.
"""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys

# Package to what is looked for: a program, or a library.
NEEDED = {
    "mariadb-server-core": "mariadbd",
    "mariadb-client-core": "my_print_defaults",
    "rabbitmq-server": "rabbitmq-server",
    "nginx": "nginx",
    "libmp3lame0": "libmp3lame.so.0",
    "libebur128-1": "libebur128.so.1",
    "util-linux": "setpriv",
}
TESTS = {"mpg123": "mpg123", "ffmpeg": "ffprobe"}  # they read what the converter wrote, and share no code with it
BENCH = {"ffmpeg": "ffmpeg"}
MORE = {"--with-tests": TESTS, "--with-bench": BENCH}
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
# A policy-rc.d that says 101 keeps packages from starting their servers for the whole machine; one that is there stays.
INSTALL = """
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\\nexit 101\\n' > $policy && chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
install() { apt-get install --yes -qq -o Dpkg::Use-Pty=0 --no-install-recommends "$@"; }
install "$@" || { apt-get update -qq && install "$@"; }
"""


def missing(needed: dict[str, str]) -> list[str]:
    """The packages of which something is not there."""
    found = [package for package, what in needed.items() if not _there(what)]
    if importlib.util.find_spec("ensurepip") is None and sys.prefix == sys.base_prefix:
        found.append(f"python{sys.version_info.major}.{sys.version_info.minor}-venv")
    return found


def _there(what: str) -> bool:
    if ".so" not in what:
        return shutil.which(what, path=PATH) is not None
    try:
        ctypes.CDLL(what)
    except OSError:
        return False
    return True


def ensure(*more: str) -> bool:
    """Installs what is missing if that is allowed; whether all is there now. Says what it does, or what to do.

    `more` are words of MORE.
    """
    needed = NEEDED.copy()
    for word in more:
        needed |= MORE[word]
    packages = missing(needed)
    if not packages:
        return True
    if shutil.which("apt-get") is None:
        wanted = ", ".join(needed[package] for package in packages if package in needed)
        print(f"Missing on this machine: {wanted}. Debian's packages are {' '.join(packages)}.", file=sys.stderr)
        return False
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if prefix and not _may_sudo():
        print(f"Missing Debian packages. Type this, then try again:\n\n    {_line(packages)}\n", file=sys.stderr)
        return False
    print(f"Installing Debian packages, starting none of their services: {' '.join(packages)}", flush=True)
    subprocess.run([*prefix, "sh", "-c", INSTALL, "install", *packages], check=False, stdout=sys.stderr)
    if still := missing(needed):
        print(f"These packages could not be installed: {' '.join(still)}", file=sys.stderr)
    return not still


def _may_sudo() -> bool:
    if shutil.which("sudo") is None:
        return False
    return subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True).returncode == 0


def _line(packages: list[str]) -> str:
    return f"sudo apt-get install --no-install-recommends {' '.join(packages)}"


if __name__ == "__main__":
    sys.exit(0 if ensure(*sys.argv[1:]) else 1)
