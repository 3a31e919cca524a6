"""Reading jobs' files: pairing by key, seeds from several jobs, and what is refused by name."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.learning.comparison.contender import Source, read_field
from core.learning.comparison.stored import JobFiles, NotComparable
from tests.unit.learning.comparison.conftest import SPLITS, World
from tests.unit.learning.comparison.jobs import Job, source

ROWS = {"val": 0.8, "test": 0.75, "night": 0.6}


def job(directory: Path, *seeds: int, **scored: float) -> Job:
    """A job with a zero-shot row and one fine-tuned run a seed."""
    made = Job(directory)
    made.add("zero_shot", 0, ROWS, n=40)
    for seed in seeds:
        made.add("fine_tuned", seed, {**ROWS, **scored}, n=40)
    made.write()
    return made


def test_images_are_paired_by_key_whatever_their_order(world: World) -> None:
    field = read_field(world.sources)
    for name, files, model in (
        ("ft", world.ft, "fine_tuned"),
        ("lipsum_ft", world.lipsum, "fine_tuned"),
        ("lipsum_ft+wise_ft", world.lipsum, "wise_ft@0.5"),
    ):
        runs = field.entrants[name].runs
        assert list(runs) == [0, 1, 2]
        for split in SPLITS[1:]:
            expected_SN = world.right(files, model, split)
            for run, expected_N in zip(runs.values(), expected_SN, strict=True):
                np.testing.assert_array_equal(run.correct[split], expected_N)
    assert list(field.splits) == list(SPLITS[1:])


def test_a_contender_of_one_job_a_seed_gets_its_seeds_from_the_caller(tmp_path: Path) -> None:
    first, second = job(tmp_path / "a", 0), job(tmp_path / "b", 0, night=0.7)
    both = source("merged", [first.files(seed=4), second.files(seed=9)])
    runs = read_field([both]).entrants["merged"].runs
    assert list(runs) == [4, 9]
    assert [run.correct["night"].mean() for run in runs.values()] == [0.6, 0.7]


def test_a_job_without_zero_shot_is_read_all_the_same(tmp_path: Path) -> None:
    made = Job(tmp_path)
    made.add("fine_tuned", 0, ROWS, n=40)
    made.write()
    assert read_field([source("ft", [made.files()])]).zero_shot is None


def test_older_results_files_say_nothing_of_selection(tmp_path: Path) -> None:
    made = job(tmp_path, 0)
    path = made.directory / "results.json"
    document = json.loads(path.read_text())
    del document["selection"]
    for row in document["rows"]:
        row["selection"] = False  # a column of tomorrow
    document["rows"].append({**document["rows"][0], "metric": "nll", "value": None})
    path.write_text(json.dumps(document))
    field = read_field([source("ft", [made.files()])])
    assert field.selection_splits == frozenset()


def refused(sources: list[Source], words: str) -> None:
    with pytest.raises(NotComparable, match=words):
        read_field(sources)


def test_contenders_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    files = [job(tmp_path, 0).files()]
    refused([], "no contender to compare")
    refused([source("ft", files), source("ft", files, label="b")], "called 'ft'")
    refused([source("a", files, label="x"), source("b", files, label="x")], "labelled 'x'")
    refused([source("zero_shot", files, label="z")], "called 'zero_shot'.*leave zero-shot out")
    refused([source("a", files, label="zero-shot")], "labelled 'zero-shot'")
    refused([source("a", [])], "a has no files")


def test_a_row_that_the_job_lacks_is_named_with_those_it_has(tmp_path: Path) -> None:
    made = job(tmp_path, 0)
    refused([source("ft", [made.files("vrf")])], "no row vrf, only zero_shot, fine_tuned")


def test_seeds_that_collide_are_refused(tmp_path: Path) -> None:
    one, two = job(tmp_path / "a", 0), job(tmp_path / "b", 0, 1)
    refused([source("ft", [one.files(), two.files()])], "ft has two runs of seed 0")
    refused([source("ft", [two.files(seed=3)])], "seeds 0, 1, which cannot all be seed 3")


def test_a_split_that_only_one_was_scored_on_is_refused(tmp_path: Path) -> None:
    one, two = job(tmp_path / "a", 0), job(tmp_path / "b", 0, fog=0.5)
    refused([source("a", [one.files()]), source("b", [two.files()])], "a, seed 0.*nothing on fog")


def test_jobs_of_other_images_or_labels_are_refused(tmp_path: Path) -> None:
    one, two = job(tmp_path / "a", 0), Job(tmp_path / "b")
    two.add("fine_tuned", 0, ROWS, n=60)
    two.write()
    sources = [source("a", [one.files()]), source("b", [two.files()])]
    refused(sources, "b was scored on other images or labels of val|test|night")


def test_jobs_of_other_bases_are_refused(tmp_path: Path) -> None:
    one, two = job(tmp_path / "a", 0), Job(tmp_path / "b")
    two.add("zero_shot", 0, {**ROWS, "night": 0.5}, n=40)
    two.add("fine_tuned", 0, ROWS, n=40)
    two.write()
    sources = [source("a", [one.files()]), source("b", [two.files()])]
    refused(sources, "zero-shot accuracy on night is 0.500 in the job of b and 0.600 in that of a")


def test_files_of_two_jobs_are_refused(tmp_path: Path) -> None:
    one, two = job(tmp_path / "a", 0), job(tmp_path / "b", 0, night=0.7)
    mixed = JobFiles(one.files().results, two.files().predictions, "fine_tuned")
    refused([source("a", [mixed])], r"night is 0\.6000 in results\.json and 0\.7000 in predictions")


def test_jobs_without_id_accuracy_are_refused(tmp_path: Path) -> None:
    made = Job(tmp_path)
    made.add("fine_tuned", 0, {"night": 0.6}, n=40)
    made.write()
    refused([source("a", [made.files()])], "on test or val, only on night")


def test_other_files_are_refused_by_their_path(tmp_path: Path) -> None:
    made = job(tmp_path, 0)
    files = made.files()
    files.predictions.write_bytes(b"not parquet at all")
    refused([source("a", [files])], r"predictions\.parquet is not a job's predictions")
    for text in ("{", "[]", "{}", '{"rows": [{}]}', '{"rows": 3}'):
        files.results.write_text(text)
        refused([source("a", [files])], r"results\.json is not a job's results\.json")
