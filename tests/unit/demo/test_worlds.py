"""The worlds beside the demo's: exact draws, archives and groups; spurious cues as stated."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import open_clip
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.datasets.check import check
from core.datasets.duplicates import require_no_leaks
from core.datasets.index import DatasetIndex
from core.datasets.limits import Limits
from core.datasets.structure import inspect, require_scorable, require_trainable
from core.demo import pretrain as demo_pretrain
from core.demo import web as demo_web
from core.demo import world as demo_world
from core.demo.base_files import BASE, load_tokenizer
from core.demo.pretrain import Plan, fit, run_numbers
from core.demo.scoring import archive_accuracy, web_accuracy
from core.demo.worlds import DEMO, PLACES, PLANKTON, SIGNS, WORLDS, World
from core.demo.worlds.base import SPLITS, Split
from core.demo.worlds.birds import BIRDS
from core.demo.worlds.card import write_numbers
from core.demo.worlds.places import AGREEING, BLOCK
from core.demo.worlds.plankton import HABIT
from core.demo.worlds.pretrain import outside_gate
from core.demo.worlds.signs import CONVENTION
from core.demo.worlds.slides import MAGNIFICATIONS, TINTS, any_slide, usual_slide
from core.demo.worlds.web import drawn_web
from core.settings import Settings

ROOT = Path(__file__).parents[3]

Values = NDArray[np.float64]

WATER_BIRDS = {"duck", "gull", "heron", "penguin"}

DRAWN_HERE = tuple(world for world in WORLDS.values() if world is not DEMO)
"""The demo's own drawing has tests of its own."""

DIGEST = """
import hashlib
from core.demo.worlds import WORLDS
digest = hashlib.sha256()
for world in WORLDS.values():
    for domain in world.domains:
        for label in (0, 3, 7):
            digest.update(world.render(domain, "test", label, 3, seed=5).tobytes())
            digest.update(repr(world.caption(domain, "train", label, 3, seed=5)).encode())
            digest.update(repr(world.groups(domain, "train", label, 3, seed=5)).encode())
print(digest.hexdigest())
"""

every_world = pytest.mark.parametrize("world", WORLDS.values(), ids=lambda world: world.name)
every_new_world = pytest.mark.parametrize("world", DRAWN_HERE, ids=lambda world: world.name)


def pixels(
    world: World, domain: str, split: Split, label: int, index: int, *, seed: int = 0
) -> bytes:
    return world.render(domain, split, label, index, seed=seed).tobytes()


