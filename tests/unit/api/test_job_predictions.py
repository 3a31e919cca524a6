"""Images that changed between two models: of a real Parquet file and a real archive."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from core.jobs.messages import Artifact
from tests.api_service import Service, add_base, add_key, dataset
from tests.unit.api.test_jobs import create, finish

SPLITS = ("test", "sketch")
# What two models say of the twelve images of a split: cat, dog and owl are 0, 1 and 2.
TRUE = [0] * 4 + [1] * 4 + [2] * 4
BEFORE = [0, 0, 1, 2, 1, 1, 1, 1, 0, 0, 2, 2]
AFTER = [0, 1, 0, 1, 1, 1, 1, 1, 2, 0, 2, 1]
SURE = [0.9, 0.6, 0.8, 0.7, 0.9, 0.9, 0.9, 0.9, 0.95, 0.5, 0.9, 0.4]
NAMES = [f"{name}/{number}.png" for name in ("cat", "dog", "owl") for number in range(4)]


@pytest.fixture
def job(fresh: Service, tmp_path: Path) -> dict[str, Any]:
    add_base(fresh.database, fresh.store)
    made = create(fresh, str(fresh.upload(dataset())["id"]))
    path = tmp_path / "predictions.parquet"
    pq.write_table(_table(), path)
    stored = fresh.store.put_file(f"jobs/{made['id']}/attempts/1/predictions.parquet", path)
    artifact = Artifact(
        filename="predictions.parquet",
        object_key=stored.key,
        sha256=stored.sha256,
        size=stored.size,
    )
    finish(fresh, made["id"], [artifact])
    return made


def _table() -> pa.Table:
    rows = []
    for split in SPLITS:
        for model, seed, labels in (
            ("zero_shot", 0, BEFORE),
            ("fine_tuned", 0, AFTER),
            ("fine_tuned", 1, BEFORE),  # another run, in which nothing changed
        ):
            for name, true, label, sure in zip(NAMES, TRUE, labels, SURE, strict=True):
                rows.append(
                    {
                        "seed": seed,
                        "model": model,
                        "split": split,
                        "key": f"{split}/{name}",
                        "label": true,
                        "top_labels": [label, (label + 1) % 3],
                        "top_probabilities": [sure, 1 - sure],
                    }
                )
    return pa.Table.from_pylist(rows)


def ask(service: Service, job: dict[str, Any], path: str = "", **query: Any) -> Any:
    return service.client.get(
        f"/v1/fine_tuning/jobs/{job['id']}/predictions{path}", params={"split": "test", **query}
    )


def images(answer: Any) -> list[str]:
    return [row["image"].removeprefix("test/") for row in answer.json()["data"]]


def test_what_changed_comes_with_the_surest_first(fresh: Service, job: dict[str, Any]) -> None:
    answer = ask(fresh, job)
    assert answer.status_code == 200, answer.text
    assert images(answer) == ["owl/0.png", "cat/2.png", "cat/3.png", "cat/1.png", "owl/3.png"]
    first = answer.json()["data"][0]
    assert first == {
        "image": "test/owl/0.png",
        "label": "owl",
        "before": {"label": "cat", "probability": pytest.approx(0.95)},
        "after": {"label": "owl", "probability": pytest.approx(0.95)},
    }
    assert (answer.json()["total"], answer.json()["has_more"], answer.json()["seed"]) == (
        5,
        False,
        0,
    )


def test_gains_and_losses_apart(fresh: Service, job: dict[str, Any]) -> None:
    assert images(ask(fresh, job, change="gained")) == ["owl/0.png", "cat/2.png"]
    assert images(ask(fresh, job, change="lost")) == ["cat/1.png", "owl/3.png"]


def test_every_class_is_counted(fresh: Service, job: dict[str, Any]) -> None:
    found = ask(fresh, job, change="lost", limit=1).json()
    assert [tuple(each.values()) for each in found["classes"]] == [
        ("cat", 4, 2, 2),
        ("dog", 4, 4, 4),
        ("owl", 4, 2, 2),
    ]
    assert (len(found["data"]), found["has_more"], found["total"]) == (1, True, 2)


def test_of_one_class_and_in_pages(fresh: Service, job: dict[str, Any]) -> None:
    assert images(ask(fresh, job, **{"class": "owl"})) == ["owl/0.png", "owl/3.png"]
    pages = [images(ask(fresh, job, offset=offset, limit=2)) for offset in (0, 2, 4, 6)]
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert [name for page in pages for name in page] == images(ask(fresh, job))


def test_another_seed_is_held_against_the_one_zero_shot(
    fresh: Service, job: dict[str, Any]
) -> None:
    assert ask(fresh, job, seed=1).json()["total"] == 0


@pytest.mark.parametrize(
    ("query", "code", "says"),
    [
        ({"split": "none"}, "unknown_split", "sketch, test"),
        ({"model": "none"}, "unknown_model", "fine_tuned, zero_shot"),
        ({"against": "none"}, "unknown_against", "fine_tuned, zero_shot"),
        ({"seed": 7}, "unknown_seed", "0, 1"),
        ({"class": "none"}, "unknown_class", "cat, dog, owl"),
    ],
)
@pytest.mark.parametrize("path", ["", "/sheet"])
def test_what_there_is_not_is_said_with_what_there_is(
    fresh: Service, job: dict[str, Any], query: dict[str, Any], code: str, says: str, path: str
) -> None:
    answer = ask(fresh, job, path, **query)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, *query)
    assert says in error["message"]


def test_the_picture_shows_the_same_images(fresh: Service, job: dict[str, Any]) -> None:
    answer = ask(fresh, job, "/sheet", change="gained")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    two = Image.open(io.BytesIO(answer.content))
    five = Image.open(io.BytesIO(ask(fresh, job, "/sheet").content))
    assert two.width < five.width and two.height == five.height
    assert ask(fresh, job, "/sheet", seed=1).status_code == 404  # nothing changed
    assert not list(fresh.settings.spool_directory.glob("*"))


def test_a_job_without_predictions_says_so(fresh: Service) -> None:
    add_base(fresh.database, fresh.store)
    waiting = create(fresh, str(fresh.upload(dataset())["id"]))
    for path in ("", "/sheet"):
        answer = ask(fresh, waiting, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_predictions")


def test_anothers_job_is_none(fresh: Service, job: dict[str, Any]) -> None:
    _, other = add_key(fresh.database, "other")
    fresh.client.headers["authorization"] = f"Bearer {other}"
    assert ask(fresh, job).status_code == 404
    assert ask(fresh, job, "/sheet").status_code == 404
