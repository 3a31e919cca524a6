"""Drawn worlds beside the demo's, behind one small protocol, for studying fine-tuning methods.

A world is a set of classes drawn in one in-distribution manner and several shifted ones, with the
captions a base is pre-trained on (`World` in `base.py`). To add one:

1. Write a module here with a subclass of `World` and an instance of it. Draw every random number
   from `self.generator(...)`: pictures are then functions of (seed, domain, split, label, index),
   and no two splits share a draw. Class names must be new ones, so that worlds can share a base.
2. The user's data are the splits `train`, `val` and `test` of the first domain and `test` of the
   others. Habits of theirs that fine-tuning may latch on to (usual colours, usual places) must be
   absent from the splits `pretrain` and `pretrain_validation`, the base's web.
3. Add the instance to `WORLDS`. The tests of `tests/unit/demo/test_worlds.py` run over all of
   them; `python -m core.demo.worlds.pretrain --worlds NAME --out DIR` makes a base.

Judge a world by its pictures and by its base's zero-shot accuracy alone, never by what the methods
under study score on it.
"""

from core.demo.worlds.base import World
from core.demo.worlds.demo import DEMO
from core.demo.worlds.places import PLACES
from core.demo.worlds.plankton import PLANKTON
from core.demo.worlds.signs import SIGNS

__all__ = ["DEMO", "PLACES", "PLANKTON", "SIGNS", "WORLDS", "World"]

WORLDS: dict[str, World] = {world.name: world for world in (DEMO, PLACES, SIGNS, PLANKTON)}
"""Every world by its name."""
