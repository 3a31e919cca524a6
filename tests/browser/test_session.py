"""Signing in and out, two tenants apart, and a cookie that opens nothing for anybody else."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import OpenContext, Stack
from tests.browser.watched import Watch, settle

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_a_key_is_asked_for_once(browser: Browser, stack: Stack) -> None:
    context = browser.new_context(base_url=stack.address)
    page = context.new_page()
    watch = Watch(page, stack.address)
    watch.allow("status of 401")  # the browser's own line about the question who is signed in
    page.goto("/jobs/new?file=file-x")
    page.wait_for_url("**/sign-in?next=%2Fjobs%2Fnew%3Ffile%3Dfile-x")
    settle(page)
    page.get_by_label("API key").fill("lipsum-wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not one of this service's")
    page.get_by_label("API key").fill(stack.key)
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/new?file=file-x")
    settle(page)
    assert page.evaluate("document.cookie") == ""  # no script can read it
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in*")
    assert context.request.get("/v1/models").status == 401
    assert watch.unexpected() == []
    context.close()


def test_a_page_leads_nowhere_else_after_signing_in(browser: Browser, stack: Stack) -> None:
    context = browser.new_context(base_url=stack.address)
    page = context.new_page()
    page.goto("/sign-in?next=https://evil.example/")
    settle(page)
    page.get_by_label("API key").fill(stack.key)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{stack.address}/")
    context.close()


def test_two_tenants_see_their_own(
    open_context: OpenContext, stack: Stack, finished: dict[str, Any]
) -> None:
    project = stack.client.post("/v1/projects", json={"name": "neighbours"})
    assert project.status_code == 200, project.text
    body = {
        "name": "theirs",
        "scopes": ["jobs:read", "files:read"],
        "project": project.json()["id"],
    }
    theirs = stack.client.post("/v1/keys", json=body).json()["secret"]
    for key, sees in ((stack.key, True), (theirs, False)):
        page = open_context(key=key).new_page()
        page.goto("/")
        settle(page)
        link = page.get_by_role("link", name="owls")
        expect(link).to_have_count(1) if sees else expect(link).to_have_count(0)
        if not sees:
            expect(page.get_by_text("No jobs yet")).to_be_visible()
            page.goto(f"/jobs/{finished['id']}")
            expect(page.get_by_role("alert")).to_contain_text(finished["id"])


def test_a_revoked_key_ends_its_sessions(open_context: OpenContext, stack: Stack) -> None:
    made = stack.client.post("/v1/keys", json={"name": "gone soon", "scopes": ["jobs:read"]}).json()
    context = open_context(key=made["secret"])
    assert context.request.get("/v1/fine_tuning/jobs").ok
    stack.client.delete(f"/v1/keys/{made['id']}").raise_for_status()
    page = context.new_page()
    page.goto("/")
    page.wait_for_url("**/sign-in*")
