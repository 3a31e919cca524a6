"""Data sets in a list, and one of them: what is in it, what it looks like, what is wrong."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import OpenContext, Stack
from tests.browser.watched import Watch, settle, sideways, violations

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SECONDS = 60_000  # milliseconds that a slow machine may take


def noise(draws: np.random.Generator) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(draws.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(packed, "PNG")
    return packed.getvalue()


def archive(path: Path, counts: dict[str, dict[str, int]], also: dict[str, bytes]) -> Path:
    """A ZIP of noise: so many images of each class of each split, and other entries."""
    draws = np.random.default_rng(len(path.name))
    with zipfile.ZipFile(path, "w") as packed:
        for split, classes in counts.items():
            for name, count in classes.items():
                for number in range(count):
                    packed.writestr(f"{split}/{name}/{number}.png", noise(draws))
        for name, data in also.items():
            packed.writestr(name, data)
    return path


@pytest.fixture(scope="module")
def faulty(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A file whose data set has one of each fault, and is not checked yet."""
    draws = np.random.default_rng(0)
    two_splits, two_labels, again = noise(draws), noise(draws), noise(draws)
    names = {"names": {"ant": "a red ant", "bee": "a bee", "cat": "cat"}}
    also = {
        "train/ant/same.png": two_splits,
        "night/ant/same.png": two_splits,
        "train/ant/two.png": two_labels,
        "train/bee/two.png": two_labels,
        "train/cat/again.png": again,
        "train/cat/again too.png": again,
        "test/bee/broken.png": noise(draws)[:50],
        "night/dog/": b"",
        "README.md": b"hello",
        "classes.json": json.dumps(names).encode(),
        "groups.csv": b"file,group\ntest/ant/0.png,indoors\ntest/ant/1.png,outdoors\n",
    }
    counts = {
        "train": {"ant": 70, "bee": 20, "cat": 40},
        "test": dict.fromkeys(("ant", "bee", "cat"), 10),
        "night": {"ant": 9, "bee": 8},
    }
    path = archive(tmp_path_factory.mktemp("faulty") / "faulty.zip", counts, also)
    return stack.upload(path)


def open_dataset(page: Page, file: dict[str, Any], query: str = "") -> None:
    page.goto(f"/datasets/{file['dataset']['version']}{query}")
    settle(page)


def section(page: Page, heading: str | re.Pattern[str]) -> Locator:
    return page.locator("section", has=page.get_by_role("heading", name=heading))


def cells(part: Locator) -> list[list[str]]:
    """The text of a table's rows."""
    rows = part.locator("tbody tr")
    return list(
        rows.evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.innerText))")
    )


def names_shown(page: Page) -> list[str]:
    return page.locator("tbody tr td:first-child a").all_inner_texts()


def test_the_list_is_filtered_and_sorted_in_the_url(
    page: Page, stack: Stack, file_id: str, faulty: dict[str, Any], tmp_path: Path
) -> None:
    stack.upload(archive(tmp_path / "sketches.zip", {"train": {"ant": 1, "bee": 1}}, {}))
    page.goto("/datasets")
    settle(page)
    assert names_shown(page)[0] == "sketches.zip"  # the newest
    assert "colours.zip" in names_shown(page)
    page.get_by_role("button", name="Images").click()
    page.get_by_role("button", name="Images").click()
    assert names_shown(page)[0] == "faulty.zip"
    page.get_by_label("Filter").fill("zip night")
    assert sorted(names_shown(page)) == ["colours.zip", "faulty.zip"]
    assert "q=zip+night" in page.url and "sort=images.down" in page.url
    page.reload()
    settle(page)
    assert names_shown(page) == ["faulty.zip", "colours.zip"]
    expect(page.get_by_role("columnheader", name="Images")).to_have_attribute(
        "aria-sort", "descending"
    )
    page.get_by_label("Filter").fill("no such thing")
    expect(page.get_by_text("No data set matches the filter.")).to_be_visible()
    page.get_by_label("Filter").fill("sketches")
    row = page.get_by_role("row", name=re.compile("sketches.zip"))
    expect(row).to_contain_text("unchecked until its first job")
    row.get_by_role("link", name="sketches.zip").click()
    expect(page.get_by_role("heading", name="sketches.zip")).to_be_visible()


