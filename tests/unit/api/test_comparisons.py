"""Comparisons over HTTP, with the worker's part done by hand: what is made when, and its end."""

from __future__ import annotations

from typing import Any

import pytest

from core.comparisons.advance import advance
from core.jobs.messages import Artifact, Event, Message
from core.jobs.spec import JobSpec
from core.records import datasets, jobs, leases, publishing
from core.records.leases import Claim
from tests.api_service import Service, add_base, add_key, dataset
from tests.service_builders import MOST, results

COMPARISONS = "/v1/comparisons"
JOBS = "/v1/fine_tuning/jobs"


@pytest.fixture
def training_file(fresh: Service) -> str:
    add_base(fresh.database, fresh.store)
    file = fresh.upload(dataset())
    return str(file["id"])


def create(service: Service, training_file: str, methods: Any, **fields: Any) -> dict[str, Any]:
    """A comparison that must be accepted."""
    body = {"model": "base:tiny", "training_file": training_file, "methods": methods, **fields}
    answer = service.client.post(COMPARISONS, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def now(service: Service, comparison: dict[str, Any]) -> dict[str, Any]:
    return dict(service.client.get(f"{COMPARISONS}/{comparison['id']}").json())


def contenders(service: Service, comparison: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["label"]: each for each in now(service, comparison)["contenders"]}


def sweep(service: Service, comparison: dict[str, Any]) -> list[str]:
    with service.database.write() as session:
        return advance(session, comparison["id"], service.settings)


def work(service: Service, ending: str = "succeeded", *extra: Message) -> JobSpec:
    """What a worker does with the job it claims next; the job's specification."""
    with service.database.write() as session:
        claim = leases.claim(session, "worker", "boot", 60.0)
        assert claim is not None
        if claim.duty == "check":
            for reference in claim.spec.datasets:
                index = reference.index_key
                datasets.mark_checked(session, claim.project_id, reference.version, index, {})
            leases.pass_check(session, claim, [], max_attempts=MOST)
            claim = leases.claim(session, "worker", "boot", 60.0)
            assert claim is not None
        if ending == "succeeded":
            messages = [*results(claim), *_result_files(claim), *extra]
            publishing.publish(session, claim, messages, max_attempts=MOST)
        else:
            leases.fail(session, claim, "loss_not_finite", "it diverged", max_attempts=MOST)
    return claim.spec


def _result_files(claim: Claim) -> list[Artifact]:
    prefix = f"jobs/{claim.job_id}/attempts/{claim.attempt}"
    names = ("results.json", "predictions.parquet", "comparison.json", "comparison.html")
    return [
        Artifact(filename=name, object_key=f"{prefix}/{name}", sha256="dd", size=7)
        for name in names
    ]


def test_from_request_to_verdict(fresh: Service, training_file: str) -> None:
    made = create(fresh, training_file, ["ft", "wise_ft"], seed=3, name="First look")
    assert (made["status"], made["seed"], made["name"]) == ("running", 3, "First look")
    found = contenders(fresh, made)
    assert found["ft"]["status"] == "validating_files"
    assert (found["wise_ft"]["status"], found["wise_ft"]["job_id"]) == ("waiting", None)
    assert found["wise_ft"]["of"] == ["ft"]
    assert sweep(fresh, made) == []

    spec = work(fresh)
    assert (spec.method, spec.alphas, spec.seeds) == ("ft", [0.25, 0.5, 0.75], [3])
    (wise_job,) = sweep(fresh, made)
    assert sweep(fresh, made) == []
    spec = work(fresh)
    assert (spec.job_id, spec.method) == (wise_job, "wise_ft")
    assert [model.id for model in spec.inputs] == [
        fresh.client.get(f"{JOBS}/{found['ft']['job_id']}").json()["fine_tuned_model"]
    ]

    (report_job,) = sweep(fresh, made)
    verdict = "Take wise_ft."
    spec = work(fresh, "succeeded", Event(message=verdict, data={"verdict": verdict}))
    assert (spec.job_id, spec.method) == (report_job, "compare")
    assert spec.comparison is not None
    assert [(job.label, job.method, job.of) for job in spec.comparison.jobs] == [
        ("ft", "ft", []),
        ("wise_ft", "wise_ft", ["ft"]),
    ]
    assert spec.comparison.jobs[0].results_key.endswith("/results.json")
    assert spec.comparison.left_out == {}
    assert sweep(fresh, made) == []

    ended = now(fresh, made)
    assert (ended["status"], ended["verdict"], ended["error"]) == ("succeeded", verdict, None)
    assert ended["report_job"] == report_job
    assert {"comparison.json", "comparison.html"} <= ended["report_files"].keys()
    assert sweep(fresh, made) == []
    listed = fresh.client.get(COMPARISONS).json()
    assert [item["id"] for item in listed["data"]] == [made["id"]]
    assert fresh.client.get(f"{COMPARISONS}/{made['id']}/report").status_code == 507  # not stored
    missing = fresh.client.get(f"{COMPARISONS}/{made['id']}/report", params={"format": "csv"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "no_report")


def test_a_failed_contender_leaves_the_others_their_report(
    fresh: Service, training_file: str
) -> None:
    made = create(fresh, training_file, ["kd", "ft", "wise_ft"])
    assert work(fresh).method == "kd"
    assert work(fresh, "failed").method == "ft"
    (report_job,) = sweep(fresh, made)
    assert contenders(fresh, made)["wise_ft"]["left_out"] == "ft has no result"
    with fresh.database.read() as session:
        spec = JobSpec.model_validate(jobs.get(session, fresh.project_id, report_job).spec)
    assert spec.comparison is not None
    assert [job.label for job in spec.comparison.jobs] == ["kd"]
    assert spec.comparison.left_out == {
        "ft": "failed: it diverged",
        "wise_ft": "ft has no result",
    }


def test_nothing_to_report_on(fresh: Service, training_file: str) -> None:
    made = create(fresh, training_file, ["ft"])
    work(fresh, "failed")
    assert sweep(fresh, made) == []
    ended = now(fresh, made)
    assert ended["status"] == "failed"
    assert ended["error"] == "No contender has a result (ft: failed: it diverged)."
    assert ended["finished_at"] is not None


def test_a_budget_stops_what_has_not_begun(fresh: Service, training_file: str) -> None:
    made = create(
        fresh, training_file, ["kd", "ft", "wise_ft"], budget={"seconds": 1e-9}, name="Short"
    )
    assert work(fresh).method == "kd"
    (report_job,) = sweep(fresh, made)
    found = contenders(fresh, made)
    assert found["kd"]["left_out"] is None
    for label in ("ft", "wise_ft"):
        assert found[label]["status"] == "left_out"
        assert found[label]["left_out"] == "the budget of 1e-09 s was spent"
    assert fresh.client.get(f"{JOBS}/{found['ft']['job_id']}").json()["status"] == "cancelled"
    assert now(fresh, made)["report_job"] == report_job


def test_a_deleted_model_costs_only_its_contender(fresh: Service, training_file: str) -> None:
    made = create(fresh, training_file, ["ft", "wise_ft"])
    work(fresh)
    job = fresh.client.get(f"{JOBS}/{contenders(fresh, made)['ft']['job_id']}").json()
    assert fresh.client.delete(f"/v1/models/{job['fine_tuned_model']}").status_code == 200
    (report_job,) = sweep(fresh, made)
    assert now(fresh, made)["report_job"] == report_job
    assert "whose models were deleted" in contenders(fresh, made)["wise_ft"]["left_out"]


def test_cancel(fresh: Service, training_file: str) -> None:
    made = create(fresh, training_file, ["ft", "kd"])
    answer = fresh.client.post(f"{COMPARISONS}/{made['id']}/cancel").json()
    assert answer["status"] == "cancelling"
    assert {each["status"] for each in answer["contenders"]} == {"cancelled"}
    assert sweep(fresh, made) == []
    assert now(fresh, made)["status"] == "cancelled"
    again = fresh.client.post(f"{COMPARISONS}/{made['id']}/cancel")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "comparison_already_ended")


def test_a_refused_comparison_leaves_nothing(fresh: Service, training_file: str) -> None:
    bad = {"type": "kd", "kd": {"hyperparameters": {"penalty_weight": -1}}}
    answer = fresh.client.post(
        COMPARISONS,
        json={
            "model": "base:tiny",
            "training_file": training_file,
            "methods": ["ft", {"label": "mine", "method": bad}],
        },
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "methods")
    assert error["message"].startswith("mine: penalty_weight is -1")
    assert fresh.client.get(COMPARISONS).json()["data"] == []
    assert fresh.client.get(JOBS).json()["data"] == []


def test_a_combinations_hyperparameters_are_checked_before_it_can_run(
    fresh: Service, training_file: str
) -> None:
    bad = {"type": "wise_ft", "wise_ft": {"hyperparameters": {"alpha": 2}}}
    body = {"model": "base:tiny", "training_file": training_file, "methods": [{"method": bad}]}
    answer = fresh.client.post(COMPARISONS, json=body)
    assert answer.status_code == 400
    assert "alpha is 2" in answer.json()["error"]["message"]


@pytest.mark.parametrize("field", ["training_file", "model"])
def test_what_all_contenders_share_is_blamed_on_none(
    fresh: Service, training_file: str, field: str
) -> None:
    body = {"model": "base:tiny", "training_file": training_file, "methods": ["ft"], field: "x"}
    error = fresh.client.post(COMPARISONS, json=body).json()["error"]
    assert error["param"] == field


def test_a_foreign_comparison_is_an_unknown_one(fresh: Service, training_file: str) -> None:
    made = create(fresh, training_file, ["ft"])
    _, secret = add_key(fresh.database, "others")
    theirs = {"authorization": f"Bearer {secret}"}
    for method, path in (("GET", ""), ("POST", "/cancel"), ("GET", "/report")):
        foreign = fresh.client.request(method, f"{COMPARISONS}/{made['id']}{path}", headers=theirs)
        unknown = fresh.client.request(method, f"{COMPARISONS}/cmp-none{path}", headers=theirs)
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.text.replace(made["id"], "cmp-none") == unknown.text
    assert fresh.client.get(COMPARISONS, headers=theirs).json()["data"] == []
