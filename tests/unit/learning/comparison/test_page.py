"""The page: what is on it, names that attack it, and that JSON alone makes it again."""

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.learning.comparison.document import Comparison, Provenance, from_json, to_json
from core.learning.comparison.findings import compare
from core.learning.comparison.page import html
from core.learning.comparison.sheets import changes_csv, claims_csv, results_csv
from tests.unit.learning.comparison.conftest import World
from tests.unit.learning.comparison.jobs import PROVENANCE, compared

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'onload='alert(1)",
    "</style><svg onload=alert(1)>",
    "{{ 7 * 7 }} & <b>",
)
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Parsed(HTMLParser):
    """Tags with their attributes, and text by the tag around it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self._open[-1] if self._open else "", data))

    def text(self) -> str:
        return " ".join(" ".join(text for _, text in self.texts).split())


@pytest.fixture(scope="module")
def page(written: dict[str, bytes]) -> str:
    return written["comparison.html"].decode()


def inert(parsed: Parsed) -> None:
    """Nothing runs, nothing is fetched, no id stands twice."""
    ids = []
    for tag, attributes in parsed.tags:
        assert tag not in {"script", "iframe", "object", "embed", "link", "img", "image", "base"}
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert not attributes.keys() & {"src", "href", "xlink:href", "srcset", "action", "data"}
        for name, value in attributes.items():
            assert "url(" not in (value or ""), (tag, name, value)
            if name == "id":
                ids.append(value)
    assert len(ids) == len(set(ids))
    styles = [text for tag, text in parsed.texts if tag == "style"]
    assert len(styles) == 1
    assert "url(" not in styles[0]
    assert "@import" not in styles[0]


def test_the_page_is_one_inert_file(page: str) -> None:
    inert(Parsed(page))
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page


def test_the_verdict_comes_first_and_every_section_follows(world: World, page: str) -> None:
    parsed = Parsed(page)
    text = parsed.text()
    verdict = world.comparison.verdict
    places = [text.index(sentence) for sentence in (verdict.headline, verdict.caveat)]
    headings = [data for tag, data in parsed.texts if tag == "h2"]
    assert headings == [
        "Accuracy",
        "Charts",
        "Gains and losses against zero-shot",
        "Which differences are more than chance",
        "Calibration",
        "Other metrics",
        "Cost",
        "Seed by seed",
        "Protocol",
        "Methods",
    ]
    assert max(places) < text.index(" Accuracy ")
    for said in (
        "mean over shifted splits: equal weight on painting, sketch.",
        "mean over corruptions: equal weight on fog 1, 3.",
        PROVENANCE.selected_by[0],
        "commit 0123456789ab",
        "Author et al., About ft, 2024",
        "test (ID, 120 images), painting (shifted, 120 images)",
        "Lipsum-FT: 0, 1, 2",
        "bootstrap seed 0",
    ):
        assert said in text, said
    captions = [text for tag, text in parsed.texts if tag == "figcaption"]
    assert len(captions) == 4
    assert sum(tag == "svg" for tag, _ in parsed.tags) == 8  # for a screen and for a telephone


def test_tables_hold_the_findings(page: str) -> None:
    cells = [text for tag, text in Parsed(page).texts if tag in ("td", "th")]
    row = cells.index("FT")
    accuracies = ["85.0 ± 2.5", "57.5 ± 1.3", "46.2 ± 1.2", "62.5 ± 2.5", "52.5 ± 2.5"]
    assert cells[row : row + 8] == ["FT", "out", *accuracies, "3"]
    row = cells.index("Lipsum-FT")
    assert cells[row + 1] == "1"


def hostile(root: Path) -> Comparison:
    splits = {"test": 0.8, HOSTILE[0]: 0.6, HOSTILE[1]: 0.7, HOSTILE[4]: 0.5}
    return compared(
        root,
        {"ft": [splits] * 2, "b": [{**splits, HOSTILE[0]: 0.55}] * 2},
        splits,
        n=60,
        labels={"ft": HOSTILE[1], "b": HOSTILE[3]},
        selection=[HOSTILE[0]],
        provenance=Provenance(
            title=HOSTILE[0],
            base=HOSTILE[1],
            date=HOSTILE[2],
            commit=HOSTILE[3],
            version=HOSTILE[4],
            machine=HOSTILE[0],
            selected_by=HOSTILE,
            notes=HOSTILE,
        ),
    )


def test_hostile_names_are_text(tmp_path: Path) -> None:
    parsed = Parsed(html(hostile(tmp_path)))
    inert(parsed)
    text = parsed.text()
    for name in HOSTILE:
        assert name in text
    charted = [data for tag, data in parsed.texts if tag in ("text", "tspan")]
    assert any("<script>" in data for data in charted)
    assert any("onerror" in data for data in charted)


def test_json_alone_makes_every_file_again(world: World, written: dict[str, bytes]) -> None:
    assert list(written) == [
        "comparison.json",
        "comparison.html",
        "results.csv",
        "claims.csv",
        "changes.csv",
        "plane.png",
        "splits.png",
        "calibration.png",
        "cost.png",
    ]
    again = from_json(written["comparison.json"].decode())
    assert again == world.comparison
    assert html(again).encode() == written["comparison.html"]
    for name, sheet in (
        ("results.csv", results_csv),
        ("claims.csv", claims_csv),
        ("changes.csv", changes_csv),
    ):
        assert sheet(again).encode() == written[name]


def test_equal_files_give_equal_bytes(world: World, page: str, tmp_path: Path) -> None:
    assert to_json(compare(world.sources, PROVENANCE)) == to_json(world.comparison)
    path = tmp_path / "comparison.json"
    path.write_text(to_json(world.comparison), encoding="utf-8")
    program = (
        "import sys; from pathlib import Path\n"
        "from core.learning.comparison.document import from_json\n"
        "from core.learning.comparison.page import html\n"
        "text = html(from_json(Path(sys.argv[1]).read_text(encoding='utf-8')))\n"
        "sys.stdout.buffer.write(text.encode())\n"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert elsewhere.stdout.decode() == page


def test_a_document_of_another_version_is_refused(world: World) -> None:
    text = to_json(world.comparison)
    assert '"schema_version": 1' in text
    with pytest.raises(ValueError, match="schema_version 2, this library reads 1"):
        from_json(text.replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(ValueError, match="schema_version None"):
        from_json("[]")
    with pytest.raises(ValidationError, match="situation"):
        from_json(text.replace('"situation": "clear"', '"situation": "wonderful"'))


@pytest.mark.parametrize("accuracies", [{"test": 0.8}, {"test": 0.8, "night": 0.5}])
def test_a_lonely_contender_without_zero_shot_or_shift(
    tmp_path: Path, accuracies: dict[str, float]
) -> None:
    comparison = compared(tmp_path, {"ft": [accuracies]}, None, n=60)
    parsed = Parsed(html(comparison))
    inert(parsed)
    text = parsed.text()
    assert "No zero-shot model was scored." in text
    assert "Which differences are more than chance" not in text
    assert ("No shifted split was scored, so there is no plane" in text) == (
        "night" not in accuracies
    )


def test_rendering_tables_loads_neither_torch_nor_charts() -> None:
    program = (
        "import sys; import core.learning.comparison.markdown, core.learning.comparison.tables\n"
        "print([name for name in ('torch', 'altair', 'vl_convert') if name in sys.modules])\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, text=True
    )
    assert found.stdout.strip() == "[]"
