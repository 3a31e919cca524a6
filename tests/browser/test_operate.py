"""What operators look after: keys and their secrets, usage, workers, the queue, projects, and who
changed what; and what is said to those who may not."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenContext, Stack
from tests.browser.watched import Watch, settle, sideways, violations

pytestmark = [pytest.mark.slow, pytest.mark.browser]

TABS = ("keys", "usage", "workers", "queue", "projects", "audit")


def open_tab(page: Page, tab: str, more: str = "") -> None:
    page.goto(f"/operate?tab={tab}{more}")
    settle(page)


def row(page: Page, text: str) -> Locator:
    return page.locator("tbody tr").filter(has_text=text)


def make_key(stack: Stack, name: str, *scopes: str, **more: Any) -> dict[str, Any]:
    answer = stack.client.post("/v1/keys", json={"name": name, "scopes": list(scopes), **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def opens(stack: Stack, secret: str, path: str = "/v1/models") -> bool:
    """Whether that secret is let in."""
    headers = {"authorization": f"Bearer {secret}"}
    return httpx.get(f"{stack.address}{path}", headers=headers).status_code == 200


def test_a_key_is_made_rotated_limited_and_revoked(page: Page, stack: Stack) -> None:
    open_tab(page, "keys")
    if not page.get_by_label("What it is for").is_visible():
        page.get_by_text("New key").click()
    page.get_by_label("What it is for").fill("website")
    page.get_by_label("Days until it expires").fill("0.5")
    page.get_by_role("button", name="Nothing yet").click()
    page.get_by_label("models:read").check()
    page.get_by_role("button", name="Make the key").click()
    secret = page.locator(".secret")
    expect(secret).to_be_focused()
    first = secret.inner_text()
    assert opens(stack, first)
    assert not opens(stack, first, "/v1/fine_tuning/jobs")
    key = stack.client.get("/v1/keys").json()["data"][0]
    assert (key["name"], key["scopes"]) == ("website", ["models:read"])
    assert key["expires_at"] - key["created_at"] == pytest.approx(43200, abs=2)
    assert violations(page) == []
    page.get_by_role("button", name="I have kept it").click()
    expect(secret).to_have_count(0)

    page.get_by_role("button", name="Rotate website").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Hours").fill("0")
    dialog.get_by_role("button", name="Rotate").click()
    expect(secret).to_be_focused()
    second = secret.inner_text()
    assert second != first
    assert opens(stack, second)
    assert not opens(stack, first)

    page.get_by_role("button", name="Limits of website").click()
    dialog.get_by_label("Requests in a minute").fill("120")
    dialog.get_by_label("Stored bytes").fill("5000000")
    dialog.get_by_role("button", name="Set limits").click()
    expect(row(page, "website")).to_contain_text("120 requests/min")
    expect(page.get_by_role("button", name="Limits of website")).to_be_focused()
    expect(row(page, "website")).to_contain_text("5.0 MB stored")

    page.get_by_role("button", name="Revoke website").click()
    dialog.get_by_role("button", name="Revoke it").click()
    expect(row(page, "website")).to_have_count(0)
    assert not opens(stack, second)
    page.get_by_label("Show revoked and expired keys").check()
    expect(row(page, "website")).to_contain_text("revoked just now")
    assert "ended=1" in page.url


def test_a_secret_is_nowhere_once_the_page_is_left(page: Page, stack: Stack) -> None:
    open_tab(page, "keys")
    if not page.get_by_label("What it is for").is_visible():
        page.get_by_text("New key").click()
    page.get_by_label("What it is for").fill("forgetful")
    page.get_by_role("button", name="Make the key").click()
    secret = page.locator(".secret").inner_text()
    page.reload()
    settle(page)
    stored = "JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])"
    assert secret not in page.content() + page.evaluate(stored)


def test_faults_of_a_key_stand_beside_their_fields(watch: Watch) -> None:
    watch.allow("status of 4")
    page = watch.page
    open_tab(page, "keys")
    if not page.get_by_label("What it is for").is_visible():
        page.get_by_text("New key").click()
    page.get_by_role("button", name="Make the key").click()
    name = page.get_by_label("What it is for")
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(name).to_be_focused()
    name.fill("fine")
    page.get_by_label("Days until it expires").fill("-1")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Days until it expires")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Days until it expires").fill("")
    page.get_by_role("button", name="Nothing yet").click()
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_role("group", name="What it may do")).to_contain_text("scopes")
    page.get_by_role("button", name="Limits of first start").click()
    field = page.get_by_role("dialog").get_by_label("Requests in a minute")
    field.fill("0")
    page.keyboard.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Limits of first start")).to_be_focused()


def test_a_key_hands_out_no_more_than_it_has(open_context: OpenContext, stack: Stack) -> None:
    key = make_key(stack, "hands out little", "keys", "models:infer")
    page = open_context(key=key["secret"]).new_page()
    open_tab(page, "keys")
    if not page.get_by_label("What it is for").is_visible():
        page.get_by_text("New key").click()
    choices = page.get_by_role("group", name="What it may do").get_by_role("checkbox")
    expect(choices).to_have_count(2)
    expect(page.get_by_role("button", name="Limits of first start")).to_have_count(0)
    expect(page.get_by_label("Project", exact=True)).to_have_count(0)


def test_each_tab_says_what_it_needs(open_context: OpenContext, stack: Stack) -> None:
    key = make_key(stack, "may little", "jobs:read")
    page = open_context(key=key["secret"]).new_page()
    watch = Watch(page, stack.address)
    needed = {
        "keys": "keys",
        "usage": "usage:read",
        "workers": "admin",
        "projects": "admin",
        "audit": "audit:read",
    }
    for tab, scope in needed.items():
        open_tab(page, tab)
        expect(page.locator(".notice")).to_contain_text(f"a key with the scope {scope}")
    page.goto("/operate")  # without a word: what the key may see
    settle(page)
    expect(page.get_by_role("link", name="Queue")).to_have_attribute("aria-current", "page")
    assert watch.unexpected() == []


def test_usage_is_what_the_api_counts(page: Page, stack: Stack, finished: dict[str, Any]) -> None:
    open_tab(page, "usage")
    used = stack.client.get("/v1/usage").json()
    expect(row(page, "first start")).to_contain_text(str(used["keys"][0]["jobs"]))
    expect(page.locator("dl.usage")).to_contain_text(f"{used['stored_bytes'] / 1e6:.1f} MB")
    chooser = page.get_by_label("Month (UTC)")
    earlier = chooser.locator("option").nth(3).get_attribute("value") or ""
    chooser.select_option(earlier)
    expect(page.locator("dl.usage").get_by_text("0", exact=True).first).to_be_visible()
    page.reload()
    settle(page)
    expect(chooser).to_have_value(earlier)


def test_workers_and_queue_as_jobs_run(page: Page, stack: Stack, file_id: str) -> None:
    long = {"n_steps": 4000}
    jobs = [stack.start(file_id, "ft", suffix=f"queued-{n}", hyperparameters=long) for n in (1, 2)]
    stack.wait_for(jobs[0]["id"], "running")
    open_tab(page, "workers")
    expect(page.get_by_role("link", name=jobs[0]["id"])).to_be_visible(timeout=15_000)
    expect(page.get_by_text("1 of 1 busy")).to_be_visible()
    open_tab(page, "queue")
    expect(row(page, "queued-1")).to_contain_text("running")
    waiting = row(page, "queued-2")
    expect(waiting).to_contain_text("queued")
    expect(waiting.locator("td").first).to_have_text("1")  # it is next
    expect(waiting.locator("td").last).to_contain_text(re.compile("begins|not known"))
    page.get_by_role("link", name="queued-2").focus()
    page.wait_for_timeout(6000)  # the list is drawn anew meanwhile
    expect(page.get_by_role("link", name="queued-2")).to_be_focused()
    for job in jobs:
        stack.client.post(f"/v1/fine_tuning/jobs/{job['id']}/cancel").raise_for_status()
    expect(row(page, "queued-2")).to_have_count(0, timeout=20_000)
    for job in jobs:
        stack.wait_for(job["id"])


def test_a_project_is_made_limited_looked_into_and_deleted(watch: Watch, stack: Stack) -> None:
    page = watch.page
    open_tab(page, "projects")
    page.get_by_text("New project").click()
    page.get_by_label("Name").fill("birds")
    page.keyboard.press("Enter")
    expect(row(page, "birds")).to_contain_text("none")
    page.get_by_role("button", name="Limits of birds").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Jobs that workers hold at once").fill("2")
    dialog.get_by_label("Device seconds in a month").fill("3600")
    dialog.get_by_role("button", name="Set limits").click()
    expect(row(page, "birds")).to_contain_text("2 jobs running")
    expect(row(page, "birds")).to_contain_text("1 h 0 min of running a month")

    page.get_by_role("link", name="Keys of birds").click()
    settle(page)
    expect(page.get_by_label("Project", exact=True)).to_have_value(re.compile("proj-"))
    page.get_by_label("What it is for").fill("ada")
    page.get_by_role("button", name="Make the key").click()
    theirs = page.locator(".secret").inner_text()
    assert opens(stack, theirs)
    page.get_by_label("Project", exact=True).select_option("")
    settle(page)
    expect(row(page, "ada")).to_have_count(0)

    open_tab(page, "projects")
    page.get_by_role("link", name="Audit of birds").click()
    settle(page)
    expect(row(page, "key.create")).to_contain_text("ada")

    open_tab(page, "projects")
    page.get_by_role("button", name="Delete birds").click()
    dialog.get_by_role("button", name="Delete it and all it has").click()
    expect(dialog).to_contain_text("That is not birds.")
    dialog.get_by_label("Type the project's name").fill("birds")
    assert violations(page) == []
    dialog.get_by_role("button", name="Delete it and all it has").click()
    expect(page.get_by_text("birds is being removed.").first).to_be_visible()
    expect(row(page, "birds")).to_have_count(0)
    assert not opens(stack, theirs)


def test_the_audit_log_is_read_page_by_page(page: Page, stack: Stack) -> None:
    for number in range(55):
        stack.client.put(f"/v1/aliases/a{number}", json={"model": "base:tiny"}).raise_for_status()
    open_tab(page, "audit")
    expect(page.locator("tbody tr")).to_have_count(50)
    expect(row(page, "alias.point").first).to_contain_text("a54")
    expect(row(page, "alias.point").first).to_contain_text("first start")
    page.get_by_role("link", name="Older").click()
    page.wait_for_url("**after=audit-*")
    settle(page)
    lines = stack.client.get("/v1/audit?limit=100").json()["data"]
    place = next(n for n, line in enumerate(lines) if line["object_id"] == "a0")
    assert place >= 50
    expect(row(page, "a0").first).to_be_visible()
    page.get_by_role("link", name="Newest").click()
    settle(page)
    expect(row(page, "a54").first).to_be_visible()
    for number in range(55):
        stack.client.delete(f"/v1/aliases/a{number}").raise_for_status()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_read_by_everybody(page: Page, stack: Stack, scheme: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    key = make_key(stack, "a-long-name-without-a-space-" * 2, "models:read", expires_in=3600)
    stack.client.put(f"/v1/keys/{key['id']}/limits", json={"stored_bytes": 2**60})
    for tab in TABS:
        open_tab(page, tab)
        for summary in page.locator("summary").all():
            summary.click()
        assert (tab, violations(page)) == (tab, [])
        assert (tab, sideways(page)) == (tab, 0)
    open_tab(page, "keys")
    page.get_by_role("button", name=f"Limits of {key['name']}").click()
    assert violations(page) == []
    assert sideways(page) == 0
    stack.client.delete(f"/v1/keys/{key['id']}").raise_for_status()
