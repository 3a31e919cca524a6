"""The plots of docs, drawn from committed comparisons.

A picture's bytes depend on fonts and on the drawing library, its definition does not: each PNG
carries the digest of the Vega-Lite definition it was drawn from, and a check compares that.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

from PIL import Image, PngImagePlugin

from core.learning.comparison.charts import charts, png
from core.learning.comparison.document import Comparison
from core.learning.comparison.marks import WIDE

_KEY = "definition"  # the PNG's text chunk


def stale_plots(comparison: Comparison, folder: Path, name: str, *, write: bool) -> list[str]:
    """File names of the comparison's plots that are not what it says; drawn anew if asked."""
    stale = []
    what = f"{comparison.provenance.title}, {comparison.provenance.base}"
    for kind, chart in charts(comparison, WIDE).items():
        path = folder / f"{name}-{kind}.png"
        definition = json.dumps(chart.to_dict(), sort_keys=True)
        digest = hashlib.sha256(definition.encode()).hexdigest()
        if path.is_file() and _digest_of(path) == digest:
            continue
        stale.append(path.name)
        if write:
            _save(png(kind, chart, what), digest, path)
    return stale


def _digest_of(path: Path) -> str | None:
    with Image.open(path) as image:
        return image.info.get(_KEY)


def _save(drawn: bytes, digest: str, path: Path) -> None:
    information = PngImagePlugin.PngInfo()
    information.add_text(_KEY, digest)
    with Image.open(io.BytesIO(drawn)) as image:
        # A quarter of the bytes, and no difference to be seen: charts have few colours.
        image.convert("P", palette=Image.Palette.ADAPTIVE).save(
            path, pnginfo=information, optimize=True
        )
