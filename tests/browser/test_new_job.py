"""A job before it is made: every fault beside its field, every "auto" shown, and the same again."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stack
from tests.browser.watched import Watch, settle, sideways, violations

pytestmark = [pytest.mark.slow, pytest.mark.browser]

MODULE = """async (given) => {
  const main = document.querySelector('script[type="module"]').src;
  const { toRequest, fromSpecification, blank } = await import(
    new URL('../parts/new_job/request.js', main));
  return given.spec ? toRequest(fromSpecification(given.spec), given.method)
                    : toRequest({ ...blank(), ...given.state }, given.method);
}"""


def open_form(page: Page, query: str = "") -> None:
    page.goto(f"/jobs/new{query}")
    settle(page)


def test_all_faults_stand_beside_their_fields(page: Page, file_id: str) -> None:
    open_form(page, f"?file={file_id}")
    page.get_by_label("learning rate").fill("7")
    page.get_by_label("Seeds", exact=True).fill("99")
    page.get_by_label("Suffix").fill("no spaces please")
    for label, says in (
        ("learning rate", "learning_rate is 7"),
        ("Seeds", "n_seeds is 99"),
        ("Suffix", "no spaces please"),
    ):
        field = page.get_by_label(label, exact=True)
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_accessible_description(re.compile(re.escape(says)))
    assert violations(page) == []
    page.get_by_label("learning rate").fill("")
    expect(page.get_by_label("learning rate")).not_to_have_attribute("aria-invalid", "true")


def test_auto_is_shown_as_what_it_comes_to(page: Page, file_id: str) -> None:
    open_form(page, f"?file={file_id}")
    expect(page.get_by_label("learning rate")).to_have_attribute("placeholder", "1e-5")
    expect(page.get_by_label("batch size", exact=True)).to_have_attribute("placeholder", "4")
    page.get_by_label("R-Adapter").check()
    expect(page.get_by_label("learning rate")).not_to_have_attribute("placeholder", "1e-5")
    assert "method=r_adapter" in page.url
    page.reload()
    settle(page)
    expect(page.get_by_label("R-Adapter")).to_be_checked()


def test_by_keyboard_to_a_job(page: Page, stack: Stack, file_id: str) -> None:
    open_form(page, f"?file={file_id}&method=ft")
    page.get_by_label("Suffix").focus()
    page.keyboard.type("by-keyboard")
    page.get_by_label("n epochs").focus()
    page.keyboard.type("1")
    page.get_by_label("Suffix").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/ftjob-*")
    job = stack.job(page.url.rpartition("/")[2])
    assert (job["suffix"], job["method"]["type"]) == ("by-keyboard", "ft")
    assert job["hyperparameters"]["n_epochs"] == 1
    stack.wait_for(job["id"])


def test_what_the_service_refuses_is_said_and_nothing_is_lost(watch: Watch, file_id: str) -> None:
    watch.allow("status of 400")
    page = watch.page
    open_form(page, f"?file={file_id}")
    page.get_by_label("Suffix").fill("a b")
    page.get_by_role("button", name="Start the job").click()
    expect(page.get_by_label("Suffix")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Suffix")).to_have_value("a b")
    expect(page.get_by_role("button", name="Start the job")).to_be_enabled()


def test_a_combination_asks_for_its_jobs(
    page: Page, stack: Stack, finished: dict[str, Any]
) -> None:
    open_form(page, "?method=wise_ft")
    page.get_by_label("owls").first.check()
    page.get_by_label("alpha", exact=True).fill("0.3")
    page.get_by_label("Suffix").fill("mixed")
    expect(page.get_by_role("button", name="Start the job")).to_be_enabled()
    page.get_by_role("button", name="Start the job").click()
    page.wait_for_url("**/jobs/ftjob-*")
    job = stack.wait_for(page.url.rpartition("/")[2])
    assert (job["status"], job["method"]["type"]) == ("succeeded", "wise_ft"), job["error"]


def test_the_same_job_again(page: Page, stack: Stack, finished: dict[str, Any]) -> None:
    """From its specification to the form and back: it makes a job of the same digest."""
    spec = stack.client.get(f"/v1/fine_tuning/jobs/{finished['id']}/spec").json()
    methods = stack.client.get("/v1/methods").json()["data"]
    method = next(each for each in methods if each["name"] == spec["method"]["type"])
    open_form(page, f"?from={finished['id']}")
    request = page.evaluate(MODULE, {"spec": spec, "method": method})
    estimate = stack.client.post("/v1/fine_tuning/jobs:estimate", json=request).json()
    assert (estimate["errors"], estimate["spec_digest"]) == ([], finished["spec_digest"])
    expect(page.get_by_label("learning rate")).to_have_value("0.001")


def test_only_what_was_chosen_is_sent(page: Page) -> None:
    open_form(page)
    state = {"file": "file-a", "model": "base:tiny", "knobs": {"n_steps": "12", "texts": ""}}
    request = page.evaluate(MODULE, {"state": state, "method": {"inputs": {"most": 0}}})
    assert request == {
        "model": "base:tiny",
        "training_file": "file-a",
        "method": {"type": "lipsum_ft", "lipsum_ft": {"hyperparameters": {"n_steps": 12}}},
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_read_by_everybody(page: Page, file_id: str, scheme: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    open_form(page, f"?file={file_id}")
    for summary in page.locator("summary").all():
        summary.click()
    assert violations(page) == []
    assert sideways(page) == 0
