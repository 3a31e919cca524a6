"""A private RabbitMQ: a node with ports, a name and a directory of its own, and its own `epmd`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services import free_port

STARTUP_SECONDS = 120.0  # Erlang, and a database of its own
_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # Debian's wrapper changes the user


@contextmanager
def private_rabbitmq() -> Iterator[str]:
    """The URL of an empty broker. Skips where RabbitMQ is not installed."""
    if not _PROGRAM.is_file():
        pytest.skip("rabbitmq-server is not installed")
    folder = Path(tempfile.mkdtemp(prefix="lipsum-rabbitmq-"))
    port = free_port()
    environment = _environment(folder, port)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [_PROGRAM],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, port, folder / "output")
        yield f"amqp://guest:guest@127.0.0.1:{port}//"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(STARTUP_SECONDS)
        subprocess.run(["epmd", "-kill"], env=environment, check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _environment(folder: Path, port: int) -> dict[str, str]:
    plugins = folder / "enabled_plugins"
    plugins.write_text("[].")
    configuration = folder / "rabbitmq.conf"
    configuration.write_text(f"listeners.tcp.local = 127.0.0.1:{port}\n")
    return {
        **os.environ,
        "HOME": str(folder),  # of Erlang's cookie
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(free_port()),
        "RABBITMQ_NODENAME": f"lipsum-{port}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_BASE": str(folder),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(configuration.with_suffix("")),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    """Until it says who it is to a client that says hello."""
    from amqp import Connection

    deadline = time.monotonic() + STARTUP_SECONDS
    while True:
        try:
            with Connection(f"127.0.0.1:{port}", "guest", "guest", connect_timeout=5):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(output.read_text(errors="replace")[-2000:]) from None
            time.sleep(0.2)
