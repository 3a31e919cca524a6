"""Answers of two models held side by side, from a Parquet file as jobs write it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import InvalidRequest, StorageFault
from core.jobs.changes import Asked, find_changes, listed

ASKED = Asked(None, "test", "fine_tuned", "zero_shot", "all", None, 0, 96)


def run(
    model: str,
    labels: Sequence[int],
    *,
    seed: int = 0,
    split: str = "test",
    true: Sequence[int] = (0, 0, 1, 1),
    sure: Sequence[float] = (0.9, 0.8, 0.7, 0.6),
    keys: Sequence[str] = ("a", "b", "c", "d"),
) -> pa.Table:
    """One model of one seed on a split of few images."""
    return pa.table(
        {
            "seed": [seed] * len(keys),
            "model": [model] * len(keys),
            "split": [split] * len(keys),
            "key": list(keys),
            "label": pa.array(true, pa.int32()),
            "top_labels": pa.array([[label, 9] for label in labels], pa.list_(pa.int32())),
            "top_probabilities": pa.array([[p, 0.0] for p in sure], pa.list_(pa.float32())),
        }
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "predictions.parquet"


def keys(found: dict[str, Any]) -> list[str]:
    return [row[0] for row in found["rows"]]


def write(path: Path, *runs: pa.Table) -> Path:
    """In several row groups, whose dictionaries differ."""
    pq.write_table(pa.concat_tables(runs), path, row_group_size=3)
    return path


def test_what_changed_and_how(path: Path) -> None:
    write(path, run("zero_shot", [0, 1, 0, 0]), run("fine_tuned", [1, 0, 2, 0]))
    found = find_changes(path, ASKED)
    assert found["rows"] == [
        ["a", 0, (0, pytest.approx(0.9)), (1, pytest.approx(0.9))],  # lost
        ["b", 0, (1, pytest.approx(0.8)), (0, pytest.approx(0.8))],  # gained
        ["c", 1, (0, pytest.approx(0.7)), (2, pytest.approx(0.7))],  # wrong both times
    ]
    assert found["total"] == 3
    assert found["classes"] == [[0, 2, 1, 1], [1, 2, 0, 0]]
    assert keys(find_changes(path, replace(ASKED, change="lost"))) == ["a"]
    assert keys(find_changes(path, replace(ASKED, change="gained"))) == ["b"]
    assert keys(find_changes(path, replace(ASKED, classes=[1]))) == ["c"]
    assert keys(find_changes(path, replace(ASKED, classes=[]))) == []
    page = find_changes(path, replace(ASKED, offset=1, limit=1))
    assert (keys(page), page["total"]) == (["b"], 3)
    assert keys(find_changes(path, replace(ASKED, offset=2**53))) == []
    back = find_changes(path, replace(ASKED, model="zero_shot", against="fine_tuned"))
    assert back["rows"][0][2:] == found["rows"][0][:1:-1]


def test_images_are_paired_by_name_and_not_by_place(path: Path) -> None:
    turned = run("fine_tuned", [0, 1, 0, 0], keys="dcba", true=(1, 1, 0, 0))
    write(path, run("zero_shot", [0, 0, 1, 1]), turned)
    assert find_changes(path, ASKED)["rows"] == [
        ["d", 1, (1, pytest.approx(0.6)), (0, pytest.approx(0.9))]
    ]


def test_splits_are_apart(path: Path) -> None:
    of_sketch = [run(name, [1] * 4, split="sketch") for name in ("zero_shot", "fine_tuned")]
    write(path, run("zero_shot", [0] * 4), run("fine_tuned", [0] * 4), *of_sketch)
    assert find_changes(path, ASKED)["total"] == 0
    assert find_changes(path, replace(ASKED, split="sketch"))["classes"] == [
        *([0, 2, 0, 0], [1, 2, 2, 2])
    ]


class TestSeeds:
    @pytest.fixture
    def several(self, path: Path) -> Path:
        """Zero-shot is scored once, under the first seed, which is not the least."""
        return write(
            path,
            run("zero_shot", [0, 0, 0, 0], seed=5),
            run("fine_tuned", [1, 0, 0, 0], seed=5),
            run("fine_tuned", [1, 1, 0, 0], seed=3),
            run("wise_ft@0.5", [1, 1, 1, 0], seed=3),
        )

    def test_the_jobs_first_is_meant_where_none_is_named(self, several: Path) -> None:
        found = find_changes(several, ASKED)
        assert (found["seed"], found["total"]) == (5, 1)

    def test_what_was_scored_once_is_held_against_every_run(self, several: Path) -> None:
        found = find_changes(several, replace(ASKED, seed=3))
        assert (found["seed"], found["total"]) == (3, 2)
        assert find_changes(several, replace(ASKED, model="wise_ft@0.5"))["total"] == 3

    def test_runs_are_never_mixed(self, several: Path) -> None:
        both = replace(ASKED, seed=3, model="wise_ft@0.5", against="fine_tuned")
        assert keys(find_changes(several, both)) == ["c"]

    def test_another_there_is_not(self, several: Path) -> None:
        with pytest.raises(InvalidRequest, match="seed is 4; the job's predictions have 5, 3"):
            find_changes(several, replace(ASKED, seed=4))

    def test_one_of_another_model_is_none_of_a_model_with_several(self, path: Path) -> None:
        write(
            path,
            run("zero_shot", [0] * 4, seed=0),
            *(run("fine_tuned", [1] * 4, seed=seed) for seed in (1, 2)),
        )
        with pytest.raises(InvalidRequest, match="seed is 0; the job's predictions have 1, 2"):
            find_changes(path, replace(ASKED, seed=0))


@pytest.mark.parametrize(
    ("values", "param", "code"),
    [
        ({"split": "no"}, "split", "unknown_split"),
        ({"model": "no"}, "model", "unknown_model"),
        ({"against": "no"}, "against", "unknown_model"),
    ],
)
def test_what_there_is_not_is_named(
    path: Path, values: dict[str, str], param: str, code: str
) -> None:
    write(path, run("zero_shot", [0] * 4), run("fine_tuned", [0] * 4))
    with pytest.raises(InvalidRequest) as raised:
        find_changes(path, replace(ASKED, **values))  # type: ignore[arg-type]
    assert (raised.value.code, raised.value.param) == (code, param)
    there = "test" if param == "split" else "zero_shot, fine_tuned"
    assert raised.value.message == f"{param} is 'no'; the job's predictions have {there}."


def test_a_probability_that_is_no_number_is_none_and_comes_last(path: Path) -> None:
    sure = (math.nan, 0.1, 0.2, 0.3)
    write(path, run("zero_shot", [0] * 4), run("fine_tuned", [1] * 4, sure=sure))
    rows = find_changes(path, ASKED)["rows"]
    assert [row[0] for row in rows] == ["d", "c", "b", "a"]
    assert rows[-1][3] == (1, None)


def test_a_damaged_file_is_nobodys_request(path: Path) -> None:
    whole = write(path, run("zero_shot", [0] * 4), run("fine_tuned", [1] * 4)).read_bytes()
    for content in (b"", b"no parquet at all", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(StorageFault, match="cannot be read"):
            find_changes(path, ASKED)


def test_a_long_list_is_cut() -> None:
    assert listed([1, "a"]) == "1, a"
    assert listed(range(1000)).endswith(", 49 and 950 more")
