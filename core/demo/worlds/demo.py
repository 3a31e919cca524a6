"""The demo's world (`core/demo/world.py`) behind the protocol, its pictures and bytes unchanged."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from PIL import Image

from core.demo import canvas, captions, photograph, shapes, styles, world
from core.demo.web import PER_CLASS
from core.demo.worlds.base import Split, World


class _Demo(World):
    name = "demo"
    classes = world.CLASSES
    domains = world.DOMAINS
    manners = domains
    templates = world.TEMPLATES
    web_per_class = PER_CLASS
    sources = (canvas, captions, photograph, shapes, styles, world)

    def render(
        self, domain: str, split: Split, label: int, index: int, *, seed: int = 0
    ) -> Image.Image:
        return world.render(domain, split, label, index, seed=seed)

    def caption(
        self, domain: str, split: Split, label: int, index: int, *, seed: int = 0
    ) -> tuple[str, bool]:
        return world.caption(domain, split, label, index, seed=seed)

    def write_archive(
        self,
        path: Path,
        *,
        seed: int = 0,
        train_per_class: int = 120,
        test_per_class: int = 80,
        val_per_class: int = 0,
    ) -> None:
        """As `world.write_archives`, byte for byte: photographs are JPEG, drawings PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as beside:
            written = world.write_archives(
                Path(beside),
                seed=seed,
                train_per_class=train_per_class,
                test_per_class=test_per_class,
                val_per_class=val_per_class,
            )
            os.replace(written["demo"], path)


DEMO = _Demo()