def usual_place(label: int) -> str:
    return "water" if BIRDS[label] in WATER_BIRDS else "land"


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("archives")
    paths = {}
    for world in WORLDS.values():
        paths[world.name] = directory / f"{world.name}.zip"
        world.write_archive(
            paths[world.name], seed=1, train_per_class=3, val_per_class=1, test_per_class=2
        )
    return paths


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The rows of `groups.csv` in an archive of `places` with two blocks a class."""
    path = tmp_path_factory.mktemp("grouped") / "places.zip"
    PLACES.write_archive(path, seed=2, train_per_class=40, test_per_class=40)
    with zipfile.ZipFile(path) as archive:
        text = archive.read("groups.csv").decode()
    return list(csv.DictReader(io.StringIO(text)))


# What a world states


@every_world
def test_a_world_states_itself(world: World) -> None:
    assert WORLDS[world.name] is world
    assert list(world.classes) == sorted(set(world.classes)), "labels follow the folders' order"
    assert all(name.isalpha() and name.islower() for name in world.classes)
    assert len(set(world.domains)) == len(world.domains) >= 4
    assert world.shifted == world.domains[1:]
    assert not {"train", "val", "test"} & set(world.domains)
    assert all(template.count("{}") == 1 for template in world.templates)
    assert set(world.web_per_class) <= set(world.domains)
    assert world.domains[0] in world.web_per_class, "the web knows the first domain"


def test_no_two_worlds_share_a_class() -> None:
    names = [name for world in WORLDS.values() for name in world.classes]
    assert len(set(names)) == len(names)


def test_the_web_has_every_manner_of_the_users_data() -> None:
    for world in WORLDS.values():
        shown = {
            world.manner(domain, "pretrain", label, index)
            for domain in world.web_per_class
            for label in range(len(world.classes))
            for index in range(20)
        }
        met = {
            world.manner(domain, "test", label, index)
            for domain in world.domains
            for label in range(len(world.classes))
            for index in range(20)
        }
        assert met <= shown == set(world.manners)


# Draws


@every_new_world
def test_every_class_draws_in_every_domain(world: World) -> None:
    for domain, label in itertools.product(world.domains, range(len(world.classes))):
        image = world.render(domain, "test", label, 0)
        assert (image.mode, image.size) == ("RGB", (36, 36))
        assert np.asarray(image).std() > 5.0, f"{world.classes[label]} in {domain} is blank"


@every_new_world
def test_a_picture_is_a_function_of_its_arguments(world: World) -> None:
    for domain in world.domains:
        before = pixels(world, domain, "train", 3, 4)
        np.random.seed(0)
        world.render(domain, "train", 5, 9)
        assert pixels(world, domain, "train", 3, 4) == before
        assert before not in [
            pixels(world, domain, "train", 3, 5),
            pixels(world, domain, "train", 2, 4),
            pixels(world, domain, "train", 3, 4, seed=1),
        ]


def test_another_process_draws_the_same() -> None:
    there = subprocess.run(
        [sys.executable, "-c", DIGEST], cwd=ROOT, capture_output=True, check=True, text=True
    )
    here = hashlib.sha256()
    for world in WORLDS.values():
        for domain, label in itertools.product(world.domains, (0, 3, 7)):
            here.update(pixels(world, domain, "test", label, 3, seed=5))
            here.update(repr(world.caption(domain, "train", label, 3, seed=5)).encode())
            here.update(repr(world.groups(domain, "train", label, 3, seed=5)).encode())
    assert there.stdout == here.hexdigest() + "\n"


def test_drawing_needs_no_torch() -> None:
    command = "import sys, core.demo.worlds; print('torch' in sys.modules)"
    seen = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert seen.stdout == "False\n"


@every_new_world
def test_no_draw_is_shared_between_splits_or_domains(world: World) -> None:
    drawn = [
        hashlib.sha256(pixels(world, domain, split, label, index)).digest()
        for domain in world.domains
        for split in SPLITS
        for label in (0, len(world.classes) - 1)
        for index in range(10)
    ]
    assert len(set(drawn)) == len(drawn)


@every_new_world
def test_what_a_world_does_not_have_is_named_in_the_error(world: World) -> None:
    with pytest.raises(ValueError, match=f"unknown domain 'fog'.*{world.domains[1]}"):
        world.render("fog", "test", 0, 0)
    with pytest.raises(ValueError, match=r"unknown split 'dev'.*val, test"):
        world.render(world.domains[0], "dev", 0, 0)
    with pytest.raises(ValueError, match="no class -1; labels are 0 to"):
        world.render(world.domains[0], "test", -1, 0)


@every_new_world
def test_captions_name_the_class_and_mostly_the_manner(world: World) -> None:
    said = [
        (world.classes[label], *world.caption(domain, "pretrain", label, index))
        for domain in world.web_per_class
        for label in range(len(world.classes))
        for index in range(40)
    ]
    for name, sentence, _ in said:
        assert name in sentence
        assert "{" not in sentence
    assert 0.65 < np.mean([names_manner for _, _, names_manner in said]) < 0.75
    assert len({sentence for _, sentence, _ in said}) > 0.6 * len(said)


def test_a_caption_names_the_place_that_is_in_the_picture() -> None:
    words = {"snow": "snow", "dune": "sand", "desert": "sand", "pavement": "city",
             "street": "city", "lake": "water", "waves": "water", "forest": "land",
             "meadow": "land"}  # fmt: skip
    heard = Counter()
    for domain, label, index in itertools.product(PLACES.web_per_class, range(8), range(60)):
        sentence, names_manner = PLACES.caption(domain, "pretrain", label, index)
        for word in words.keys() & set(sentence.rstrip(".").split()):
            assert names_manner
            assert PLACES.manner(domain, "pretrain", label, index) == words[word], sentence
            heard[word] += 1
    assert set(heard) == set(words)


# The spurious backgrounds of `places`


@pytest.mark.parametrize("domain", AGREEING)
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_places_agree_with_birds_as_often_as_stated(domain: str, split: Split) -> None:
    for label in range(len(BIRDS)):
        kinds = [PLACES.manner(domain, split, label, index) for index in range(5 * BLOCK)]
        assert set(kinds) <= {"water", "land"}
        agreeing = [kind == usual_place(label) for kind in kinds]
        for start in range(0, 5 * BLOCK, BLOCK):
            assert sum(agreeing[start : start + BLOCK]) == AGREEING[domain]


def test_the_stated_agreement_is_waterbirds() -> None:
    shares = {domain: count / BLOCK for domain, count in AGREEING.items()}
    assert shares == {"habitat": 0.95, "balanced": 0.5, "reversed": 0.05}


def test_odd_places_come_at_no_fixed_index() -> None:
    odd = {
        index
        for label in range(len(BIRDS))
        for index in range(BLOCK)
        if PLACES.manner("habitat", "train", label, index) != usual_place(label)
    }
    assert len(odd) > 3


def test_unseen_backgrounds_are_dealt_out_evenly() -> None:
    for label in range(len(BIRDS)):
        kinds = Counter(PLACES.manner("unseen_backgrounds", "test", label, i) for i in range(60))
        assert kinds == {"snow": 20, "sand": 20, "city": 20}


def test_in_the_web_places_and_birds_are_independent() -> None:
    for split, label in itertools.product(SPLITS[:2], range(len(BIRDS))):
        kinds = Counter(PLACES.manner("habitat", split, label, index) for index in range(60))
        assert kinds == {"water": 30, "land": 30}


def test_the_archives_groups_hold_the_correlation(grouped: list[dict[str, str]]) -> None:
    """Phi of bird's kind and place over the files, as a reader of the archive measures it."""

    def correlation(split: str) -> float:
        here = [row for row in grouped if row["file"].startswith(f"{split}/")]
        is_water_bird = [row["file"].split("/")[1] in WATER_BIRDS for row in here]
        is_on_water = [row["group"].endswith(" on water") for row in here]
        assert len(here) == 40 * len(BIRDS)
        return float(np.corrcoef(is_water_bird, is_on_water)[0, 1])

    # Both margins are even, so phi is twice the agreement less one.
    assert correlation("train") == pytest.approx(0.9)
    assert correlation("test") == pytest.approx(0.9)
    assert correlation("balanced") == pytest.approx(0.0, abs=1e-12)
    assert correlation("reversed") == pytest.approx(-0.9)


