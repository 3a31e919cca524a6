"""The doorbell: a Celery message, without arguments, that tells a worker to look at the jobs.

What both who rings (the API, the sweeper) and who listens (the worker) must agree on is here.
Ringing is speed, not truth: a lost ring costs a poll's wait, a doubled one nothing. So a ring
is tried once, with short timeouts, and its failure is an answer and not an exception.
"""

from __future__ import annotations

import os
import threading
import uuid
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from core.settings import Settings

QUEUE_NAME = "lipsum.doorbell"
TASK_NAME = "lipsum.wake"
TIMEOUT = 0.4  # seconds for the broker to take a connection, and then the message


def ring(settings: Settings) -> bool:
    """Rings once; whether the broker took it. Never raises, never blocks longer than a second.

    The connection is kept for the next ring and shared by the process's threads.
    """
    return _doorbell(broker_url(settings), settings.broker_directory).ring()


def broker_url(settings: Settings) -> str:
    """The broker as Celery names it: the settings' own, or a directory."""
    return settings.broker_url or "filesystem://"


def transport_options(url: str, directory: Path) -> dict[str, Any]:
    """The broker's options, for those who ring and those who listen. Makes the folders."""
    if not url.startswith("filesystem:"):
        return {}
    messages, control = directory / "messages", directory / "control"
    for folder in (messages, control):
        folder.mkdir(parents=True, exist_ok=True)
    return {
        "data_folder_in": str(messages),
        "data_folder_out": str(messages),
        "control_folder": str(control),
        "polling_interval": 0.1,
    }


class _Doorbell:
    """One connection to the broker, made at the first ring and again after a failure."""

    def __init__(self, url: str, directory: Path) -> None:
        self._url = url
        self._directory = directory
        self._lock = threading.Lock()
        self._producer: Any = None  # kombu's types are not ones a checker can use

    def ring(self) -> bool:
        if not self._lock.acquire(timeout=TIMEOUT):
            return False  # another thread waits for a broker that does not answer
        try:
            if self._producer is None:
                self._producer = self._connect()
            _publish(self._producer)
        except Exception:  # kombu's transports raise what their clients raise
            self._disconnect()
            return False
        finally:
            self._lock.release()
        return True

    def _connect(self) -> Any:
        return _make_connection(self._url, self._directory).Producer(serializer="json")

    def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(Exception):
                producer.connection.release()


@lru_cache(maxsize=8)
def _doorbell(url: str, directory: Path) -> _Doorbell:
    return _Doorbell(url, directory)


def _make_connection(url: str, directory: Path) -> Any:
    kombu: Any = import_module("kombu")  # at the first ring: the API starts without it
    options = transport_options(url, directory)
    if url.startswith("filesystem:"):
        return kombu.Connection(url, transport=_atomic_filesystem(), transport_options=options)
    options |= {
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "max_retries": 0,
        "interval_start": 0,
        "connect_retries_timeout": TIMEOUT,
    }
    return kombu.Connection(url, connect_timeout=TIMEOUT, transport_options=options)


def _publish(producer: Any) -> None:
    """A task message of Celery's protocol, version 2, straight to the queue."""
    task_id = str(uuid.uuid4())
    producer.publish(
        [[], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}],
        exchange="",
        routing_key=QUEUE_NAME,
        headers={
            "lang": "py",
            "task": TASK_NAME,
            "id": task_id,
            "root_id": task_id,
            "parent_id": None,
            "group": None,
            "ignore_result": True,
        },
        correlation_id=task_id,
        retry=False,
    )


@lru_cache(maxsize=1)
def _atomic_filesystem() -> type:
    """kombu's directory broker, except that a message appears whole: kombu's own writer may be
    overtaken by a reader that takes the file while it is still empty.
    """
    filesystem: Any = import_module("kombu.transport.filesystem")
    dumps: Any = import_module("kombu.utils.json").dumps

    class Channel(filesystem.Channel):  # type: ignore[misc]
        def _put(self, queue: str, payload: Any, **_options: Any) -> None:
            name = f"{uuid.uuid4()}.{queue}.msg"
            folder = Path(self.data_folder_out)
            part = folder / f".{name}.part"
            part.write_text(dumps(payload))
            os.replace(part, folder / name)

    return type("Transport", (filesystem.Transport,), {"Channel": Channel})
