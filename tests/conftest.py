"""What every run of the tests ends with: one line for each part that was left out, and why."""

from __future__ import annotations

from collections import Counter

import pytest
from _pytest.terminal import TerminalReporter


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    reasons = Counter(
        _reason(report) for report in terminalreporter.stats.get("skipped", []) if report.longrepr
    )
    for reason, count in sorted(reasons.items()):
        tests = "1 test" if count == 1 else f"{count} tests"
        terminalreporter.write_line(f"left out, {tests}: {reason}", yellow=True)


def _reason(report: pytest.TestReport) -> str:
    """As whoever skipped it said it."""
    where = report.longrepr
    said = where[2] if isinstance(where, tuple) else str(where)
    return said.removeprefix("Skipped: ")
