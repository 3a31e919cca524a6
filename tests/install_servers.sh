#!/usr/bin/env bash
# The servers that tests start privately, and the browser that they drive, from Debian's packages where
# that may be done. What is missing afterwards is named by the tests that were left out.
set -euo pipefail

missing=()
[[ -n "$(command -v postgres || ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null)" ]] ||
    missing+=(postgresql)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v rabbitmq-server >/dev/null || missing+=(rabbitmq-server)
command -v chromium >/dev/null || missing+=(chromium)
[[ ${#missing[@]} -gt 0 ]] || exit 0

if command -v apt-get >/dev/null && [[ "$(id -u)" == 0 ]]; then
    echo "installing ${missing[*]}"
    # Installed packages start servers of their own, on ports that tests leave alone.
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" ||
        echo "could not be installed: ${missing[*]}"
else
    echo "not installed, and this is not root on Debian: ${missing[*]}"
fi