def test_the_place_that_is_named_is_the_place_that_is_drawn() -> None:
    """Water is blue and land is green: the difference alone tells most pictures' group."""
    right = []
    for label, index in itertools.product(range(len(BIRDS)), range(30)):
        picture = np.asarray(PLACES.render("balanced", "test", label, index), dtype=float)
        _, green, blue = picture.reshape(-1, 3).mean(0)
        named = PLACES.groups("balanced", "test", label, index)
        right.append((named == f"{BIRDS[label]} on water") == (blue > green))
    assert np.mean(right) > 0.8


def test_groups_name_every_image_once(grouped: list[dict[str, str]]) -> None:
    files = [row["file"] for row in grouped]
    assert set(grouped[0]) == {"file", "group"}
    assert len(files) == len(set(files)) == 5 * 40 * len(BIRDS)
    for row in grouped:
        split, name, file = row["file"].split("/")
        domain = {"train": "habitat", "test": "habitat"}.get(split, split)
        where = (domain, "train" if split == "train" else "test", BIRDS.index(name), int(file[:5]))
        assert row["group"] == PLACES.groups(*where, seed=2)
        assert row["group"].startswith(f"{name} on ")
    groups = {row["group"] for row in grouped if row["file"].startswith("train/")}
    assert groups == {f"{name} on {kind}" for name in BIRDS for kind in ("water", "land")}


