"""Models and the aliases that point at them: found, downloaded, named, moved, deleted."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenContext, Stack
from tests.browser.watched import Watch, settle, sideways, violations

pytestmark = [pytest.mark.slow, pytest.mark.browser]

EXPORT_SECONDS = 240  # the first one imports torch's exporter


@pytest.fixture
def spare(stack: Stack, file_id: str) -> str:
    """A fine-tuned model that nobody else needs."""
    job = stack.wait_for(stack.start(file_id, "ft", suffix="spare")["id"])
    assert job["status"] == "succeeded", job["error"]
    return str(job["fine_tuned_model"])


def open_models(page: Page, query: str = "") -> None:
    page.goto(f"/models{query}")
    settle(page)


def rows(page: Page) -> Any:
    return page.get_by_role("region", name="Models, newest first").locator("tbody tr")


def alias_of(stack: Stack, name: str) -> dict[str, Any]:
    return dict(stack.client.get(f"/v1/aliases/{name}").json())


def point(stack: Stack, name: str, model: str) -> None:
    stack.client.put(f"/v1/aliases/{name}", json={"model": model}).raise_for_status()


def test_models_are_filtered_and_sorted_by_the_url(page: Page, finished: dict[str, Any]) -> None:
    model = finished["fine_tuned_model"]
    open_models(page)
    expect(page.get_by_role("link", name=model, exact=True)).to_be_visible()
    expect(rows(page).filter(has_text="Checkpoint")).to_have_count(0)
    page.get_by_label("Kind").select_option("base")
    expect(rows(page).filter(has_text="base:tiny")).to_have_count(1)
    expect(rows(page).filter(has_text="Fine-tuned")).to_have_count(0)
    page.get_by_label("Kind").select_option("all")
    page.get_by_label("Filter").fill(f"lipsum_ft {finished['id']}")
    page.get_by_role("button", name="Model", exact=True).click()
    page.reload()
    settle(page)
    expect(page.get_by_label("Kind")).to_have_value("all")
    found = [row.split()[0] for row in rows(page).all_inner_texts()]
    assert (found[0], len(found)) == (model, 3)
    steps = [int(name.removeprefix(f"{model}:step-")) for name in found[1:]]
    assert steps == sorted(steps)
    page.get_by_label("Filter").fill("no such thing")
    expect(page.get_by_text("No model fits the filter")).to_be_visible()


def test_a_model_says_where_it_comes_from(
    page: Page, stack: Stack, finished: dict[str, Any]
) -> None:
    model = stack.client.get(f"/v1/models/{finished['fine_tuned_model']}").json()
    open_models(page, f"?model={model['id']}")
    expect(page.get_by_role("heading", level=1)).to_have_text(model["id"])
    facts = page.locator("dl.facts")
    for value in ("Fine-tuned", "lipsum_ft", f"{model['image_size']} pixels", model["sha256"]):
        expect(facts.get_by_text(value, exact=True)).to_be_visible()
    expect(facts.get_by_role("link", name=finished["id"])).to_be_visible()
    for file in model["files"]:
        expect(page.get_by_role("link", name=file["name"], exact=True)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="classes.json").click()
    expected = stack.client.get(f"/v1/models/{model['id']}/files/classes.json").content
    assert Path(download.value.path()).read_bytes() == expected
    page.get_by_role("link", name="Try it").click()
    page.wait_for_url("**/playground?models=base*")
    settle(page)
    assert violations(page) == []


@pytest.mark.parametrize(
    ("title", "file"),
    [
        ("open_clip", "open_clip_model.safetensors"),
        ("transformers", "model.safetensors"),
        ("ONNX Runtime", "model.onnx"),
    ],
)
def test_weights_come_in_three_formats(
    watch: Watch, finished: dict[str, Any], title: str, file: str
) -> None:
    watch.allow("status of 503")  # a busy machine has it later, and the page asks again
    page = watch.page
    open_models(page, f"?model={finished['fine_tuned_model']}")
    with page.expect_download(timeout=EXPORT_SECONDS * 1000) as download:
        page.get_by_role("link", name=title, exact=True).click()
    with tarfile.open(download.value.path()) as tar:
        assert any(name.endswith(file) for name in tar.getnames())


def test_a_format_that_cannot_hold_a_model_says_why(
    watch: Watch, stack: Stack, file_id: str, finished: dict[str, Any]
) -> None:
    watch.allow("status of 4")
    page = watch.page
    body = {
        "model": "base:tiny",
        "training_file": file_id,
        "method": {"type": "vrf", "vrf": {"inputs": [finished["id"]]}},
    }
    job = stack.wait_for(stack.client.post("/v1/fine_tuning/jobs", json=body).json()["id"])
    open_models(page, f"?model={job['fine_tuned_model']}")
    expect(page.get_by_text("fine_tuned: ")).to_be_visible()  # its members
    page.get_by_role("link", name="transformers", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("mixture")


def test_an_alias_is_made_moved_and_moved_back(
    page: Page, stack: Stack, finished: dict[str, Any]
) -> None:
    model = finished["fine_tuned_model"]
    open_models(page)
    if not page.get_by_label("Alias", exact=True).is_visible():
        page.get_by_text("Give a model an alias").click()
    page.get_by_label("Alias", exact=True).fill("production")
    page.get_by_label("Model", exact=True).select_option("base:tiny")
    page.get_by_label("Model", exact=True).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("production points at base:tiny.").first).to_be_visible()
    assert alias_of(stack, "production")["model"] == "base:tiny"

    page.get_by_role("button", name="Point production elsewhere").click()
    dialog = page.get_by_role("dialog", name="Point production elsewhere")
    dialog.get_by_label("Model").select_option(model)
    assert violations(page) == []
    dialog.get_by_role("button", name="Point it").click()
    expect(page.get_by_text(f"production points at {model}.").first).to_be_visible()
    expect(rows(page).filter(has_text="production")).to_contain_text(model)

    page.get_by_role("button", name="Roll production back").click()
    expect(page.get_by_text("production points at base:tiny.").first).to_be_visible()
    found = alias_of(stack, "production")
    assert (found["model"], found["previous_model"]) == ("base:tiny", model)

    page.get_by_role("button", name="Delete production").click()
    page.keyboard.press("Enter")  # on what keeps it
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Delete production")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("production means nothing any more.").first).to_be_visible()
    assert stack.client.get("/v1/aliases/production").status_code == 404


def test_an_alias_that_somebody_else_moved_is_not_moved_unseen(
    watch: Watch, stack: Stack, finished: dict[str, Any]
) -> None:
    watch.allow("status of 409")
    page, model = watch.page, finished["fine_tuned_model"]
    point(stack, "contested", "base:tiny")
    open_models(page)
    point(stack, "contested", model)
    page.get_by_role("button", name="Point contested elsewhere").click()
    page.get_by_role("dialog").get_by_role("button", name="Point it").click()
    expect(page.get_by_role("dialog")).to_contain_text(model)  # where it is now
    page.keyboard.press("Escape")
    assert alias_of(stack, "contested")["model"] == model
    stack.client.delete("/v1/aliases/contested").raise_for_status()


def test_what_is_wrong_with_an_alias_stands_beside_it(watch: Watch, stack: Stack) -> None:
    watch.allow("status of 400")
    page = watch.page
    open_models(page, "?model=base:tiny")
    page.get_by_label("Alias to point at it").fill("no spaces please")
    page.get_by_role("button", name="Point it here").click()
    field = page.get_by_label("Alias to point at it")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    field.fill("fine")
    page.keyboard.press("Enter")
    expect(page.get_by_role("listitem").filter(has_text=re.compile("^fine$"))).to_be_visible()
    stack.client.delete("/v1/aliases/fine").raise_for_status()


def test_a_model_is_deleted_only_on_purpose(watch: Watch, stack: Stack, spare: str) -> None:
    watch.allow("status of 4")
    page = watch.page
    point(stack, "holds-it", spare)
    open_models(page, f"?model={spare}")
    page.get_by_role("button", name="Delete this model").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Delete this model")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("dialog")).to_contain_text("holds-it points at")
    assert stack.client.get(f"/v1/models/{spare}").status_code == 200
    stack.client.delete("/v1/aliases/holds-it").raise_for_status()
    page.get_by_role("button", name="Delete it").click()
    page.wait_for_url("**/models")
    settle(page)
    assert stack.client.get(f"/v1/models/{spare}").status_code == 404
    expect(page.get_by_role("link", name=spare, exact=True)).to_have_count(0)


def test_a_key_that_may_only_look(open_context: OpenContext, stack: Stack) -> None:
    body = {"name": "looks", "scopes": ["models:read"]}
    key = stack.client.post("/v1/keys", json=body).json()["secret"]
    page = open_context(key=key).new_page()
    open_models(page)
    expect(page.get_by_text("it needs the scope models:write")).to_be_visible()
    open_models(page, "?model=base:tiny")
    expect(page.get_by_text("only the operator can remove it")).to_be_visible()
    expect(page.get_by_role("link", name="Try it")).to_have_count(0)
    body = {"name": "looks elsewhere", "scopes": ["jobs:read"]}
    key = stack.client.post("/v1/keys", json=body).json()["secret"]
    page = open_context(key=key).new_page()
    open_models(page)
    expect(page.get_by_text("it needs the scope models:read")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_read_by_everybody(
    page: Page, stack: Stack, finished: dict[str, Any], scheme: Any, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    name = "a-long-alias-" * 4
    point(stack, name, "base:tiny")
    point(stack, name, finished["fine_tuned_model"])
    for query in ("", f"?model={finished['fine_tuned_model']}"):
        open_models(page, query)
        for summary in page.locator("summary").all():
            summary.click()
        assert violations(page) == []
        assert sideways(page) == 0
    page.get_by_role("button", name="Delete this model").click()
    assert violations(page) == []
    assert sideways(page) == 0
    stack.client.delete(f"/v1/aliases/{name}").raise_for_status()
