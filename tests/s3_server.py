"""A real S3 server for tests: OpenStack Swift with its S3 interface, started privately.

Four plain processes on loopback, installed from wheels into an environment of their own that later
runs find again. Unlike AWS, a conditional create is check-then-write (never a lock), and there are
no tags, policies or encryption. Linux only, on a disk with extended attributes.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

VERSION = "2.38.3"
STARTUP_SECONDS = 60.0
ACCESS_KEY, SECRET_KEY, REGION = "test-key", "test-secret", "us-east-1"
_KINDS = ("object", "container", "account", "proxy")

_LAUNCHER = '''
"""CONF KIND: one Swift server in the foreground, configured from this directory alone."""
import os, sys
conf, kind = sys.argv[1:]
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
from swift.common import utils
utils.set_swift_dir(here)
from swift.common.wsgi import run_wsgi
extra = {}
if kind == "object":
    from swift.obj.server import global_conf_callback
    extra["global_conf_callback"] = global_conf_callback
sys.exit(run_wsgi(conf, kind + "-server", verbose=True, **extra))
'''

_AUTHENTICATION = '''
"""Swift's own `tempauth`, which wants keys of the form account:user, with a plain one."""
from swift.common.middleware.tempauth import TempAuth

class NoCache:
    get = set = incr = decr = delete = lambda self, *args, **kwargs: None

class S3Auth(TempAuth):
    def __init__(self, app, conf):
        TempAuth.__init__(self, app, conf)
        url = "$HOST/v1/%stest" % self.reseller_prefix
        self.users[conf["access"]] = {"key": conf["secret"], "url": url, "groups": [".admin"]}

    def _get_user_groups(self, account, account_user, account_id):
        return ",".join([account, account_user, account_id])

    def get_groups(self, env, token):
        env.setdefault("swift.cache", NoCache())
        try:
            return TempAuth.get_groups(self, env, token)
        finally:
            env.pop("swift.cache", None)

def filter_factory(global_conf, **local_conf):
    return lambda app: S3Auth(app, dict(global_conf, **local_conf))
