"""The whole service and a browser in front of it. A page that complains in its console, or asks
anybody else for anything, fails its test."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from cli.service import Service
from tests.browser.watched import Watch
from tests.jobs import colour_archive, service_settings

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ENDED = ("succeeded", "failed", "cancelled")
JOB_SECONDS = 180.0
# A trainer, a browser and another test share two cores: what comes, comes late at times.
expect.set_options(timeout=30_000)  # milliseconds


@dataclass(frozen=True)
class Stack:
    """The running service as a client sees it."""

    service: Service
    client: httpx.Client  # with the first key, an admin's

    @property
    def address(self) -> str:
        return self.service.address

    @property
    def key(self) -> str:
        return self.service.api_key

    def upload(self, archive: Path) -> dict[str, Any]:
        """The file object of an archive that was sent whole."""
        with archive.open("rb") as content:
            answer = self.client.post(
                "/v1/files",
                data={"purpose": "fine-tune"},
                files={"file": (archive.name, content)},
            )
        answer.raise_for_status()
        return dict(answer.json())

    def start(self, file_id: str, method: str = "lipsum_ft", **request: Any) -> dict[str, Any]:
        """A job of some seconds on that file."""
        knobs = {"learning_rate": 1e-3, "batch_size": 8, "n_steps": 12, "n_evaluations": 2}
        knobs |= request.pop("hyperparameters", {})
        body = {
            "model": "base:tiny",
            "training_file": file_id,
            "method": {"type": method, method: {"hyperparameters": knobs}},
            **request,
        }
        answer = self.client.post("/v1/fine_tuning/jobs", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.client.get(f"/v1/fine_tuning/jobs/{job_id}").json())

    def wait_for(self, job_id: str, *statuses: str) -> dict[str, Any]:
        """The job once it has one of these statuses, by default an end."""
        deadline = time.monotonic() + JOB_SECONDS
        while (job := self.job(job_id))["status"] not in (statuses or ENDED):
            assert time.monotonic() < deadline, f"{job_id} is {job['status']}"
            time.sleep(0.1)
        return job


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What `lipsum up` starts, over a tiny random CLIP: one for all tests of this process."""
    settings = service_settings(tmp_path_factory.mktemp("service"))
    with Service(settings) as service:
        headers = {"authorization": f"Bearer {service.api_key}"}
        with httpx.Client(base_url=service.address, headers=headers, timeout=60) as client:
            yield Stack(service, client)


@pytest.fixture(scope="session")
def file_id(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An archive of three classes with a shifted split, `night`."""
    archive = colour_archive(tmp_path_factory.mktemp("archive") / "colours.zip", per_class=16)
    return str(stack.upload(archive)["id"])


@pytest.fixture(scope="session")
def finished(stack: Stack, file_id: str) -> dict[str, Any]:
    """A Lipsum-FT job that has ended well."""
    job = stack.wait_for(stack.start(file_id, suffix="owls")["id"])
    assert job["status"] == "succeeded", job["error"]
    return job


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all tests of this process."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


OpenContext = Callable[..., BrowserContext]


@pytest.fixture
def open_context(browser: Browser, stack: Stack) -> Iterator[OpenContext]:
    """Makes a signed-in browser context: `open_context(key=..., address=..., color_scheme=...)`."""
    opened = []

    def make(key: str | None = None, address: str | None = None, **options: Any) -> BrowserContext:
        context = browser.new_context(base_url=address or stack.address, **options)
        context.set_default_timeout(60_000)
        opened.append(context)
        sign_in(context, key or stack.key)
        return context

    yield make
    for context in opened:
        context.close()


@pytest.fixture
def watch(open_context: OpenContext, stack: Stack) -> Iterator[Watch]:
    """A signed-in page under watch, for tests that provoke trouble."""
    found = Watch(open_context().new_page(), stack.address)
    yield found
    assert found.unexpected() == []


@pytest.fixture
def page(watch: Watch) -> Page:
    """A signed-in page under watch."""
    return watch.page


def sign_in(context: BrowserContext, key: str) -> None:
    """As the page does: the key goes out once, and a cookie comes back."""
    answer = context.request.post("/session", headers={"authorization": f"Bearer {key}"})
    assert answer.ok, answer.text()
