"""All files of a comparison in one directory."""

from __future__ import annotations

from pathlib import Path

from core.learning.comparison.charts import charts, png
from core.learning.comparison.document import SELECTION_MARK, Comparison, to_json
from core.learning.comparison.marks import WIDE
from core.learning.comparison.page import html
from core.learning.comparison.sheets import changes_csv, claims_csv, results_csv


def write_comparison(comparison: Comparison, directory: Path) -> list[Path]:
    """JSON, page, CSV and plots; the paths written, the document first.

    `comparison.json` is the whole document, from which the others can be made again. Raises
    OSError when the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    provenance = comparison.provenance
    what = f"{provenance.title}, {provenance.base}, {provenance.origin}"
    if comparison.findings.touched:
        what += f"; {SELECTION_MARK} touched by selection"
    contents: dict[str, str | bytes] = {
        "comparison.json": to_json(comparison),
        "comparison.html": html(comparison),
        "results.csv": results_csv(comparison),
        "claims.csv": claims_csv(comparison),
        "changes.csv": changes_csv(comparison),
    }
    for name, chart in charts(comparison, WIDE).items():
        contents[f"{name}.png"] = png(name, chart, what)
    paths = []
    for name, content in contents.items():
        path = directory / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        paths.append(path)
    return paths