'''

_RINGS = """
import os, sys
from swift.common.ring import RingBuilder
folder, *ports = sys.argv[1:]
for kind, port in zip(("object", "container", "account"), map(int, ports)):
    ring = RingBuilder(4, 1, 0)
    place = {"ip": "127.0.0.1", "port": port}
    replication = {"replication_" + name: value for name, value in place.items()}
    ring.add_dev({"id": 0, "region": 1, "zone": 1, "device": "d1", "weight": 1.0, "meta": "",
                  **place, **replication})
    ring.rebalance(seed=1)
    ring.get_ring().save(os.path.join(folder, kind + ".ring.gz"))
"""

_FILTERS = """
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = {region}
[filter:s3auth]
paste.filter_factory = s3auth:filter_factory
access = {access}
secret = {secret}
[filter:bulk]
use = egg:swift#bulk
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
allow_async_delete = false
[filter:dlo]
use = egg:swift#dlo
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
# The one disk is not shunned for a minute because it was full once.
error_suppression_interval = 1
"""


@dataclass(frozen=True)
class S3Server:
    """A running server."""

    endpoint: str

    def settings(self) -> dict[str, Any]:
        """What the service's settings take to use it."""
        return {
            "s3_endpoint": self.endpoint,
            "s3_region": REGION,
            "s3_access_key_id": ACCESS_KEY,
            "s3_secret_access_key": SECRET_KEY,
        }

    def client(self) -> Any:
        """A `boto3` client."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )

    def make_bucket(self, name: str) -> str:
        self.client().create_bucket(Bucket=name)
        return name


class SwiftServer:
    """The four processes over a directory of their own, which may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        """Skips where Swift can neither be found nor installed."""
        self._folder, self._python = folder, _installed()
        self._ports = dict(zip(_KINDS, _free_ports(len(_KINDS)), strict=True))
        self._processes: list[subprocess.Popen[bytes]] = []
        _configure(folder, self._python, self._ports)

    @property
    def port(self) -> int:
        return self._ports["proxy"]

    @property
    def pids(self) -> list[int]:
        """Of what runs now."""
        return [process.pid for process in self._processes]

    def start(self) -> S3Server:
        """Returns when all four listen."""
        self._processes = [_start(self._folder, self._python, kind) for kind in _KINDS]
        for kind, process in zip(_KINDS, self._processes, strict=True):
            _wait_for(process, self._ports[kind], self._folder / f"{kind}.log")
        return S3Server(f"http://127.0.0.1:{self.port}")

    def kill(self) -> None:
        """Ends all four at once; requests under way are lost."""
        for process in self._processes:
            os.killpg(process.pid, signal.SIGKILL)
        for process in self._processes:
            process.wait()
        self._processes = []

    def stop(self) -> None:
        """In order; what does not end by itself is killed."""
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._processes = []


@contextmanager
def private_s3() -> Iterator[S3Server]:
    """An empty server for the block's duration; the test is skipped where none can be installed."""
    folder = Path(tempfile.mkdtemp(prefix="lipsum-s3-"))
    server = SwiftServer(folder)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with private_s3() as server:
        yield server


def _installed() -> str:
    """The interpreter of an environment that has Swift, made now if need be."""
    home = Path(tempfile.gettempdir()) / f"lipsum-swift-{VERSION}-{os.getuid()}"
    python = home / "bin" / "python"
    if (home / "ready").is_file():
        return str(python)
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True)
    wanted = [str(python), "-m", "pip", "install", "-q", f"swift=={VERSION}"]
    done = subprocess.run(wanted, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"OpenStack Swift cannot be installed: {done.stderr.strip()[-200:]}")
    (home / "ready").touch()
    return str(python)


def _configure(folder: Path, python: str, ports: dict[str, int]) -> None:
    (folder / "disks" / "d1").mkdir(parents=True, exist_ok=True)
    (folder / "launch.py").write_text(_LAUNCHER)
    (folder / "s3auth.py").write_text(_AUTHENTICATION)
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = test\n"
        "[storage-policy:0]\nname = Policy-0\ndefault = yes\n"
    )
    pipeline = "catch_errors gatekeeper listing_formats s3api s3auth bulk copy slo dlo proxy-server"
    for kind, port in ports.items():
        common = {
            "bind_ip": "127.0.0.1",
            "bind_port": port,
            "user": pwd.getpwuid(os.getuid()).pw_name,
            "swift_dir": folder,
            "devices": folder / "disks",
            "mount_check": "false",
            "disable_fallocate": "true",
            "fallocate_reserve": 0,
            "workers": 0,
            "log_address": folder / "no-syslog",
        }
        lines = ["[DEFAULT]", *(f"{name} = {value}" for name, value in common.items())]
        chain = pipeline if kind == "proxy" else f"{kind}-server"
        lines += ["[pipeline:main]", f"pipeline = {chain}"]
        if kind == "proxy":
            lines.append(_FILTERS.format(region=REGION, access=ACCESS_KEY, secret=SECRET_KEY))
        else:
            lines += [f"[app:{kind}-server]", f"use = egg:swift#{kind}"]
        if kind == "object":
            lines.append("container_update_timeout = 15")
        (folder / f"{kind}.conf").write_text("\n".join(lines) + "\n")
    rings = [str(ports[kind]) for kind in ("object", "container", "account")]
    subprocess.run([python, "-c", _RINGS, str(folder), *rings], check=True)


def _start(folder: Path, python: str, kind: str) -> subprocess.Popen[bytes]:
    with (folder / f"{kind}.log").open("wb") as log:
        return subprocess.Popen(
            [python, str(folder / "launch.py"), str(folder / f"{kind}.conf"), kind],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(log.read_text()[-2000:])


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def main() -> None:
    """By hand: run a server until the standard input ends; prints its settings."""
    with private_s3() as server:
        print(json.dumps(server.settings()), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