# The convention of `signs`


def colour_tells(domain: str, split: Split, count: int = 24) -> float:
    """The share of the variance of a picture's mean colour that lies between classes."""
    middle_KN3 = np.array(
        [
            [
                np.asarray(SIGNS.render(domain, split, label, index), dtype=float)[10:26, 10:26]
                .reshape(-1, 3)
                .mean(0)
                for index in range(count)
            ]
            for label in range(len(SIGNS.classes))
        ]
    )
    return share_between(middle_KN3)


def share_between(values_KND: Values) -> float:
    """The share of their variance that lies between the K rows."""
    within = values_KND.var(axis=1).mean()
    return float(1.0 - within / values_KND.reshape(-1, values_KND.shape[2]).var(axis=0).mean())


def test_plates_tell_of_pictograms_in_the_users_data_and_not_in_the_web() -> None:
    assert CONVENTION == 0.6
    assert colour_tells("day", "train") > 0.15
    assert colour_tells("foreign", "test") > 0.15
    assert colour_tells("day", "pretrain") < 0.08
    assert colour_tells("foreign", "pretrain") < 0.08


# The habit of `plankton`


def tint_tells(domain: str, split: Split) -> float:
    """The share of the variance of a picture's colour, without its lightness, between classes."""
    mean_KN3 = np.array(
        [
            [
                np.asarray(PLANKTON.render(domain, split, label, index), dtype=float)
                .reshape(-1, 3)
                .mean(0)
                for index in range(24)
            ]
            for label in range(len(PLANKTON.classes))
        ]
    )
    return share_between(mean_KN3 - mean_KN3.mean(2, keepdims=True))


@pytest.mark.parametrize("domain", PLANKTON.domains)
def test_water_tells_of_creatures_in_the_users_data_and_not_in_the_web(domain: str) -> None:
    assert HABIT == 0.6
    assert tint_tells(domain, "test") > 0.1
    assert tint_tells(domain, "pretrain") < 0.08


def test_another_laboratory_keeps_no_creature_as_this_one_does() -> None:
    here = [usual_slide(label, elsewhere=False) for label in range(len(PLANKTON.classes))]
    there = [usual_slide(label, elsewhere=True) for label in range(len(PLANKTON.classes))]
    for slides in (here, there):
        assert {slide.tint for slide in slides} == set(range(len(TINTS)))
        assert {slide.magnification for slide in slides} == set(range(len(MAGNIFICATIONS)))
    for one, other in zip(here, there, strict=True):
        assert one.tint != other.tint
        assert one.magnification != other.magnification
    rng = np.random.default_rng(0)
    assert len({any_slide(rng) for _ in range(300)}) == len(TINTS) * len(MAGNIFICATIONS)


def test_a_creature_is_as_large_as_its_laboratory_likes_it() -> None:
    """Volvox is a ball: what is not black in dark field is its disc."""
    label = PLANKTON.classes.index("volvox")
    assert usual_slide(label, elsewhere=False).magnification == 0

    def lit(split: Split) -> float:
        pictures = [
            np.asarray(PLANKTON.render("dark", split, label, index), dtype=float).mean(2)
            for index in range(60)
        ]
        return float(np.mean([(grey > np.median(grey) + 20).mean() for grey in pictures]))

    assert lit("test") < 0.9 * lit("pretrain")


