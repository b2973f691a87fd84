#!/bin/sh
# What every make target needs first: Debian packages and .venv. Quick when all is there; `--with-tests` and
# `--with-bench` add what these need.
set -eu
cd "$(dirname "$0")/.."

python=""
for name in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
    if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
        python=$name
        break
    fi
done
if [ -z "$python" ]; then
    echo "Python 3.11, 3.12 or 3.13 is needed (PYTHON=... names one)." >&2
    exit 1
fi

"$python" local/packages.py "$@"

if ! .venv/bin/python -c '' 2>/dev/null; then
    echo "Making .venv"
    rm -rf .venv
    "$python" -m venv .venv
fi
# The copy is made last, so that an install that was cut off is done again.
if ! cmp -s requirements/dev.txt .venv/installed.txt; then
    echo "Installing Python packages into .venv; this takes a minute or two."
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
    cp requirements/dev.txt .venv/installed.txt
fi