def test_a_file_leads_to_its_data_set(page: Page, faulty: dict[str, Any]) -> None:
    page.goto(f"/datasets?file={faulty['id']}")
    page.wait_for_url(f"**/datasets/{faulty['dataset']['version']}")


def test_splits_and_classes_are_counted(page: Page, faulty: dict[str, Any]) -> None:
    open_dataset(page, faulty)
    assert cells(section(page, "Splits")) == [
        ["train", "trained on", "135", "3", "21 to 72"],
        ["test", "in distribution", "31", "3", "10 to 11"],
        ["night", "shifted", "18", "2", "8 to 10"],
    ]
    classes = section(page, "3 classes")
    assert cells(classes) == [
        ["ant\na red ant", "72", "10", "10"],
        ["bee\na bee", "21", "11", "8"],
        ["cat", "42", "10", "0"],
    ]
    classes.get_by_role("button", name="train").click()
    assert [row[1] for row in cells(classes)] == ["21", "42", "72"]
    assert "sort=split1.up" in page.url
    classes.get_by_role("button", name="night").click()
    page.reload()
    settle(page)
    assert [row[3] for row in cells(classes)] == ["0", "8", "10"]
    page.get_by_role("link", name="New job with this").click()
    expect(page).to_have_url(re.compile(f"/jobs/new\\?.*file={faulty['id']}"))


def test_pictures_are_asked_for_when_they_are_opened(page: Page, faulty: dict[str, Any]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("split=")[2]))
    open_dataset(page, faulty)
    train = page.get_by_role("img", name="Some images of train by class: ant, bee, cat")
    expect(train).to_be_visible(timeout=SECONDS)
    assert train.evaluate("image => image.naturalWidth") > 500
    assert not {"test", "night"} & set(asked)
    page.get_by_text("night, 18 images").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name="Some images of night by class: ant, bee")).to_be_visible(
        timeout=SECONDS
    )
    page.get_by_text("train, 135 images").click()
    expect(page).to_have_url(re.compile(r"\?pictures=night$"))
    page.reload()
    expect(page.get_by_role("img", name=re.compile("of night"))).to_be_visible(timeout=SECONDS)
    expect(page.get_by_role("img", name=re.compile("of train"))).to_have_count(0)