# Archives


@every_world
def test_the_archive_keeps_the_layout_contract(world: World, archives: dict[str, Path]) -> None:
    with zipfile.ZipFile(archives[world.name]) as archive:
        assert archive.testzip() is None
        images = [name for name in archive.namelist() if name != "groups.csv"]
        assert ("groups.csv" in archive.namelist()) == (world is PLACES)
        for name in images:
            assert Image.open(io.BytesIO(archive.read(name))).size == (36, 36)
    counts = {"train": 3, "val": 1, "test": 2} | dict.fromkeys(world.shifted, 2)
    found = Counter(tuple(name.split("/")[:2]) for name in images)
    assert found == {(split, name): n for split, n in counts.items() for name in world.classes}


@every_world
def test_the_service_accepts_the_archive(world: World, archives: dict[str, Path]) -> None:
    limits = Limits.from_settings(Settings())
    structure = inspect(archives[world.name], limits)
    require_trainable(structure)
    for split in ("val", "test", *world.shifted):
        require_scorable(structure, split, structure.classes)
    index = check(
        archives[world.name],
        structure,
        limits,
        max_unreadable_fraction=0.0,
        progress=lambda done, total: None,
    )
    assert isinstance(index, DatasetIndex)
    assert index.classes == world.classes
    assert set(index.splits) == {"train", "val", "test", *world.shifted}
    assert require_no_leaks(index, allow=False) == []


@every_new_world
def test_archives_are_equal_byte_for_byte_and_follow_the_seed(world: World, tmp_path: Path) -> None:
    digests = []
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        path = tmp_path / name / "world.zip"
        world.write_archive(path, seed=seed, train_per_class=1, test_per_class=1)
        digests.append(hashlib.sha256(path.read_bytes()).digest())
    assert digests[0] == digests[1] != digests[2]


# The demo's world behind the protocol


def test_the_demos_pictures_and_captions_are_its_own() -> None:
    for domain, label in itertools.product(demo_world.DOMAINS, (0, 11, 24)):
        mine = DEMO.render(domain, "train", label, 2, seed=3)
        assert mine.tobytes() == demo_world.render(domain, "train", label, 2, seed=3).tobytes()
        sentence = DEMO.caption(domain, "train", label, 2, seed=3)
        assert sentence == demo_world.caption(domain, "train", label, 2, seed=3)
        assert DEMO.groups(domain, "train", label, 2, seed=3) is None


def test_the_demos_archive_is_the_demos_byte_for_byte(
    archives: dict[str, Path], tmp_path: Path
) -> None:
    written = demo_world.write_archives(
        tmp_path, seed=1, train_per_class=3, val_per_class=1, test_per_class=2
    )
    assert archives["demo"].read_bytes() == written["demo"].read_bytes()
    assert not list(archives["demo"].parent.glob("tmp*")), "nothing is left beside it"


def test_the_demos_web_is_what_its_base_was_trained_on(tmp_path: Path) -> None:
    mine = drawn_web(tmp_path / "mine", (DEMO,), split="pretrain", per_class=2, seed=0, workers=1)
    theirs = demo_web.drawn_web(
        tmp_path / "theirs",
        split="pretrain",
        per_class=dict.fromkeys(demo_web.PER_CLASS, 2),
        seed=0,
        workers=1,
    )
    for ours, original in zip(mine, theirs, strict=True):
        assert np.array_equal(ours, original)


# Webs and bases of several worlds


