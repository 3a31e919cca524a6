"""What the relays understand of what passes, and what they do to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.chaos.wire import Relay, Request, read

ATTEMPT = b"/chaos/lipsum/jobs/ftjob-abc/attempts/2"
PUBLISH = b"Q\0UPDATE jobs SET status=$1\0succeeded\0ftjob-abc\0"
LIST = b"Q\0SELECT id FROM jobs WHERE status IN ($1)\0succeeded\0cancelled\0ftjob-abc\0"


@pytest.mark.parametrize(
    ("sent", "aim", "step"),
    [
        (b"PUT %s/checkpoints/run-0-step-40.safetensors HTTP/1.1\r\n", "checkpoint_write", 40),
        (b"PUT %s/checkpoints/run-0-finished.safetensors HTTP/1.1\r\n", "checkpoint_write", None),
        (b"PUT %s/model.tar HTTP/1.1\r\n", "artifact_upload", None),
        (b"POST %s/model.tar?uploads HTTP/1.1\r\n", "artifact_upload", None),
        (b"DELETE %s/model.tar HTTP/1.1\r\n", "purge", None),
        (b"GET %s/model.tar HTTP/1.1\r\n", None, None),
    ],
)
def test_requests_to_the_store(sent: bytes, aim: str | None, step: int | None) -> None:
    found = read([], sent % ATTEMPT)
    assert (found.aim, found.job, found.step) == (aim, "ftjob-abc", step) if found else aim is None


def test_many_deletions_in_one_request() -> None:
    body = b"<Delete><Object><Key>lipsum/jobs/ftjob-abc/attempts/1/x</Key></Object></Delete>"
    found = read([], b"POST /chaos?delete HTTP/1.1\r\nhost: here\r\n\r\n" + body)
    assert found is not None
    assert (found.aim, found.job) == ("purge", "ftjob-abc")


@pytest.mark.parametrize(
    ("messages", "aims"),
    [
        ([PUBLISH, b"Q\0COMMIT\0", b"Q\0COMMIT\0"], [None, "publication", None]),
        ([PUBLISH + b"Q\0COMMIT\0"], ["publication"]),
        ([PUBLISH, b"Q\0ROLLBACK\0", b"Q\0COMMIT\0"], [None, None, None]),
        ([LIST, b"Q\0COMMIT\0"], [None, None]),
    ],
)
def test_transactions(messages: list[bytes], aims: list[str | None]) -> None:
    publishing: list[str] = []
    found = [read(publishing, message) for message in messages]
    assert [one and one.aim for one in found] == aims


@pytest.fixture
def server() -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers every message with its length: its port, and what it was sent."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(1000):
                    heard.append(data)
                    connection.sendall(b"%d" % len(data))

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1], heard
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_a_relay_passes_on_what_it_shows(server: tuple[int, list[bytes]]) -> None:
    shown: list[Request] = []
    relay = Relay(server[0], shown.append)
    put = b"PUT %s/model.tar HTTP/1.1\r\n" % ATTEMPT
    with socket.create_connection(("127.0.0.1", relay.port)) as client:
        client.sendall(put)
        assert client.recv(10) == b"%d" % len(put)
    assert [request.what for request in shown] == ["PUT model.tar"]
    relay.close()


def test_a_lost_answer_was_asked_for(server: tuple[int, list[bytes]]) -> None:
    def lose(request: Request) -> None:
        request.loses_answer = True

    relay = Relay(server[0], lose)
    with socket.create_connection(("127.0.0.1", relay.port)) as client:
        client.sendall(PUBLISH)
        assert client.recv(10)
        client.sendall(b"Q\0COMMIT\0")
        assert client.recv(10) == b""
    assert server[1] == [PUBLISH, b"Q\0COMMIT\0"]
    relay.close()


def test_a_cut_line_takes_nobody_until_it_is_mended(server: tuple[int, list[bytes]]) -> None:
    relay = Relay(server[0])
    with socket.create_connection(("127.0.0.1", relay.port)) as client:
        client.sendall(b"one")
        assert client.recv(10) == b"3"
        relay.cut()
        assert client.recv(10) == b""
    with socket.create_connection(("127.0.0.1", relay.port)) as client:
        assert client.recv(10) == b""
    relay.mend()
    with socket.create_connection(("127.0.0.1", relay.port)) as client:
        client.sendall(b"four")
        assert client.recv(10) == b"4"
    relay.close()
