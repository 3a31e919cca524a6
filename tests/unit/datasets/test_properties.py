"""What holds for any tree, and for any bytes."""

from __future__ import annotations

import contextlib
import functools
import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.datasets.check import check
from core.datasets.images import UnreadableImage, decode
from core.datasets.limits import Limits
from core.datasets.names import checked_name, folded
from core.datasets.structure import Structure, inspect
from core.datasets.validation_split import hold_out
from core.errors import InvalidDataset, ServiceError
from core.settings import Settings

from .conftest import read_all
from .test_check import entries, ignore
from .trees import as_tar, as_zip, picture, tree

LIMITS = Limits.from_settings(Settings())
quick = functools.partial(
    settings, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)

part = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="/\\"),
    min_size=1,
    max_size=8,
)
image_name = st.builds("{}{}".format, part, st.sampled_from([".jpg", ".PNG", ".txt", ""]))
paths = st.builds(
    lambda folders, name: "/".join([*folders, name]),
    st.lists(st.one_of(st.sampled_from(["train", "val", "sketch", "a", "b"]), part), max_size=3),
    image_name,
)
trees = st.lists(paths, max_size=8).map(dict.fromkeys)


def outcome(data: bytes) -> str:
    """The structure but for the format, or the fault."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        try:
            structure = inspect(Path(file.name), LIMITS)
        except ServiceError as error:
            return f"{error.code}: {error.message}"
    again = Structure.model_validate_json(structure.model_dump_json())
    assert again == structure
    return structure.model_copy(update={"format": "tar"}).model_dump_json()


@quick(max_examples=150)
@given(trees)
def test_zip_and_tar_of_a_tree_are_one_structure(names: dict[str, None]) -> None:
    files = dict.fromkeys(names, b"x")
    found = outcome(as_zip(files))
    assert found == outcome(as_tar(files))
    assert found == outcome(as_tar(files, gzipped=True))


def read_everything(data: bytes) -> None:
    """Raises nothing but ServiceError, with a message to print, whatever the bytes are."""
    with tempfile.NamedTemporaryFile() as file:
        path = Path(file.name)
        path.write_bytes(data)
        try:
            read_all(path, LIMITS)
            structure = inspect(path, LIMITS)
            check(path, structure, LIMITS, max_unreadable_fraction=0.5, progress=ignore)
            message = ""
        except ServiceError as error:
            message = error.message
    assert message.isprintable()


STARTS = [b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08\x00", b"PK\x05\x06" + bytes(18)]


@quick(max_examples=200)
@given(st.sampled_from(STARTS), st.binary(max_size=1500))
@example(b"", gzip.compress(b"\xff" * 512))
def test_any_bytes(start: bytes, rest: bytes) -> None:
    read_everything(start + rest)


_FILES = tree("train/cat/1.png", "train/dog/2.png", "test/cat/3.png")
ARCHIVES = [
    as_zip(_FILES, ("train",)),
    as_tar(_FILES, ("train",)),
    as_tar(_FILES, gzipped=True),
]


@quick(max_examples=300)
@given(
    st.sampled_from(ARCHIVES),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 1 << 20),
)
def test_any_damage(archive: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(archive)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    if cut % 4 == 0:
        del damaged[cut % len(damaged) :]
    read_everything(bytes(damaged))


IMAGES = [picture(1, form) for form in ("PNG", "JPEG", "BMP", "TIFF", "WEBP")]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@quick(max_examples=300)
@given(
    st.sampled_from(IMAGES),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_any_damaged_image(data: bytes, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    with contextlib.suppress(UnreadableImage):
        assert decode(bytes(damaged), LIMITS).mode == "RGB"


@quick(max_examples=300)
@given(st.text(max_size=40))
def test_checked_names_stay_inside(raw: str) -> None:
    try:
        name = checked_name(raw)
    except InvalidDataset:
        return
    parts = Path("/root", name).parts
    assert parts[:2] == ("/", "root")
    assert ".." not in parts
    assert checked_name(name) == name
    assert folded(folded(name)) == folded(name)


@quick(max_examples=100)
@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 12), min_size=1),
    st.floats(0.01, 0.99),
    st.integers(0, 2**31 - 1),
)
def test_hold_out_leaves_every_class_an_image(
    sizes: dict[str, int], fraction: float, seed: int
) -> None:
    everything = entries(**sizes)
    train, val = hold_out(everything, fraction, seed)
    assert sorted(e.key for e in train + val) == sorted(e.key for e in everything)
    assert {e.class_name for e in train} == set(sizes)
    assert len(val) <= max(1, round(len(everything) * fraction))