def test_a_web_of_two_worlds_numbers_classes_and_manners_through(tmp_path: Path) -> None:
    web = drawn_web(tmp_path, (PLACES, SIGNS), split="pretrain", per_class=2, seed=0, workers=1)
    count = 2 * 8 * 2 + 5 * 16 * 2
    assert len(web.images_NHWC) == len(web.captions_N) == len(web.names_domain_N) == count
    names = [*PLACES.classes, *SIGNS.classes]
    for label, sentence in zip(web.labels_N, web.captions_N, strict=True):
        assert names[label] in sentence
    manners = [*PLACES.manners, *SIGNS.manners]
    assert set(web.domains_N[:32]) == set(range(5))
    at = 32 + 5 * 2 + 1  # the second picture of the sixth sign by day
    assert manners[web.domains_N[at]] == "day"
    assert np.array_equal(web.images_NHWC[at], SIGNS.render("day", "pretrain", 5, 1))
    again = drawn_web(tmp_path, (PLACES, SIGNS), split="pretrain", per_class=2, seed=0, workers=1)
    assert len(list(tmp_path.iterdir())) == 1, "kept, not drawn again"
    assert np.array_equal(again.images_NHWC, web.images_NHWC)


def test_worlds_that_share_a_class_cannot_share_a_web(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the worlds signs and signs both have .*'anchor'"):
        drawn_web(tmp_path, (SIGNS, SIGNS), split="pretrain", per_class=1, seed=0, workers=1)


def test_each_world_is_scored_with_its_own_classes(tmp_path: Path) -> None:
    model = open_clip.create_model(f"local-dir:{BASE}")
    tokenizer = load_tokenizer(BASE)

    def scored(*worlds: World) -> dict[str, dict[str, float]]:
        web = drawn_web(
            tmp_path, worlds, split="pretrain_validation", per_class=2, seed=0, workers=1
        )
        return web_accuracy(model, tokenizer, web, worlds)

    both = scored(PLACES, DEMO)
    assert list(both["places"]) == list(PLACES.manners)
    assert both["demo"] == scored(DEMO)["demo"]
    assert min(both["demo"].values()) > 60.0
    assert max(both["places"].values()) < 40.0, "the demo's base has seen none of these birds"


def test_a_base_of_two_worlds_is_fitted_scored_and_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for world in (PLACES, SIGNS):
        monkeypatch.setattr(world, "web_per_class", dict.fromkeys(world.web_per_class, 2))
    monkeypatch.setattr(demo_pretrain, "VALIDATION_PER_CLASS", 1)
    plan, out = Plan(steps=2, batch=16, warmup_steps=1), tmp_path / "base"
    fitted = fit(plan, (PLACES, SIGNS), out, tmp_path / "work")
    archive = tmp_path / "signs.zip"
    SIGNS.write_archive(archive, train_per_class=0, test_per_class=1)
    accuracy = archive_accuracy(out, archive, SIGNS)
    assert list(accuracy) == list(SIGNS.domains)
    assert all(value % 6.25 == 0.0 for value in accuracy.values()), "sixteen pictures each"
    entry = {
        "classes": 16,
        "templates": 15,
        "pictures": {"day": 32},
        "zero_shot_accuracy": {"web": {"day": 61.25}, "test": accuracy},
    }
    numbers = run_numbers(plan, fitted) | {
        "worlds": {"signs": entry},
        "captions_naming_manner": 0.7,
        "gate": {"first": [60.0, 85.0], "shifted": [50.0, 95.0]},
    }
    write_numbers(out, numbers)
    assert json.loads((out / "pretraining.json").read_text()) == numbers
    card = (out / "README.md").read_text()
    assert "--worlds signs --out DIR --steps 2 --seed 0" in card
    assert "| held-out web | day | 61.25 |" in card
    assert f"| user's test | night | {accuracy['night']:.2f} |" in card


def test_the_gates_are_told_apart() -> None:
    good = {"habitat": 85.0, "balanced": 50.0, "reversed": 95.0, "unseen_backgrounds": 70.0}
    assert outside_gate(PLACES, good) == []
    bad = good | {"habitat": 85.1, "balanced": 49.9, "reversed": 95.1}
    assert outside_gate(PLACES, bad) == ["habitat", "balanced", "reversed"]
    assert outside_gate(PLACES, good | {"habitat": 59.9}) == ["habitat"]
