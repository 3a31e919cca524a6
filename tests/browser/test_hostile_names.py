"""What users name things is shown as it is, in every view, and never becomes markup or code."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenContext, Stack
from tests.browser.watched import Watch, settle, sideways

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(900)]

HIT = "<img src=x onerror=window.hit=1>"
CLASSES = (HIT, "<script>window.hit=1<", "a" * 70)  # no name has a slash in it
SHIFT = "night"


@pytest.fixture(scope="module")
def named(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A finished job of classes with such names, and a key and a project likewise."""
    path = tmp_path_factory.mktemp("hostile") / "<svg onload=window.hit=1>.zip"
    path.write_bytes(_archive())
    file = stack.upload(path)
    job = stack.wait_for(stack.start(file["id"])["id"])
    assert job["status"] == "succeeded", job["error"]
    for kind in ("keys", "projects"):
        body = {"name": HIT, **({"scopes": ["jobs:read"]} if kind == "keys" else {})}
        stack.client.post(f"/v1/{kind}", json=body).raise_for_status()
    return {"job": job, "dataset": file["dataset"]["version"]}


def _archive() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for split in ("train", "test", SHIFT):
            for place, name in enumerate(CLASSES):
                for number in range(8):
                    shade = (80 * place, 20 * number, {"train": 0, "test": 1, SHIFT: 99}[split])
                    image = io.BytesIO()
                    Image.new("RGB", (20, 20), shade).save(image, "PNG")
                    archive.writestr(f"{split}/{name}/{HIT}-{number}.png", image.getvalue())
    return packed.getvalue()


def places(named: dict[str, Any]) -> dict[str, str | None]:
    """Every view, and a name that must be seen in it."""
    job_id, model = named["job"]["id"], named["job"]["fine_tuned_model"]
    return {
        "/": None,
        "/datasets": "onload",  # its name as the service keeps it
        f"/datasets/{named['dataset']}": HIT,
        f"/jobs/new?file={named['job']['training_file']}": None,
        f"/jobs/{job_id}": None,
        f"/jobs/{job_id}/result?change=all": HIT,
        f"/compare?jobs={job_id}": None,
        f"/playground?models=base:tiny,{model}": None,
        "/models": None,
        "/operate?tab=keys": HIT,
        "/operate?tab=projects": HIT,
        "/operate?tab=audit": "onerror",
    }


@pytest.mark.parametrize("width", [360, 1280])
def test_names_are_text(
    open_context: OpenContext, stack: Stack, named: dict[str, Any], width: int
) -> None:
    context = open_context(viewport={"width": width, "height": 900})
    for path, seen in places(named).items():
        page = context.new_page()
        watch = Watch(page, stack.address)
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        page.goto(path)
        settle(page)
        if seen is not None:
            expect(page.get_by_text(seen).first).to_be_attached()
        page.wait_for_timeout(200)
        assert page.evaluate("window.hit") is None, path
        assert page.locator("img[src=x], svg[onload]").count() == 0, path
        assert sideways(page) == 0, path
        assert watch.unexpected() == [], path
        page.close()


def test_answers_with_such_labels_are_text(
    page: Page, named: dict[str, Any], tmp_path: Path
) -> None:
    Image.new("RGB", (20, 20), (80, 0, 0)).save(tmp_path / "photo.png")
    page.goto(f"/playground?models=base:tiny,{named['job']['fine_tuned_model']}")
    settle(page)
    page.locator("input[type=file]").first.set_input_files(tmp_path / "photo.png")
    expect(page.get_by_text(HIT).first).to_be_visible()
    assert page.evaluate("window.hit") is None


def test_an_address_with_markup_in_it_is_text(watch: Watch) -> None:
    watch.allow("status of 4")
    page = watch.page
    for path in (
        f"/jobs/{HIT}",
        f"/jobs/{HIT}/result",
        f"/datasets/{HIT}",
        f"/jobs/new?from={HIT}",
        f"/jobs/new?file={HIT}&model={HIT}&method={HIT}",
        f"/?q={HIT}&sort={HIT}.up",
        f"/playground?models={HIT}&labels={HIT}",
        f"/operate?tab={HIT}",
        f"/compare?jobs={HIT}",
        "/sign-in?next=javascript:window.hit=1",
    ):
        page.goto(path)
        settle(page)
        assert page.evaluate("window.hit") is None, path
