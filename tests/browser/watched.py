"""A page under watch: what its console says, what it asks of whom, and what axe finds."""

from __future__ import annotations

import re
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, Request


class Watch:
    """Collects what no page of ours may do. `allow` takes what a test provokes."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.problems: list[str] = []
        self._address = address
        self._allowed: list[re.Pattern[str]] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("request", self._on_request)

    def allow(self, pattern: str) -> None:
        """Console lines that match are what the test is about."""
        self._allowed.append(re.compile(pattern))

    def unexpected(self) -> list[str]:
        """What nobody allowed."""
        return [
            line
            for line in self.problems
            if not any(pattern.search(line) for pattern in self._allowed)
        ]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith(self._address):
            self.problems.append(f"asked elsewhere: {request.url[:200]}")


def settle(page: Page) -> None:
    """Waits until the view has drawn what it draws first."""
    page.locator('#view[aria-busy="false"]').wait_for()


def violations(page: Page) -> list[str]:
    """What axe-core finds, of any weight, as lines that say where."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{rule['impact']} {rule['id']}: {[node['target'] for node in rule['nodes']][:3]}"
        for rule in found
    ]


def sideways(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    root = "document.documentElement"
    return int(page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))
