"""The drawn world: the same pixels everywhere, no draw shared between splits, exact archives."""

import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.demo.world import (
    CLASSES,
    DOMAINS,
    IMAGE_SIZE,
    SHIFTED,
    SPLITS,
    TEMPLATES,
    Split,
    caption,
    render,
    write_archives,
)

COLOURS = {"red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "grey"}

DIGEST = """
import hashlib
from core.demo.world import DOMAINS, caption, render
digest = hashlib.sha256()
for domain in DOMAINS:
    for label in (0, 7, 24):
        digest.update(render(domain, "test", label, 3, seed=5).tobytes())
        digest.update(caption(domain, "test", label, 3, seed=5)[0].encode())
print(digest.hexdigest())
"""


def pixels(domain: str, split: Split, label: int, index: int, *, seed: int = 0) -> bytes:
    return render(domain, split, label, index, seed=seed).tobytes()


def test_the_world_is_as_large_as_promised() -> None:
    assert DOMAINS == ("real", "painting", "clipart", "infograph", "sketch")
    assert DOMAINS[1:] == SHIFTED
    assert len(set(CLASSES)) == len(CLASSES) >= 20
    assert list(CLASSES) == sorted(CLASSES), "labels follow the folders' order"
    assert all(name.isalpha() and name.islower() for name in CLASSES)
    assert all(template.count("{}") == 1 for template in TEMPLATES)


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_class_draws_in_every_domain(domain: str) -> None:
    for label in range(len(CLASSES)):
        image = render(domain, "test", label, 0)
        assert (image.mode, image.size) == ("RGB", (IMAGE_SIZE, IMAGE_SIZE))
        assert np.asarray(image).std() > 5.0, f"{CLASSES[label]} is a blank picture"


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_picture_is_a_function_of_its_arguments(domain: str) -> None:
    before = pixels(domain, "train", 3, 4)
    np.random.seed(0)
    render(domain, "train", 9, 9)
    assert pixels(domain, "train", 3, 4) == before
    others = [
        pixels(domain, "train", 3, 5),
        pixels(domain, "train", 2, 4),
        pixels(domain, "train", 3, 4, seed=1),
    ]
    assert before not in others


def test_another_process_draws_the_same_pixels() -> None:
    root = Path(__file__).parents[3]
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST], cwd=root, capture_output=True, check=True, text=True
        ).stdout
        for _ in range(2)
    }
    here = hashlib.sha256()
    for domain in DOMAINS:
        for label in (0, 7, 24):
            here.update(pixels(domain, "test", label, 3, seed=5))
            here.update(caption(domain, "test", label, 3, seed=5)[0].encode())
    assert digests == {here.hexdigest() + "\n"}


def test_drawing_needs_no_torch() -> None:
    root = Path(__file__).parents[3]
    command = "import sys, core.demo.world; print('torch' in sys.modules)"
    seen = subprocess.run(
        [sys.executable, "-c", command], cwd=root, capture_output=True, check=True, text=True
    )
    assert seen.stdout == "False\n"


def test_no_draw_is_shared_between_splits() -> None:
    drawn = [
        hashlib.sha256(pixels(domain, split, label, index)).digest()
        for domain in DOMAINS
        for split in SPLITS
        for label in (0, 11)
        for index in range(20)
    ]
    assert len(set(drawn)) == len(drawn)


def test_an_unknown_domain_is_named_in_the_error() -> None:
    with pytest.raises(ValueError, match=r"unknown domain 'quickdraw'.*real, painting"):
        render("quickdraw", "test", 0, 0)


def test_captions_name_the_thing_and_mostly_the_manner_but_no_colour() -> None:
    said = [
        (CLASSES[label], *caption(domain, "pretrain", label, index))
        for domain in DOMAINS
        for label in range(len(CLASSES))
        for index in range(20)
    ]
    for name, sentence, _ in said:
        assert name in sentence
        assert "{" not in sentence
        assert not COLOURS & set(sentence.split()), sentence
    assert 0.65 < np.mean([names_domain for _, _, names_domain in said]) < 0.75
    assert len({sentence for _, sentence, _ in said}) > 0.7 * len(said)


def test_the_archive_keeps_the_layout_contract(tmp_path: Path) -> None:
    paths = write_archives(tmp_path, train_per_class=2, val_per_class=1, test_per_class=3)
    assert paths == {"demo": tmp_path / "demo.zip"}
    with zipfile.ZipFile(paths["demo"]) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        for name in names:
            split, _, file = name.split("/")
            image = Image.open(io.BytesIO(archive.read(name)))
            kind = "JPEG" if split in {"train", "val", "test"} else "PNG"
            assert (image.format, image.size) == (kind, (IMAGE_SIZE, IMAGE_SIZE))
            assert file.endswith(".jpg" if kind == "JPEG" else ".png")
    counts = {"train": 2, "val": 1, "test": 3} | dict.fromkeys(SHIFTED, 3)
    folders = [tuple(name.split("/")[:2]) for name in names]
    assert len(names) == len(set(names)) == len(CLASSES) * sum(counts.values())
    for split, count in counts.items():
        for name in CLASSES:
            assert folders.count((split, name)) == count


def test_a_split_nobody_asked_for_is_not_written(tmp_path: Path) -> None:
    path = write_archives(tmp_path, train_per_class=1, test_per_class=1)["demo"]
    with zipfile.ZipFile(path) as archive:
        splits = {name.split("/")[0] for name in archive.namelist()}
    assert splits == {"train", "test", *SHIFTED}


def test_archives_are_equal_byte_for_byte_and_follow_the_seed(tmp_path: Path) -> None:
    sizes = {"train_per_class": 1, "test_per_class": 1}
    first, again, other = (
        write_archives(tmp_path / name, seed=seed, **sizes)["demo"].read_bytes()
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert first == again
    assert first != other


def test_a_png_in_the_archive_holds_the_rendered_pixels(tmp_path: Path) -> None:
    path = write_archives(tmp_path, train_per_class=1, test_per_class=2)["demo"]
    with zipfile.ZipFile(path) as archive:
        stored = Image.open(io.BytesIO(archive.read(f"sketch/{CLASSES[4]}/00001.png")))
    assert stored.tobytes() == pixels("sketch", "test", 4, 1)
