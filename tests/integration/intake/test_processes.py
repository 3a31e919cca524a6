"""Several API processes over one database and store, and one that is killed in the middle."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import update

from core.records.tables import Upload
from tests.api_process import api_process, start
from tests.services import Overrides, free_port

MIB = 1 << 20


def test_parts_go_to_any_process(tmp_path: Path, of_database: Overrides) -> None:
    with api_process(tmp_path, **of_database()) as first:
        settings = first.settings.model_copy(update={"port": free_port()})
        other = start(settings)
        try:
            clients = [
                first.openai(),
                first.openai().with_options(base_url=f"http://127.0.0.1:{settings.port}/v1"),
            ]
            content = bytes(range(256)) * 40_000
            created = clients[0].uploads.create(
                bytes=len(content), filename="a", mime_type="x/y", purpose="user_data"
            )
            ids = [
                clients[number % 2]
                .uploads.parts.create(created.id, data=content[start_at:][:MIB])
                .id
                for number, start_at in enumerate(range(0, len(content), MIB))
            ]
            answers: list[Any] = []
            threads = [
                threading.Thread(
                    target=lambda client=client: answers.append(
                        client.uploads.complete(created.id, part_ids=ids)
                    )
                )
                for client in clients
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len({answer.file.id for answer in answers}) == 1
            assert len(list(clients[0].files.list())) == 1
            assert clients[1].files.content(answers[0].file.id).read() == content
        finally:
            other.terminate()
            other.wait(20)


def test_a_completion_that_was_killed_is_done_by_the_next(
    tmp_path: Path, of_database: Overrides
) -> None:
    content = bytes(range(256)) * (120 * MIB // 256)
    with api_process(tmp_path, **of_database()) as api:
        client = api.openai(max_retries=0)
        created = client.uploads.create(
            bytes=len(content), filename="a", mime_type="x/y", purpose="user_data"
        )
        ids = [
            client.uploads.parts.create(created.id, data=content[start_at : start_at + 30 * MIB]).id
            for start_at in range(0, len(content), 30 * MIB)
        ]
        url = f"{api.address}/v1/uploads/{created.id}/complete"
        headers = {"authorization": f"Bearer {api.key}"}

        def complete() -> None:
            with suppress(httpx.TransportError):
                httpx.post(url, json={"part_ids": ids}, headers=headers, timeout=60)

        asking = threading.Thread(target=complete)
        asking.start()
        while not any(path.stat().st_size for path in api.settings.spool_directory.iterdir()):
            time.sleep(0.001)  # until the parts are being put together
        api.process.send_signal(signal.SIGKILL)
        asking.join()
        assert api.process.wait() == -signal.SIGKILL
        api.process = start(api.settings)
        assert client.get(f"/uploads/{created.id}", cast_to=dict[str, Any])["status"] == "pending"
        with api.database.write() as session:  # the dead process is not waited for
            session.execute(update(Upload).values(completing_until=1.0))
        done = client.uploads.complete(
            created.id, part_ids=ids, md5=hashlib.md5(content).hexdigest()
        )
        assert done.file is not None
        assert [file.id for file in client.files.list()] == [done.file.id]
