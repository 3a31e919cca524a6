"""The table of attacks names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
_NAMED = re.compile(r"`([\w/]+\.py)?::(\w+)`")


def test_every_attack_has_its_test() -> None:
    missing, count = [], 0
    for line in (TESTS / "attacks.md").read_text(encoding="utf-8").splitlines():
        file = ""
        for path, name in _NAMED.findall(line):
            file = path or file  # `::test_b` stands in the file named before it
            count += 1
            if f"def {name}(" not in (TESTS / file).read_text(encoding="utf-8"):
                missing.append(f"{file}::{name}")
        assert not line.startswith("| ") or file or line.startswith("| attack"), line
    assert missing == []
    assert count > 100
