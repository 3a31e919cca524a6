#!/usr/bin/env bash
# Make .venv with the locked dependencies. uv installs where it is there or can be had;
# otherwise pip does the same from the same file.
set -euo pipefail
cd "$(dirname "$0")"
python="${PYTHON:-python3}"

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed; '$python' is $("$python" --version). Set PYTHON=..." >&2
    exit 1
}
# An environment that another tool made may lack pip; making it again adds it.
.venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv .venv

uv="$(command -v uv || true)"
if [ -z "$uv" ] && .venv/bin/python -m pip install --quiet uv 2>/dev/null; then
    uv=.venv/bin/uv
fi

if [ -n "$uv" ]; then
    "$uv" pip install --quiet --python .venv/bin/python --require-hashes -r requirements.lock
    "$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
else
    .venv/bin/python -m pip install --quiet --require-hashes -r requirements.lock
    .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
fi
.venv/bin/python -c 'import torch, torchvision, open_clip' # the pair fits
PYTHONDONTWRITEBYTECODE= .venv/bin/python -c 'import api.app' # compiled now, not at the first start
echo "ready: .venv/bin/lipsum"
