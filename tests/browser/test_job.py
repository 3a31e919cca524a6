"""One job's page: what it is, whose fault a failure is, what can be done with it, its log."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from core.records.states import STATUSES
from core.records.stopping import REPEATING
from core.records.tables import STATUS_REASONS
from tests.browser.conftest import OpenContext, Stack
from tests.browser.watched import settle, sideways, violations

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SECONDS = 60_000  # milliseconds that a slow machine may take
MODULE = """async ({ name, call, given }) => {
  const main = document.querySelector('script[type="module"]').src;
  const module = await import(new URL(`../parts/${name}.js`, main));
  return module[call](...given);
}"""


def open_job(page: Page, job_id: str) -> None:
    page.goto(f"/jobs/{job_id}")
    settle(page)


def answer_with(page: Page, job: dict[str, Any]) -> None:
    """From now on the service says this of the job, whatever it is in truth."""

    def answer(route: Route) -> None:
        route.fulfill(json=job)

    page.route(re.compile(f"/v1/fine_tuning/jobs/{job['id']}$"), answer)


def first_line(page: Page) -> str:
    """The status and what is said beside it."""
    return page.locator("#view section").first.locator("p").first.inner_text()


def test_what_it_is(page: Page, stack: Stack, finished: dict[str, Any]) -> None:
    open_job(page, finished["id"])
    expect(page.locator("#title")).to_have_text("owls (lipsum_ft)")
    facts = page.locator("section", has=page.get_by_role("heading", name="What it is"))
    expect(facts).to_contain_text(finished["fine_tuned_model"])
    facts.get_by_text("settings, resolved").click()
    for name, value in finished["hyperparameters"].items():
        shown = facts.locator(f"dt:text-is('{name}') + dd").inner_text()
        expected = "none" if value is None else str(value).lower()
        if isinstance(value, float):
            assert float(shown) == value, name
        else:
            assert shown == expected, name
    with page.expect_download() as download:
        facts.get_by_role("link", name="Download the request").click()
    spec = stack.client.get(f"/v1/fine_tuning/jobs/{finished['id']}/spec").json()
    assert json.loads(Path(download.value.path()).read_text()) == spec
    facts.get_by_role("link", name=finished["training_file"]).click()
    page.wait_for_url("**/datasets/*")


def test_its_model_can_be_copied(
    open_context: OpenContext, stack: Stack, finished: dict[str, Any]
) -> None:
    context = open_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    open_job(page, finished["id"])
    page.get_by_role("button", name="Copy the model's id").click()
    assert page.evaluate("navigator.clipboard.readText()") == finished["fine_tuned_model"]


def test_id_stands_beside_every_shift(page: Page, finished: dict[str, Any]) -> None:
    open_job(page, finished["id"])
    chart = page.get_by_role("img", name=re.compile("^Top-1 accuracy"))
    for row in finished["results"]:
        if row["metric"] == "accuracy" and row["model"] in ("zero_shot", "fine_tuned"):
            name = "zero-shot" if row["model"] == "zero_shot" else "this model"
            said = f"{row['split']}, {name}: {100 * row['value']:.1f} %"
            expect(chart).to_have_accessible_name(re.compile(re.escape(said)))


def test_checkpoints_are_listed(page: Page, stack: Stack, finished: dict[str, Any]) -> None:
    open_job(page, finished["id"])
    rows = page.get_by_role("region", name="Checkpoints").locator("tbody tr")
    found = stack.client.get(f"/v1/fine_tuning/jobs/{finished['id']}/checkpoints").json()["data"]
    assert len(found) > 0
    expect(rows).to_have_count(len(found))
    for row, checkpoint in zip(rows.all(), found, strict=True):
        expect(row).to_contain_text(checkpoint["fine_tuned_model_checkpoint"])


@pytest.mark.parametrize("reason", [each for each in STATUS_REASONS if each != "user_cancelled"])
def test_a_failure_says_whose_it_is(page: Page, finished: dict[str, Any], reason: str) -> None:
    message = "It went wrong at <img src=x onerror=window.hit=1>."
    error = {"code": reason, "message": message, "param": "training_file"}
    failed = {"status": "failed", "status_reason": reason, "error": error, "results": []}
    answer_with(page, {**finished, **failed, "fine_tuned_model": None})
    open_job(page, finished["id"])
    box = page.get_by_role("alert")
    expect(box).to_contain_text(message)
    assert page.evaluate("window.hit") is None
    own = {
        "invalid_dataset": "Your data set",
        "invalid_spec": "The request",
        "loss_not_finite": "The recipe",
        "out_of_memory": "The machine's memory",
    }
    expect(box.get_by_role("heading")).to_contain_text(own.get(reason, "The service"))
    retry = page.get_by_role("button", name="Try again")
    expect(retry).to_have_count(0 if reason in REPEATING else 1)
    expect(page.get_by_role("link", name="Run again with changes")).to_be_visible()
    assert violations(page) == []


def test_a_data_set_that_cannot_be_read_is_its_owners(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    """In truth, from the archive to the page."""
    with zipfile.ZipFile(tmp_path / "broken.zip", "w") as archive:
        for split in ("train", "test"):
            for name in ("ant", "bee"):
                for number in range(4):
                    archive.writestr(f"{split}/{name}/{number}.png", b"\x89PNG\r\n\x1a\n broken")
    job_id = stack.start(str(stack.upload(tmp_path / "broken.zip")["id"]))["id"]
    open_job(page, job_id)
    box = page.get_by_role("alert")
    expect(box).to_contain_text("Your data set is the cause", timeout=SECONDS)
    job = stack.job(job_id)
    assert job["status_reason"] == "invalid_dataset"
    expect(box).to_contain_text(job["error"]["message"])
    box.get_by_role("link", name="See the data set").click()
    page.wait_for_url("**/datasets/*")


def test_trying_again_goes_on_where_the_history_ended(
    page: Page, stack: Stack, finished: dict[str, Any]
) -> None:
    job = {**finished, "status": "failed", "status_reason": "timeout", "fine_tuned_model": None}
    error = {"code": "timeout", "message": "It stood still.", "param": None}
    answer_with(page, {**job, "error": error})
    open_job(page, finished["id"])
    lines = page.get_by_role("log").locator("> div > div")
    before = lines.all_inner_texts()
    assert len(before) > 3

    def retry(route: Route) -> None:
        answer_with(page, finished)  # done in no time
        route.fulfill(json={**job, "status": "queued", "status_reason": None, "error": None})

    page.route("**/retry", retry)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("link", name="See the result")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert lines.all_inner_texts() == before  # nothing is told twice


@pytest.mark.parametrize("status", STATUSES)
def test_what_can_be_done_follows_from_the_status(
    page: Page, finished: dict[str, Any], status: str
) -> None:
    reason = "internal" if status == "failed" else None
    answer_with(page, {**finished, "status": status, "status_reason": reason})
    open_job(page, finished["id"])
    allowed = {
        "validating_files": {"Pause", "Cancel"},
        "queued": {"Pause", "Cancel"},
        "running": {"Pause", "Cancel", "Stop and keep the last checkpoint"},
        "paused": {"Resume", "Cancel"},
        "failed": {"Try again"},
    }
    buttons = page.locator("#view section").first.get_by_role("button")
    assert set(buttons.all_inner_texts()) == allowed.get(status, set())
    assert status.replace("_", " ") in first_line(page)
    assert violations(page) == []


def test_a_key_that_may_only_look_is_offered_nothing_else(
    open_context: OpenContext, stack: Stack, finished: dict[str, Any]
) -> None:
    body = {"name": "looks", "scopes": ["jobs:read"]}
    key = stack.client.post("/v1/keys", json=body).json()["secret"]
    page = open_context(key=key).new_page()
    answer_with(page, {**finished, "status": "running"})
    open_job(page, finished["id"])
    expect(page.locator("#view section").first.get_by_role("button")).to_have_count(0)


def test_how_long_it_will_be(page: Page, finished: dict[str, Any]) -> None:
    now = page.evaluate("Math.round(Date.now() / 1000)")
    waiting = {"status": "queued", "queue_position": 3, "estimated_start": now + 600}
    answer_with(page, {**finished, **waiting})
    open_job(page, finished["id"])
    assert "3 before it, may begin about 20" in first_line(page)
    progress = {"step": 40, "total_steps": 1000, "fraction": 0.25, "updated_at": now}
    running = {"started_at": now - 100, "estimated_finish": now + 3700, "progress": progress}
    answer_with(
        page, {**finished, **running, "status": "running", "phase": "training", "attempt": 2}
    )
    expect(page.get_by_text("training, step 40 of 1,000 attempt 2")).to_be_visible()
    said = re.compile(r"25 % · running for .* · about 1 h 1 min to go")
    expect(page.get_by_text(said)).to_be_visible()
    assert float(page.get_by_role("progressbar").get_attribute("value") or 0) == 0.25


def test_the_keyboard_stays_where_it_is_while_a_job_runs(
    page: Page, stack: Stack, file_id: str
) -> None:
    job_id = stack.start(file_id, hyperparameters={"n_steps": 5000})["id"]
    open_job(page, job_id)
    stack.wait_for(job_id, "running")
    stop = page.get_by_role("button", name="Stop and keep the last checkpoint")
    stop.focus(timeout=SECONDS)
    expect(page.get_by_role("img", name=re.compile("^Loss"))).to_be_visible(timeout=SECONDS)
    page.wait_for_timeout(2500)  # more than two looks
    expect(stop).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("It is being stopped.")).to_be_visible()
    assert page.evaluate("document.activeElement.closest('section') !== null")
    stack.wait_for(job_id)
    rows = page.get_by_role("region", name="Checkpoints").locator("tbody tr")
    expect(rows).not_to_have_count(0, timeout=SECONDS)
    assert stack.job(job_id)["status"] == "cancelled"


def test_the_printed_log_is_followed(page: Page, stack: Stack, file_id: str) -> None:
    job_id = stack.start(file_id, hyperparameters={"n_steps": 100})["id"]
    open_job(page, job_id)
    stack.wait_for(job_id, "running")
    page.get_by_text("What the trainers printed").click()
    box = page.get_by_role("region", name="Printed log")
    expect(box).to_contain_text("phase: training", timeout=SECONDS)
    stack.wait_for(job_id)
    whole = stack.client.get(f"/v1/fine_tuning/jobs/{job_id}/logs").text
    expect(box).to_have_text(whole, timeout=SECONDS)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the log").click()
    assert Path(download.value.path()).read_text() == whole


def test_a_long_log_shows_its_end(page: Page, finished: dict[str, Any]) -> None:
    lines = "".join(f"line {number}\n" for number in range(40_000))
    asked = []

    def answer(route: Route) -> None:
        asked.append(route.request.headers.get("range"))
        route.fulfill(body=lines, headers={"etag": '"whole"', "content-type": "text/plain"})

    page.route("**/logs", answer)
    open_job(page, finished["id"])
    page.get_by_text("What the trainers printed").click()
    expect(page.get_by_role("region", name="Printed log")).to_contain_text("line 39999")
    expect(page.get_by_text("The end of it; the download has all.")).to_be_visible()
    assert len(page.get_by_role("region", name="Printed log").inner_text()) <= 200_000
    assert asked == [None]


def test_a_chart_that_does_not_come_leaves_its_numbers(
    open_context: OpenContext, stack: Stack, finished: dict[str, Any]
) -> None:
    page = open_context().new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route("**/vega.js", lambda route: route.abort())
    open_job(page, finished["id"])
    expect(page.get_by_text("The chart cannot be drawn now").first).to_be_visible()
    card = page.locator("section", has=page.get_by_role("heading", name="Loss"))
    card.get_by_text("Show as a table").click()
    expect(card.locator("tbody tr")).to_have_count(3 * 12)
    assert errors == []


def test_charts_follow_the_theme_and_the_width(page: Page, finished: dict[str, Any]) -> None:
    open_job(page, finished["id"])
    canvas = page.locator(".chart canvas").first
    canvas.wait_for()
    page.evaluate("document.fonts.ready")
    light = canvas.evaluate("canvas => canvas.toDataURL()")
    wide = canvas.bounding_box()
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(1000)
    assert canvas.evaluate("canvas => canvas.toDataURL()") != light
    page.set_viewport_size({"width": 360, "height": 900})
    page.wait_for_timeout(1000)
    narrow = canvas.bounding_box()
    assert wide is not None and narrow is not None
    assert narrow["width"] < 340 < wide["width"]
    assert sideways(page) == 0


def test_a_line_has_no_more_points_than_can_be_seen(page: Page, finished: dict[str, Any]) -> None:
    open_job(page, finished["id"])
    for n in (0, 1, 2, 600, 601, 12_345):
        values = [[step, step] for step in range(n)]
        found = page.evaluate(MODULE, {"name": "job/curves", "call": "thinned", "given": [values]})
        assert len(found) <= 601
        assert found[:1] == values[:1] and found[-1:] == values[-1:]
        assert len(found) == n or n > 600
