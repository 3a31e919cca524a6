"""What a client has already is not sent again, and what broke off is gone on with: every route."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from starlette.responses import Response

from api.app import create_app
from core.records import comparisons, files, job_logs, jobs
from tests import service_builders as build
from tests.api_service import Service, add_base, dataset, make_settings

DOWNLOADS = {
    "/v1/datasets/{dataset_id}/contact-sheet",
    "/v1/files/{file_id}/content",
    "/v1/models/{model_id}/weights",
    "/v1/models/{model_id}/files/{name}",
    "/v1/comparisons/{comparison_id}/report",
    "/v1/fine_tuning/jobs/{job_id}/logs",
}
MADE_ANEW = {  # each time: a part of one has no rest
    "/metrics",
    "/v1/fine_tuning/jobs/{job_id}/predictions/sheet",
    # The page's own files, which nobody fetches in parts.
    "/static/{version}/vega.js",
    "/static/{version}/charts/{chart}.json",
    "/static/{version}/{asset}",
}


_REQUEST = {"model": "base:tiny", "training_file": "file-1", "methods": ["ft"]}


class World:
    """One of everything, and where it is read."""

    def __init__(self, service: Service) -> None:
        self.service = service
        add_base(service.database, service.store, tar=b"0123456789" * 20)
        self.file = service.upload(b"content of a file", "user_data")["id"]
        job = build.job(service.database, service.project_id)
        held = build.claim(service.database)
        stored = service.store.put_bytes("jobs/x/report.json", b'{"verdict": "take ft"}')
        with service.database.write() as session:
            job_logs.append(session, held, b"line one\nline two\n")
            comparisons.create(
                session,
                service.project_id,
                "cmp-1",
                _REQUEST,
                [{"label": "ft", "method": {"type": "ft"}, "of": [], "job_id": job.id}],
            )
            comparisons.set_report(session, "cmp-1", job.id)
            files.create(
                session,
                service.project_id,
                filename="comparison.json",
                purpose="fine-tune-results",
                size=stored.size,
                sha256=stored.sha256,
                object_key=stored.key,
                job_id=job.id,
            )
        self.ids = {
            "file_id": self.file,
            "model_id": "base:tiny",
            "name": "README.md",
            "comparison_id": "cmp-1",
            "job_id": job.id,
            "dataset_id": service.upload(dataset())["dataset"]["version"],
        }

    def url(self, path: str) -> str:
        query = "?split=test" if path.endswith("contact-sheet") else ""
        return path.format(**self.ids) + query


@pytest.fixture(scope="module")
def world(service: Service) -> World:
    return World(service)


def test_every_download_is_among_those_tested() -> None:
    found = set()
    for context in iter_route_contexts(create_app(make_settings(Path("nowhere"))).routes):
        responses: dict[Any, Any] = context.responses or {}
        if "GET" in (context.methods or ()) and 206 in responses:
            found.add(str(context.path_format))
        elif "GET" in (context.methods or ()) and context.path_format not in MADE_ANEW:
            assert context.response_class is not Response, f"{context.path} takes no ranges"
    assert found == DOWNLOADS


@pytest.mark.parametrize("path", sorted(DOWNLOADS))
class TestADownload:
    def test_is_gone_on_with_where_it_broke_off(self, world: World, path: str) -> None:
        url, get = world.url(path), world.service.client.get
        whole = get(url)
        assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
        assert len(whole.content) > 4
        etag, half = whole.headers["etag"], len(whole.content) // 2
        rest = get(url, headers={"range": f"bytes={half}-", "if-range": etag})
        assert (rest.status_code, rest.content) == (206, whole.content[half:])
        size = len(whole.content)
        assert rest.headers["content-range"] == f"bytes {half}-{size - 1}/{size}"
        other = get(url, headers={"range": f"bytes={half}-", "if-range": '"other"'})
        assert (other.status_code, other.content) == (200, whole.content)

    def test_is_not_sent_to_who_has_it(self, world: World, path: str) -> None:
        url, get = world.url(path), world.service.client.get
        etag = get(url).headers["etag"]
        for header in (etag, f'"x", W/{etag}', "*"):
            answer = get(url, headers={"if-none-match": header})
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["etag"] == etag
        assert get(url, headers={"if-none-match": '"x"'}).status_code == 200

    def test_says_where_it_ends(self, world: World, path: str) -> None:
        answer = world.service.client.get(world.url(path), headers={"range": "bytes=99999999-"})
        assert answer.status_code == 416
        assert answer.headers["content-range"].startswith("bytes */")


class TestAnObject:
    @pytest.mark.parametrize(
        "path",
        [
            "/v1/files/{file_id}",
            "/v1/models/{model_id}",
            "/v1/fine_tuning/jobs/{job_id}",
            "/v1/comparisons/{comparison_id}",
            "/v1/files",
        ],
    )
    def test_is_not_sent_to_who_has_it(self, world: World, path: str) -> None:
        url, get = world.url(path), world.service.client.get
        first = get(url)
        etag = first.headers["etag"]
        assert first.headers["cache-control"] == "private, no-cache"
        again = get(url, headers={"if-none-match": etag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        assert "content-type" not in again.headers
        assert again.headers["x-request-id"]
        assert get(url, headers={"if-none-match": '"other"'}).json() == first.json()

    def test_that_changed_is_sent(self, fresh: Service) -> None:
        job = build.job(fresh.database, fresh.project_id)
        url = f"/v1/fine_tuning/jobs/{job.id}"
        etag = fresh.client.get(url).headers["etag"]
        with fresh.database.write() as session:
            jobs.request_cancel(session, fresh.project_id, job.id)
        changed = fresh.client.get(url, headers={"if-none-match": etag})
        assert (changed.status_code, changed.json()["status"]) == (200, "cancelled")
        assert changed.headers["etag"] != etag

    def test_what_is_no_answer_is_not_tagged(self, world: World) -> None:
        client = world.service.client
        asks: list[Callable[[], Any]] = [
            lambda: client.get("/v1/files/file-none"),
            lambda: client.get("/v1/files/file-none", headers={"if-none-match": "*"}),
            lambda: client.post("/v1/fine_tuning/jobs", json={}),
        ]
        for ask in asks:
            answer = ask()
            assert answer.status_code in (400, 404)
            assert "etag" not in answer.headers
            assert answer.headers["cache-control"] == "no-store"