def test_a_picture_that_cannot_be_drawn_says_why(watch: Watch, faulty: dict[str, Any]) -> None:
    watch.allow("status of 507")
    page = watch.page
    error = {"error": {"message": "The stored archive is missing.", "code": "storage_error"}}

    def fail(route: Route) -> None:
        route.fulfill(status=507, json=error)

    page.route("**/contact-sheet*", fail)
    open_dataset(page, faulty)
    expect(page.get_by_role("alert")).to_contain_text("The stored archive is missing.")
    page.unroute("**/contact-sheet*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("img", name=re.compile("of train"))).to_be_visible(timeout=SECONDS)


def test_what_is_wrong_appears_once_a_job_has_read_it(
    page: Page, stack: Stack, faulty: dict[str, Any]
) -> None:
    """While somebody looks: nothing has to be loaded again."""
    open_dataset(page, faulty)
    found = section(page, "What was found")
    expect(found).to_contain_text("Its first job reads every image once")
    expect(found).to_contain_text("1 class folder has no image")
    expect(found).to_contain_text("1 file is no image and is passed over.")
    evaluation = {"allow_duplicates": True}
    job_id = stack.start(faulty["id"], evaluation=evaluation, suffix="reader")["id"]
    expect(found).to_contain_text("1 file cannot be read", timeout=SECONDS)
    expect(found).to_contain_text("1 image is in two splits")
    expect(found).to_contain_text("1 image has two labels")
    expect(found).to_contain_text("1 image is there again in its class, which does no harm.")
    for summary in found.get_by_text("Which").all():
        summary.click()
    for words in (
        "test/bee/broken.png",
        "train/ant/same.png\n= night/ant/same.png",
        "train/ant/two.png\n= train/bee/two.png",
        "night/dog",
        "README.md",
    ):
        assert words in found.inner_text()
    assert cells(section(page, "Groups"))[0][0] == "indoors"
    expect(section(page, "Jobs with it").get_by_role("link", name="reader")).to_be_visible()
    for width, scheme in ((1280, "light"), (360, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert violations(page) == []
        assert sideways(page) == 0
    stack.wait_for(job_id)
    page.goto("/datasets?q=unreadable")
    expect(page.get_by_role("row", name=re.compile("faulty.zip"))).to_contain_text("1 unreadable")


def test_a_failed_check_says_whose_fault_and_what_to_do(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    broken = {f"train/bee/{number}.png": b"not an image" for number in range(100, 120)}
    counts = {"train": {"ant": 10, "bee": 2}, "test": {"ant": 2, "bee": 2}}
    file = stack.upload(archive(tmp_path / "broken.zip", counts, broken))
    job = stack.wait_for(stack.start(file["id"])["id"])
    assert job["status_reason"] == "invalid_dataset"
    open_dataset(page, file)
    found = section(page, "What was found")
    expect(found).to_contain_text("Its check failed. The data set is the cause.")
    expect(found).to_contain_text("cannot be read")
    expect(found).to_contain_text("Mend what is named and upload it again.")
    found.get_by_role("link", name="The job that read it").click()
    page.wait_for_url(f"**/jobs/{job['id']}")


def test_a_thousand_classes_are_quick(page: Page, stack: Stack, tmp_path: Path) -> None:
    classes = dict.fromkeys((f"class {number:04}" for number in range(1000)), 1)
    counts = dict.fromkeys(("train", "test", "night"), classes)
    file = stack.upload(archive(tmp_path / "thousand.zip", counts, {}))
    open_dataset(page, file)
    table = section(page, "1,000 classes")
    expect(table.locator("tbody tr")).to_have_count(1000)
    milliseconds = page.evaluate(
        """async () => {
          const field = document.querySelector('#class-filter');
          const sort = document.querySelector('.class-counts th button');
          const began = performance.now();
          sort.click();
          field.value = 'class 0123';
          field.dispatchEvent(new Event('input'));
          await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
          return performance.now() - began;
        }"""
    )
    expect(table.locator("tbody tr")).to_have_count(1)
    assert milliseconds < 2000
    assert "class=class+0123" in page.url
    page.set_viewport_size({"width": 360, "height": 900})
    assert sideways(page) == 0


def test_a_file_is_deleted(page: Page, stack: Stack, tmp_path: Path) -> None:
    path = archive(tmp_path / "unwanted.zip", {"train": {"ant": 1, "bee": 1}}, {})
    file, again = stack.upload(path), stack.upload(path)
    open_dataset(page, file)
    for each, words in ((again, "another file holds the same"), (file, "With its only file")):
        page.get_by_role("button", name=f"Delete {each['id']}").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text(words)
        dialog.get_by_role("button", name="Delete it").click()
        expect(page.get_by_role("button", name=f"Delete {each['id']}")).to_have_count(0)
    page.wait_for_url("**/datasets")
    expect(page.get_by_text("unwanted.zip")).to_have_count(0)


def test_who_may_only_look_is_offered_nothing_else(
    open_context: OpenContext, stack: Stack, faulty: dict[str, Any]
) -> None:
    body = {"name": "looks", "scopes": ["files:read"]}
    key = stack.client.post("/v1/keys", json=body).json()["secret"]
    page = open_context(key=key).new_page()
    watch = Watch(page, stack.address)
    open_dataset(page, faulty)
    expect(section(page, "Splits")).to_be_visible()
    expect(page.get_by_role("link", name="New job with this")).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("^Delete"))).to_have_count(0)
    assert watch.unexpected() == []


def test_a_data_set_of_nobody(watch: Watch) -> None:
    watch.allow("status of 404")
    watch.page.goto("/datasets/nothing")
    settle(watch.page)
    expect(watch.page.get_by_role("alert")).to_contain_text("There is no dataset 'nothing'")
