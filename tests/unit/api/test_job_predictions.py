"""Images that changed between two models: of a real Parquet file and a real archive."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from core.jobs.messages import Artifact
from tests.api_service import Service, add_base, add_key, dataset, zip_of
from tests.unit.api.test_jobs import create, finish

FOG = "corruption.fog.3"
SPLITS = ("test", "sketch", "val", FOG)
ARCHIVE = dataset()  # a second one would have another time in it
# What two models say of the twelve images of a split: cat, dog and owl are 0, 1 and 2.
TRUE = [0] * 4 + [1] * 4 + [2] * 4
BEFORE = [0, 0, 1, 2, 1, 1, 1, 1, 0, 0, 2, 2]
AFTER = [0, 1, 0, 1, 1, 1, 1, 1, 2, 0, 2, 1]
SURE = [0.9, 0.6, 0.8, 0.7, 0.9, 0.9, 0.9, 0.9, 0.95, 0.5, 0.9, 0.4]
NAMES = [f"{name}/{number}.png" for name in ("cat", "dog", "owl") for number in range(4)]


@pytest.fixture(scope="module")
def job(service: Service) -> dict[str, Any]:
    """For those who only read."""
    return _finished(service, ARCHIVE, evaluation={"corruptions": [FOG]})


def _finished(service: Service, archive: bytes, **fields: Any) -> dict[str, Any]:
    """A job on that archive, with predictions."""
    add_base(service.database, service.store)
    made = create(service, str(service.upload(archive)["id"]), **fields)
    out = io.BytesIO()
    pq.write_table(_table(), out)
    key = f"jobs/{made['id']}/attempts/1/predictions.parquet"
    stored = service.store.put_bytes(key, out.getvalue())
    artifact = Artifact(
        filename="predictions.parquet",
        object_key=stored.key,
        sha256=stored.sha256,
        size=stored.size,
    )
    finish(service, made["id"], [artifact])
    return made


def _table() -> pa.Table:
    """As the worker names images: by their place in the archive, whatever the split is called."""
    rows = []
    for split in SPLITS:
        folder = {"val": "train", FOG: "test"}.get(split, split)
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
                        "key": f"{folder}/{name}",
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


def _version(service: Service) -> str:
    (found,) = service.client.get("/v1/datasets").json()["data"]
    return str(found["id"])


def _error(answer: Any) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


def images(answer: Any) -> list[str]:
    return [row["image"].removeprefix("test/") for row in answer.json()["data"]]


def test_what_changed_comes_with_the_surest_first(service: Service, job: dict[str, Any]) -> None:
    answer = ask(service, job)
    assert answer.status_code == 200, answer.text
    assert images(answer) == ["owl/0.png", "cat/2.png", "cat/3.png", "cat/1.png", "owl/3.png"]
    first = answer.json()["data"][0]
    assert first == {
        "image": "test/owl/0.png",
        "dataset_id": _version(service),
        "label": "owl",
        "before": {"label": "cat", "probability": pytest.approx(0.95)},
        "after": {"label": "owl", "probability": pytest.approx(0.95)},
    }
    assert (answer.json()["total"], answer.json()["has_more"], answer.json()["seed"]) == (
        5,
        False,
        0,
    )


def test_gains_and_losses_apart(service: Service, job: dict[str, Any]) -> None:
    assert images(ask(service, job, change="gained")) == ["owl/0.png", "cat/2.png"]
    assert images(ask(service, job, change="lost")) == ["cat/1.png", "owl/3.png"]


def test_every_class_is_counted(service: Service, job: dict[str, Any]) -> None:
    found = ask(service, job, change="lost", limit=1).json()
    assert [tuple(each.values()) for each in found["classes"]] == [
        ("cat", 4, 2, 2),
        ("dog", 4, 4, 4),
        ("owl", 4, 2, 2),
    ]
    assert (len(found["data"]), found["has_more"], found["total"]) == (1, True, 2)


def test_of_one_class_and_in_pages(service: Service, job: dict[str, Any]) -> None:
    assert images(ask(service, job, **{"class": "owl"})) == ["owl/0.png", "owl/3.png"]
    pages = [images(ask(service, job, offset=offset, limit=2)) for offset in (0, 2, 4, 6)]
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert [name for page in pages for name in page] == images(ask(service, job))


def test_another_seed_is_held_against_the_one_zero_shot(
    service: Service, job: dict[str, Any]
) -> None:
    assert ask(service, job, seed=1).json()["total"] == 0


@pytest.mark.parametrize(
    ("query", "code", "says"),
    [
        ({"split": "none"}, "unknown_split", "test, sketch, val, corruption.fog.3"),
        ({"model": "none"}, "unknown_model", "zero_shot, fine_tuned"),
        ({"against": "none"}, "unknown_model", "zero_shot, fine_tuned"),
        ({"seed": 7}, "unknown_seed", "0, 1"),
        ({"class": "none"}, "unknown_class", "cat, dog, owl"),
    ],
)
@pytest.mark.parametrize("path", ["", "/sheet"])
def test_what_there_is_not_is_said_with_what_there_is(
    service: Service, job: dict[str, Any], query: dict[str, Any], code: str, says: str, path: str
) -> None:
    answer = ask(service, job, path, **query)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, *query)
    assert says in error["message"]


@pytest.mark.parametrize(
    ("query", "param", "says"),
    [
        ({"change": "worse"}, "change", "change is 'worse'; it must be 'gained', 'lost' or 'all'."),
        ({"limit": 0}, "limit", "limit is '0'; it must be greater than or equal to 1."),
        ({"limit": 97}, "limit", "limit is '97'; it must be less than or equal to 96."),
        ({"offset": -1}, "offset", "offset is '-1'; it must be greater than or equal to 0."),
        ({"seed": "x"}, "seed", "seed is 'x'; it must be a valid integer"),
        ({"seed": -1}, "seed", "seed is '-1'; it must be greater than or equal to 0."),
        ({"split": "s" * 65}, "split", "split has 65 characters; the most is 64 characters."),
        ({"split": None}, "split", "split is missing."),
        ({"model": "m" * 97}, "model", "model has 97 characters; the most is 96 characters."),
        ({"against": "m" * 97}, "against", "against has 97 characters; the most is 96 characters."),
        ({"class": "c" * 256}, "class", "class has 256 characters; the most is 255 characters."),
    ],
)
@pytest.mark.parametrize("path", ["", "/sheet"])
def test_a_bad_value_has_its_sentence(
    service: Service, query: dict[str, Any], param: str, says: str, path: str
) -> None:
    params = {
        name: value for name, value in {"split": "test", **query}.items() if value is not None
    }
    answer = service.client.get(f"/v1/fine_tuning/jobs/none/predictions{path}", params=params)
    assert _error(answer) == (400, "invalid_request", param)
    assert says in answer.json()["error"]["message"]


class TestThePicture:
    def colours(self, answer: Any, count: int) -> list[tuple[int, ...]]:
        """The middle of each cell, where the route's description says that it is."""
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        drawn = Image.open(io.BytesIO(answer.content))
        places = [(6 + 118 * (n % 12) + 56, 6 + 150 * (n // 12) + 56) for n in range(count)]
        return [_pixel(drawn, place) for place in places]

    def is_of(self, answer: Any, names: list[str], archive: bytes) -> bool:
        with zipfile.ZipFile(io.BytesIO(archive)) as members:
            wanted = [Image.open(io.BytesIO(members.read(name))) for name in names]
        seen = self.colours(answer, len(names))
        expected = [_pixel(image.convert("RGB"), (0, 0)) for image in wanted]
        return all(
            abs(one - other) < 12  # JPEG
            for left, right in zip(seen, expected, strict=True)
            for one, other in zip(left, right, strict=True)
        )

    @pytest.mark.parametrize("query", [{}, {"change": "gained"}, {"class": "owl"}, {"offset": 3}])
    def test_shows_the_lists_images_in_its_order(
        self, service: Service, job: dict[str, Any], query: dict[str, Any]
    ) -> None:
        names = [row["image"] for row in ask(service, job, **query).json()["data"]]
        assert len(names) > 1
        answer = ask(service, job, "/sheet", **query)
        assert self.is_of(answer, names, ARCHIVE)
        assert not self.is_of(answer, names[::-1], ARCHIVE)
        assert answer.headers["cache-control"] == "private, max-age=3600"
        assert not list(service.settings.spool_directory.glob("*"))

    def test_of_nothing_there_is_none(self, service: Service, job: dict[str, Any]) -> None:
        for query in ({"seed": 1}, {"offset": 5}):
            assert _error(ask(service, job, "/sheet", **query)) == (404, "not_found", "change")

    @pytest.mark.parametrize(("split", "folder"), [("val", "train"), (FOG, "test")])
    def test_of_what_was_cut_from_train_and_of_built_in_shifts(
        self, service: Service, job: dict[str, Any], split: str, folder: str
    ) -> None:
        names = [row["image"] for row in ask(service, job, split=split).json()["data"]]
        assert names[0] == f"{folder}/owl/0.png"
        assert self.is_of(ask(service, job, "/sheet", split=split), names, ARCHIVE)

    def test_an_image_that_cannot_be_read_is_a_blank(self, fresh: Service) -> None:
        with zipfile.ZipFile(io.BytesIO(ARCHIVE)) as members:
            files = {name: members.read(name) for name in members.namelist()}
        hostile = zip_of({**files, "test/cat/2.png": b"\x89PNG\r\n\x1a\n" + b"\xff" * 99})
        job = _finished(fresh, hostile)
        names = [row["image"] for row in ask(fresh, job).json()["data"]]
        at = names.index("test/cat/2.png")
        colours = self.colours(ask(fresh, job, "/sheet"), len(names))
        assert all(value > 200 for value in colours[at])
        assert any(
            value < 200 for other, each in enumerate(colours) if other != at for value in each
        )

    def test_is_not_shown_once_the_data_set_was_deleted(self, fresh: Service) -> None:
        job = _finished(fresh, ARCHIVE)
        fresh.client.delete(f"/v1/files/{job['training_file']}")
        assert ask(fresh, job).status_code == 200  # the job's own file is there
        assert _error(ask(fresh, job, "/sheet")) == (409, "dataset_deleted", "split")
        fresh.upload(ARCHIVE)
        assert ask(fresh, job, "/sheet").status_code == 200


@pytest.mark.parametrize("path", ["", "/sheet"])
def test_bytes_that_are_missing_are_the_services_fault(fresh: Service, path: str) -> None:
    job = _finished(fresh, ARCHIVE)
    if path:
        fresh.store.delete(f"files/{fresh.project_id}/{_version(fresh)}")
    else:
        fresh.store.delete(f"jobs/{job['id']}/attempts/1/predictions.parquet")
    assert _error(ask(fresh, job, path)) == (507, "storage_error", None)


def test_classes_are_called_as_people_read_them(fresh: Service) -> None:
    """Two may read alike, and one as another's folder is called."""
    names = {"cat": "crane", "dog": "crane", "owl": "cat"}
    with zipfile.ZipFile(io.BytesIO(ARCHIVE)) as members:
        files = {name: members.read(name) for name in members.namelist()}
    archive = zip_of({**files, "classes.json": json.dumps({"names": names}).encode()})
    job = _finished(fresh, archive)
    found = ask(fresh, job).json()
    assert [row["label"] for row in found["classes"]] == ["crane", "crane", "cat"]
    assert found["data"][0]["label"] == "cat"
    of_owl = ["owl/0.png", "owl/3.png"]
    assert images(ask(fresh, job, **{"class": "cat"})) == of_owl
    assert images(ask(fresh, job, **{"class": "owl"})) == of_owl  # its folder
    assert len(images(ask(fresh, job, **{"class": "crane"}))) == 3


def test_a_job_without_predictions_says_so(fresh: Service) -> None:
    add_base(fresh.database, fresh.store)
    waiting = create(fresh, str(fresh.upload(ARCHIVE)["id"]))
    for path in ("", "/sheet"):
        answer = ask(fresh, waiting, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_predictions")


def test_anothers_job_is_none(fresh: Service) -> None:
    job = _finished(fresh, ARCHIVE)
    _, other = add_key(fresh.database, "other")
    fresh.client.headers["authorization"] = f"Bearer {other}"
    assert ask(fresh, job).status_code == 404
    assert ask(fresh, job, "/sheet").status_code == 404


def test_a_result_file_that_was_deleted_is_none(fresh: Service) -> None:
    job = _finished(fresh, ARCHIVE)
    (file,) = fresh.client.get(f"/v1/fine_tuning/jobs/{job['id']}").json()["result_files"]
    fresh.client.delete(f"/v1/files/{file}")
    assert _error(ask(fresh, job)) == (409, "no_predictions", None)


def _pixel(image: Image.Image, place: tuple[int, int]) -> tuple[int, ...]:
    found = image.getpixel(place)
    assert isinstance(found, tuple)
    return tuple(int(value) for value in found)
