"""`python -m knative.secrets OVERLAY [--rotate NAME]` makes the secrets that an overlay needs and the cluster lacks.

What is there stays, unless --rotate names it. Exit codes: 0 done, 1 failed, 2 wrong usage.
"""

import argparse
import base64
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from knative.cluster import Cluster, ClusterError, Object
from knative.credentials import FIXED, NAMES, ROOT, MissingError, wanted
from knative.objects import namespace
from knative.render import OverlayError, RenderError, folder, render

DONE, FAILED, USAGE = 0, 1, 2
MANAGER = "video-to-mp3-secrets"
LABELS = {"app.kubernetes.io/part-of": "video-to-mp3"}
AFTER_ROTATION = """\
A running program keeps what it started with. For databases and the broker in the cluster: restart the broker
(`kubectl rollout restart statefulset rabbitmq`), and run the migration again (delete the job `migrate`), which gives
the accounts their new passwords; then deploy new revisions. docs/operations.md has the order for each secret."""


def main(words: list[str] | None = None) -> int:
    """Runs the command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m knative.secrets", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("overlay", help="local, external, production, or the path of a folder with a kustomization")
    parser.add_argument("--rotate", choices=NAMES, action="append", default=[], help="make this one anew; repeatable")
    arguments = parser.parse_args(words)
    try:
        things = render(folder(arguments.overlay))
        make(Cluster(), things, arguments.rotate, os.environ)
    except OverlayError as error:
        print(error, file=sys.stderr)
        return USAGE
    except (MissingError, RenderError, ClusterError, OSError, ValueError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return FAILED
    return DONE


def make(cluster: Cluster, things: list[Object], rotated: Iterable[str], given: Mapping[str, str]) -> None:
    """Brings the secrets to what they should be, and says what became of each. Raises MissingError, ClusterError."""
    where = namespace(things)
    there = {name: _values(cluster.get("v1", "Secret", name, where)) for name in NAMES}
    known = {name: _kept(name, values) if name in rotated else values for name, values in there.items()}
    keys = Path(given.get("KEYS") or ROOT / "keys")
    secrets = wanted(inside(things), given, known, keys)
    if cluster.get("v1", "Namespace", where) is None:
        for thing in things:
            if thing["kind"] == "Namespace":
                cluster.apply(thing)
    for name, values in secrets.items():
        if values != there[name]:
            cluster.apply(_secret(name, where, values), manager=MANAGER)
        print(f"{name}: {_outcome(there[name], values)}")
    if rotated:
        print(AFTER_ROTATION)


def inside(things: Iterable[Object]) -> set[str]:
    """The names of what an overlay itself runs, such as mysql: the passwords of those are ours to make."""
    return {thing["metadata"]["name"] for thing in things if thing["kind"] in ("StatefulSet", "Deployment")}


def _kept(name: str, values: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in values.items() if key in FIXED.get(name, ())}


def _values(secret: Object | None) -> dict[str, str]:
    return {key: base64.b64decode(text).decode() for key, text in ((secret or {}).get("data") or {}).items()}


def _secret(name: str, where: str, values: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": where, "labels": LABELS},
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in values.items()},
    }


def _outcome(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    if before == after:
        return "as it was"
    return "changed" if before else "made"


if __name__ == "__main__":
    sys.exit(main())
