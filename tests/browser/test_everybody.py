"""Every view, light and dark, wide and at 360 pixels: no violation that axe-core knows, nothing
wider than the window, no word in the console."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from api.page.views import VIEWS
from tests.browser.conftest import OpenContext, Stack
from tests.browser.watched import Watch, settle, sideways, violations

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(900)]

TABS = ("keys", "usage", "workers", "queue", "projects", "audit")


def addresses(stack: Stack, finished: dict[str, Any]) -> list[str]:
    """Of every view, with something in it; tabs by themselves."""
    dataset = stack.client.get("/v1/datasets").json()["data"][0]["id"]
    paths = [
        view.path.format(job_id=finished["id"], dataset_id=dataset)
        for view in VIEWS
        if view.module != "sign_in"
    ]
    paths[paths.index("/compare")] = f"/compare?jobs={finished['id']}"
    return [*paths, *(f"/operate?tab={tab}" for tab in TABS), "/sign-in"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_views(
    open_context: OpenContext,
    stack: Stack,
    finished: dict[str, Any],
    scheme: Any,
    width: int,
) -> None:
    context = open_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    found = {}
    for path in addresses(stack, finished):
        page = context.new_page()
        watch = Watch(page, stack.address)
        page.goto(path)
        settle(page)
        page.wait_for_timeout(500)
        for summary in page.locator("summary:visible").all():
            summary.click()
        page.wait_for_timeout(200)
        problems = [*violations(page), *watch.unexpected()]
        if sideways(page):
            problems.append(f"{sideways(page)} pixels wider than the window")
        if problems:
            found[path] = problems
        page.close()
    assert found == {}


def test_empty_views_say_what_to_do_next(open_context: OpenContext, stack: Stack) -> None:
    project = stack.client.post("/v1/projects", json={"name": "nothing yet"}).json()["id"]
    body = {"name": "all of it", "scopes": ["admin"], "project": project}
    key = stack.client.post("/v1/keys", json=body).json()["secret"]
    context = open_context(key=key)
    found = {}
    for path in ("/", "/datasets", "/jobs/new", "/compare", "/playground", "/models"):
        page = context.new_page()
        watch = Watch(page, stack.address)
        page.goto(path)
        settle(page)
        problems = [*violations(page), *watch.unexpected()]
        if not page.locator(".empty, .notice, .muted").count():
            problems.append("says nothing")
        if problems:
            found[path] = problems
        page.close()
    assert found == {}


def test_the_theme_is_kept(page: Page) -> None:
    page.goto("/")
    settle(page)
    button = page.get_by_role("button", name="Theme")
    button.click()
    button.click()
    assert button.inner_text() == "Theme: dark"
    page.reload()
    settle(page)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.get_by_role("button", name="Theme: dark").is_visible()


def test_the_skip_link_comes_first(page: Page) -> None:
    page.goto("/")
    settle(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
