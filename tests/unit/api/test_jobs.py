"""Jobs over HTTP: created, listed, watched, cancelled. What makes them is tested in unit/jobs."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from core.jobs.messages import Message
from core.records import datasets, jobs, leases, publishing
from tests.api_service import Service, add_base, add_key, dataset
from tests.service_builders import MOST, claim, results

JOBS = "/v1/fine_tuning/jobs"


@pytest.fixture(scope="module")
def training_file(service: Service) -> str:
    add_base(service.database, service.store)
    return str(service.upload(dataset())["id"])


def create(service: Service, training_file: str, **fields: Any) -> dict[str, Any]:
    """A job that must be accepted."""
    answer = service.client.post(
        JOBS, json={"model": "base:tiny", "training_file": training_file, **fields}
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def finish(service: Service, job_id: str, made: list[Message] | None = None) -> None:
    """Does what a worker does with a job, up to its results."""
    job = jobs_row(service, job_id)
    version = job.spec["datasets"][0]["version"]
    with service.database.write() as session:
        datasets.mark_checked(session, job.project_id, version, "index", {})
        while (found := leases.claim(session, "worker", "boot", 60.0)) and found.job_id != job_id:
            leases.fail(session, found, "invalid_spec", "not this one", max_attempts=1)
        assert found is not None
        publishing.publish(session, found, made or results(found), max_attempts=MOST)


def jobs_row(service: Service, job_id: str) -> Any:
    with service.database.read() as session:
        return jobs.get(session, service.project_id, job_id)


def test_a_job_has_openais_shape_and_ours(service: Service, training_file: str) -> None:
    job = create(
        service,
        training_file,
        method={"type": "lipsum_ft", "lipsum_ft": {"hyperparameters": {"n_texts": 40}}},
        seed=7,
        n_seeds=2,
        suffix="mine",
        metadata={"team": "birds"},
        evaluation={"alphas": [0.25, 0.5]},
    )
    parsed = FineTuningJob.model_validate({**job, "method": None})  # its type is a closed enum
    assert (parsed.object, parsed.model, parsed.training_file) == (
        "fine_tuning.job",
        "base:tiny",
        training_file,
    )
    assert parsed.organization_id == service.project_id
    assert parsed.seed == 7
    assert job["method"]["lipsum_ft"]["hyperparameters"]["n_texts"] == 40
    assert job["hyperparameters"]["learning_rate"] == 1e-5
    assert job["hyperparameters"]["n_steps"] == 110  # 10 epochs of 11 images, one held out
    assert (job["n_seeds"], job["suffix"], job["metadata"]) == (2, "mine", {"team": "birds"})
    assert job["evaluation"]["alphas"] == [0.25, 0.5]
    assert (job["status"], job["phase"], job["attempt"]) == ("validating_files", None, 0)
    assert job["progress"] == {
        "step": 0,
        "total_steps": 220,
        "fraction": 0.0,
        "updated_at": None,
    }
    assert [change["to"] for change in job["transitions"]] == ["validating_files"]
    assert job["results"] == []
    assert job["error"] is None
    assert service.client.get(f"{JOBS}/{job['id']}").json() == job


def test_pages_of_jobs(fresh: Service) -> None:
    add_base(fresh.database, fresh.store)
    file = str(fresh.upload(dataset())["id"])
    made = [create(fresh, file)["id"] for _ in range(5)]
    first = fresh.client.get(JOBS, params={"limit": 2}).json()
    assert [job["id"] for job in first["data"]] == [made[4], made[3]]
    assert (first["has_more"], first["last_id"]) == (True, made[3])
    newer = create(fresh, file)["id"]
    rest = fresh.client.get(JOBS, params={"limit": 10, "after": first["last_id"]}).json()
    assert [job["id"] for job in rest["data"]] == [made[2], made[1], made[0]]
    assert newer not in rest["data"]
    assert rest["has_more"] is False


def test_jobs_by_their_metadata(fresh: Service) -> None:
    add_base(fresh.database, fresh.store)
    file = str(fresh.upload(dataset())["id"])
    birds = create(fresh, file, metadata={"team": "birds", "a b[c]": "&="})["id"]
    both = create(fresh, file, metadata={"team": "birds", "run": "2"})["id"]
    create(fresh, file, metadata={"team": "cats"})
    none = create(fresh, file)["id"]

    def found(**query: Any) -> list[str]:
        return [job["id"] for job in fresh.client.get(JOBS, params=query).json()["data"]]

    assert found(**{"metadata[team]": "birds"}) == [both, birds]
    assert found(**{"metadata[team]": "birds", "order": "asc"}) == [birds, both]
    assert found(**{"metadata[team]": "birds", "metadata[run]": "2"}) == [both]
    assert found(**{"metadata[a b[c]]": "&="}) == [birds]
    assert found(**{"metadata[team]": "Birds"}) == []
    assert found(**{"metadata[birds]": "team"}) == []
    assert found(metadata="null") == [none]
    page = fresh.client.get(JOBS, params={"metadata[team]": "birds", "limit": 1}).json()
    assert ([job["id"] for job in page["data"]], page["has_more"]) == ([both], True)
    assert found(**{"metadata[team]": "birds", "after": both}) == [birds]
    assert (
        fresh.client.get(
            JOBS, params={"metadata[team]": "birds", "after": "ftjob-none"}
        ).status_code
        == 404
    )


def test_another_projects_metadata_is_not_found(service: Service, training_file: str) -> None:
    create(service, training_file, metadata={"secret": "plan"})
    _, other = add_key(service.database, "other")
    headers = {"authorization": f"Bearer {other}"}
    answer = service.client.get(JOBS, params={"metadata[secret]": "plan"}, headers=headers)
    assert answer.json()["data"] == []


def test_the_whole_life_on_the_wire(service: Service, training_file: str) -> None:
    job_id = create(service, training_file)["id"]
    finish(service, job_id)
    job = service.client.get(f"{JOBS}/{job_id}").json()
    FineTuningJob.model_validate({**job, "method": None})
    assert job["status"] == "succeeded"
    assert job["fine_tuned_model"] == f"ft:tiny::{job_id.removeprefix('ftjob-')}"
    assert [row["value"] for row in job["results"]] == [0.25, 0.75]
    assert job["results"][1] == {
        "seed": 0,
        "model": "fine_tuned",
        "split": "val",
        "metric": "accuracy",
        "value": 0.75,
        "low": 0.5,
        "high": 1.0,
        "n": 4,
        "selection": False,
    }
    assert [row["to"] for row in job["transitions"]][-2:] == ["running", "succeeded"]
    file = service.client.get(f"/v1/files/{job['result_files'][0]}").json()
    assert (file["filename"], file["purpose"]) == ("report.md", "fine-tune-results")

    checkpoints = service.client.get(f"{JOBS}/{job_id}/checkpoints").json()["data"]
    assert [row["step_number"] for row in checkpoints] == [100, 20]
    for row in checkpoints:
        parsed = FineTuningJobCheckpoint.model_validate(row)
        assert parsed.fine_tuning_job_id == job_id
        named = service.client.get(f"/v1/models/{parsed.fine_tuned_model_checkpoint}")
        assert named.json()["kind"] == "checkpoint"


def test_figures_touched_by_selection_say_so(service: Service, training_file: str) -> None:
    night = service.upload(dataset(["night"], seed=5000), "evals")["id"]
    split = {"name": "night", "file": night, "selection": True}
    job_id = create(service, training_file, evaluation={"splits": [split]})["id"]
    with service.database.write() as session:
        for reference in jobs_row(service, job_id).spec["datasets"]:
            datasets.mark_checked(session, service.project_id, reference["version"], "index", {})
    finish(service, job_id)
    rows = service.client.get(f"{JOBS}/{job_id}").json()["results"]
    assert {(row["model"], row["selection"]) for row in rows} == {
        ("zero_shot", False),
        ("fine_tuned", True),
    }


def test_a_failure_says_why(service: Service, training_file: str) -> None:
    job_id = create(service, training_file)["id"]
    with service.database.write() as session:
        version = jobs.get(session, service.project_id, job_id).spec["datasets"][0]["version"]
        datasets.mark_checked(session, service.project_id, version, "index", {})
    held = claim(service.database)
    while held.job_id != job_id:
        _fail(service, held, "another test's job")
        held = claim(service.database)
    _fail(service, held, "cat/1.png cannot be read")
    job = service.client.get(f"{JOBS}/{job_id}").json()
    assert (job["status"], job["status_reason"]) == ("failed", "invalid_dataset")
    assert job["error"] == {
        "code": "invalid_dataset",
        "message": "cat/1.png cannot be read",
        "param": "training_file",
    }


def _fail(service: Service, held: leases.Claim, message: str) -> None:
    with service.database.write() as session:
        leases.fail(
            session, held, "invalid_dataset", message, max_attempts=MOST, param="training_file"
        )


def test_events_newest_first_and_from_a_place(service: Service, training_file: str) -> None:
    job_id = create(service, training_file)["id"]
    finish(service, job_id)
    path = f"{JOBS}/{job_id}/events"
    newest = service.client.get(path).json()
    parsed = [FineTuningJobEvent.model_validate(event) for event in newest["data"]]
    assert parsed[-1].message == f"Created fine-tuning job: {job_id}"
    assert "successfully completed" in parsed[0].message
    sequences = [event["sequence"] for event in newest["data"]]
    assert sequences == list(range(len(sequences), 0, -1))

    one = service.client.get(path, params={"limit": 1}).json()
    assert one["has_more"] is True
    older = service.client.get(path, params={"after": one["last_id"]}).json()
    assert [event["id"] for event in one["data"] + older["data"]] == [
        event["id"] for event in newest["data"]
    ]
    onwards = service.client.get(path, params={"after": "1", "order": "asc"}).json()
    assert [event["sequence"] for event in onwards["data"]] == sorted(sequences)[1:]

    for wrong, status in (("ftevent-other-1", 404), ("-1", 400), ("x", 400), ("9" * 40, 400)):
        answer = service.client.get(path, params={"after": wrong})
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, "after")


def test_a_cancelled_job_cannot_be_cancelled_again(service: Service, training_file: str) -> None:
    job_id = create(service, training_file)["id"]
    cancelled = service.client.post(f"{JOBS}/{job_id}/cancel")
    assert cancelled.status_code == 200
    assert (cancelled.json()["status"], cancelled.json()["status_reason"]) == (
        "cancelled",
        "user_cancelled",
    )
    again = service.client.post(f"{JOBS}/{job_id}/cancel")
    assert again.status_code == 409
    assert again.headers["x-should-retry"] == "false"
    assert again.json()["error"]["code"] == "job_already_ended"
    assert "already cancelled" in again.json()["error"]["message"]


def test_a_running_job_is_cancelling_until_it_stopped(fresh: Service) -> None:
    add_base(fresh.database, fresh.store)
    job_id = create(fresh, str(fresh.upload(dataset())["id"]))["id"]
    claim(fresh.database)
    for _ in range(2):  # cancelling twice is one cancel
        assert fresh.client.post(f"{JOBS}/{job_id}/cancel").json()["status"] == "cancelling"


def test_a_waiting_job_is_paused_and_resumed(fresh: Service) -> None:
    add_base(fresh.database, fresh.store)
    job_id = create(fresh, fresh.upload(dataset())["id"])["id"]
    paused = fresh.client.post(f"{JOBS}/{job_id}/pause").json()
    assert (paused["status"], paused["queue_position"], paused["error"]) == ("paused", None, None)
    resumed = fresh.client.post(f"{JOBS}/{job_id}/resume").json()
    assert (resumed["status"], resumed["queue_position"]) == ("queued", 0)
    assert [change["to"] for change in resumed["transitions"]][-2:] == ["paused", "queued"]


def test_a_running_job_runs_until_its_pause_has_happened(fresh: Service) -> None:
    add_base(fresh.database, fresh.store)
    job_id = create(fresh, fresh.upload(dataset())["id"])["id"]
    claim(fresh.database)
    asked = fresh.client.post(f"{JOBS}/{job_id}/pause").json()
    assert (asked["status"], asked["stop_for"]) == ("validating_files", "pause")
    taken_back = fresh.client.post(f"{JOBS}/{job_id}/resume").json()
    assert taken_back["stop_for"] is None


def test_a_failed_job_is_retried(fresh: Service) -> None:
    add_base(fresh.database, fresh.store)
    job_id = create(fresh, fresh.upload(dataset())["id"])["id"]
    refused = fresh.client.post(f"{JOBS}/{job_id}/retry").json()
    assert refused["status"] == "validating_files"  # it has not failed: nothing to do
    with fresh.database.write() as session:
        held = leases.claim(session, "worker", "boot", 60.0)
        assert held is not None
        leases.fail(session, held, "storage_error", "the disk is full", max_attempts=1)
    failed = fresh.client.get(f"{JOBS}/{job_id}").json()
    assert failed["error"]["message"] == "the disk is full"
    again = fresh.client.post(f"{JOBS}/{job_id}/retry").json()
    assert (again["status"], again["error"], again["finished_at"]) == ("queued", None, None)


@pytest.mark.parametrize("verb", ["pause", "resume", "retry"])
def test_what_has_ended_is_left_alone(fresh: Service, verb: str) -> None:
    add_base(fresh.database, fresh.store)
    job_id = create(fresh, fresh.upload(dataset())["id"])["id"]
    fresh.client.post(f"{JOBS}/{job_id}/cancel")
    answer = fresh.client.post(f"{JOBS}/{job_id}/{verb}")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "job_already_ended"
    assert answer.headers["x-should-retry"] == "false"
    assert fresh.client.post(f"{JOBS}/ftjob-none/{verb}").status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"{}", 200),
        (b'{"keep_checkpoint": true}', 200),
        (b'{"keep_checkpoint": "perhaps"}', 400),
        (b'{"keep_checkpoint": 0}', 400),
        (b'{"keep_checkpoint": "true"}', 400),
        (b'{"keep": true}', 400),
        (b"[]", 400),
        (b"{", 400),
    ],
)
def test_what_a_cancel_may_say(fresh: Service, body: bytes, status: int) -> None:
    add_base(fresh.database, fresh.store)
    job_id = create(fresh, fresh.upload(dataset())["id"])["id"]
    answer = fresh.client.post(f"{JOBS}/{job_id}/cancel", content=body)
    assert answer.status_code == status, answer.text
    found = jobs_row(fresh, job_id).status
    assert found == ("cancelled" if status == 200 else "validating_files")


@pytest.mark.parametrize("suffix", ["", "/events", "/checkpoints"])
def test_unknown_and_foreign_jobs_look_the_same(
    service: Service, training_file: str, suffix: str
) -> None:
    job_id = create(service, training_file)["id"]
    _, other = add_key(service.database, "other")
    foreign = service.client.get(
        f"{JOBS}/{job_id}{suffix}", headers={"authorization": f"Bearer {other}"}
    )
    never = service.client.get(f"{JOBS}/ftjob-none{suffix}")
    assert foreign.status_code == never.status_code == 404
    assert foreign.text.replace(job_id, "ftjob-none") == never.text


def test_the_doorbell_rings_after_the_commit(fresh: Service) -> None:
    add_base(fresh.database, fresh.store)
    create(fresh, str(fresh.upload(dataset())["id"]))
    rung = list((fresh.settings.broker_directory / "messages").glob("*.msg"))
    assert len(rung) == 1


class TestRefusals:
    """Every sentence names the field and the value seen."""

    @pytest.mark.parametrize(
        ("fields", "code", "param", "words"),
        [
            ({"model": "../etc"}, "unknown_model", "model", ["'../etc'", "base:tiny"]),
            ({"model": "https://x.org/m"}, "unknown_model", "model", ["never a path or URL"]),
            ({"training_file": "file-none"}, "unknown_file", "training_file", ["'file-none'"]),
            (
                {"method": {"type": "sorcery"}},
                "unknown_method",
                "method.type",
                ["'sorcery'", "lipsum_ft"],
            ),
            (
                {"method": {"type": "ft", "ft": {"hyperparameters": {"learning_rate": 5}}}},
                "invalid_hyperparameter",
                "method.ft.hyperparameters.learning_rate",
                ["learning_rate is 5", "greater than 0 and at most 1", '"auto"'],
            ),
            (
                {"hyperparameters": {"lr": 1}},
                "unknown_hyperparameter",
                "method.lipsum_ft.hyperparameters.lr",
                ["'lr'", "learning_rate"],
            ),
            ({"seed": -1}, "invalid_request", "seed", ["seed is -1"]),
            ({"n_seeds": 11}, "invalid_request", "n_seeds", ["n_seeds is 11"]),
            ({"suffix": "a b"}, "invalid_request", "suffix", ["'a b'"]),
            ({"learning_rate": 1}, "invalid_request", "learning_rate", ["'learning_rate'"]),
            (
                {"evaluation": {"splits": [{"name": "x y", "file": "f"}]}},
                "invalid_request",
                "evaluation.splits.0.name",
                ["'x y'"],
            ),
            (
                {"metadata": {str(n): "v" for n in range(17)}},
                "invalid_request",
                "metadata",
                ["17 pairs"],
            ),
        ],
    )
    def test_of_a_field(
        self,
        service: Service,
        training_file: str,
        fields: dict[str, Any],
        code: str,
        param: str,
        words: list[str],
    ) -> None:
        before = service.client.get(JOBS).json()["data"]
        answer = service.client.post(
            JOBS, json={"model": "base:tiny", "training_file": training_file, **fields}
        )
        error = answer.json()["error"]
        assert answer.status_code == 400
        assert (error["code"], error["type"]) == (code, "invalid_request_error"), error
        assert error["param"] == param or (param == "metadata" and error["param"] is None)
        for word in words:
            assert word in error["message"]
        assert service.client.get(JOBS).json()["data"] == before

    def test_of_every_field_at_once(self, service: Service) -> None:
        answer = service.client.post(JOBS, json={"seed": "x", "n_seeds": 0})
        message = answer.json()["error"]["message"]
        for field in ("model", "training_file", "seed", "n_seeds"):
            assert field in message

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[1]",
            b"[" * 100_000,
            b"\xff",
            b'{"seed": NaN}',
            b'{"model": "\\ud800"}',
            b'{"model": "base:tiny\\u0000"}',
        ],
    )
    def test_of_what_is_no_json_object(self, service: Service, body: bytes) -> None:
        answer = service.client.post(JOBS, content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] in ("invalid_json", "invalid_request")

    @pytest.mark.parametrize(
        "query",
        [
            "metadata=birds",
            "metadata.team=birds",
            "metadata[team=birds",
            "metadata[team]=a&metadata[team]=b",
            "metadata[team]=a&metadata=null",
            "&".join(f"metadata[{n}]=v" for n in range(17)),
        ],
    )
    def test_of_a_filter_that_would_be_ignored(self, service: Service, query: str) -> None:
        answer = service.client.get(f"{JOBS}?{query}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_filter")
        assert answer.json()["error"]["param"] == "metadata"

    def test_of_a_body_over_the_limit(self, service: Service) -> None:
        answer = service.client.post(JOBS, content=b" " * (1024 * 1024 + 1))
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "body_too_large"

    def test_of_a_file_that_is_no_archive(self, service: Service, training_file: str) -> None:
        notes = service.upload(b"notes", "user_data")["id"]
        answer = service.client.post(JOBS, json={"model": "base:tiny", "training_file": notes})
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == ("wrong_purpose", "training_file")

    def test_of_one_class(self, service: Service, training_file: str) -> None:
        file = service.upload(dataset(["train"], ["cat"], seed=50))["id"]
        answer = service.client.post(JOBS, json={"model": "base:tiny", "training_file": file})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (
            400,
            "one_class",
            "training_file",
        )
