#!/usr/bin/env bash
# Write the lock files anew from pyproject.toml. Needs uv; run it when a dependency changes.
set -euo pipefail
cd "$(dirname "$0")"
compile() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-annotate --no-header pyproject.toml "$@"
}
compile --all-extras --group dev -o requirements.lock  # everything, for developers and CI
compile --extra learning --extra tracking -o docker/requirements-worker.lock -c requirements.lock
compile -o docker/requirements-api.lock -c requirements.lock
