"""What projects own: pages, ids of others, keys, files, models, jobs and their results."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError, InternalError, OperationalError

from core.errors import Conflict, Forbidden, NotFound, Unavailable
from core.jobs.messages import Artifact, Message, SplitResult, StoredModel
from core.records import (
    audit,
    datasets,
    events,
    files,
    garbage,
    jobs,
    keys,
    leases,
    models,
    pages,
    projects,
    publishing,
    results,
    scheduling,
)
from core.records.audit import Actor
from core.records.clock import now
from core.records.engine import Database, Session
from core.records.tables import File, Job, Project
from tests import service_builders as build

FOREIGN: dict[str, Callable[[Session, str, str], object]] = {
    "file": files.get,
    "delete file": files.delete,
    "files after": lambda session, project, own: files.list_files(session, project, after=own),
    "job": jobs.get,
    "cancel": jobs.request_cancel,
    "jobs after": lambda session, project, own: jobs.list_jobs(session, project, after=own),
    "transitions": jobs.list_transitions,
    "events": events.list_events,
    "metrics": results.list_metrics,
    "results": results.list_split_results,
    "model": models.get,
    "delete model": models.delete,
    "dataset": datasets.get,
    "key": keys.get,
    "revoke key": keys.revoke,
    "rotate key": lambda session, project, own: keys.rotate(
        session, project, own, build.HASHING, 0.0
    ),
    "keys after": lambda session, project, own: keys.list_keys(session, project, after=own),
    "audit after": lambda session, project, own: audit.list_lines(session, project, after=own),
}


@pytest.mark.parametrize("ask", sorted(FOREIGN))
def test_what_is_anothers_is_answered_like_what_is_not(database: Database, ask: str) -> None:
    ours, theirs = build.project(database), build.project(database, "theirs")
    job = build.job(database, ours)
    claim = build.claim(database)
    with database.write() as session:
        publishing.publish(session, claim, build.results(claim), max_attempts=3)
        key, _ = build.key(session, ours, "mine")
        file = _file(session, ours)
        audit.note(session, Actor(ours, key.id), "file.create", file.id)
        line = audit.list_lines(session, ours).items[0]
    owned = {
        "file": file.id,
        "model": claim.spec.model_id,
        "key": key.id,
        "audit": line.id,
        "dataset": "checked",
    }
    named = [own for word, own in owned.items() if word in ask]
    own = named[0] if named else job.id
    with database.write() as session:
        with pytest.raises(NotFound) as foreign:
            FOREIGN[ask](session, theirs, own)
        with pytest.raises(NotFound) as unknown:
            FOREIGN[ask](session, theirs, "nothing")
    assert foreign.value.code == unknown.value.code
    assert foreign.value.message.replace(own, "X") == unknown.value.message.replace("nothing", "X")


def test_pages_survive_inserts_and_deletions(database: Database) -> None:
    project = build.project(database)
    with database.write() as session:
        made = [_file(session, project, f"{number}").id for number in range(5)]
        session.execute(update(File).values(created_at=1000.0))  # all at one moment: id decides
    with database.read() as session:
        first = files.list_files(session, project, limit=2)
    assert first.has_more
    with database.write() as session:
        _file(session, project, "newer")
        files.delete(session, project, first.items[-1].id)  # the very row we continue after
    seen, after = [row.id for row in first.items], first.items[-1].id
    while after:
        with database.read() as session:
            page = files.list_files(session, project, after=after, limit=2)
        seen += [row.id for row in page.items]
        after = page.items[-1].id if page.has_more else ""
    assert seen == sorted(made, reverse=True)


def test_pages_go_both_ways(database: Database) -> None:
    project = build.project(database)
    made = [build.job(database, project).id for _ in range(3)]
    with database.read() as session:
        assert [row.id for row in jobs.list_jobs(session, project, order="asc").items] == made
        newest_first = jobs.list_jobs(session, project)
        after = jobs.list_jobs(session, project, after=made[0], order="asc")
    assert [row.id for row in newest_first.items] == made[::-1]
    assert not newest_first.has_more
    assert [row.id for row in after.items] == made[1:]


def test_events_are_read_from_where_one_left_off(database: Database) -> None:
    project = build.project(database)
    job = build.job(database, project)
    with database.write() as session:
        events.append(session, job.id, [events.Line(f"{n}") for n in range(5)])
    with database.read() as session:
        page = events.list_events(session, project, job.id, after=2, limit=3)
        newest = events.list_events(session, project, job.id, order="desc", limit=1)
        nothing = events.list_events(session, project, job.id, after=6)
    assert ([row.sequence for row in page.items], page.has_more) == ([3, 4, 5], True)
    assert [row.message for row in newest.items] == ["4"]
    assert (nothing.items, nothing.has_more) == ([], False)


def test_a_page_is_never_larger_than_the_most() -> None:
    assert [pages.clamp(limit) for limit in (-1, 0, 7, 10**9)] == [1, 1, 7, pages.MAX_LIMIT]


def test_a_job_is_born_whole(database: Database) -> None:
    project = build.project(database)
    job = build.job(database, project)
    assert (job.status, job.suffix, job.attempt, job.method) == ("queued", "mine", 0, "ft")
    assert job.request["training_file"] == "file-1"
    with database.read() as session:
        born = events.list_events(session, project, job.id).items
        moves = jobs.list_transitions(session, project, job.id)
    assert [row.message for row in born] == [f"Created fine-tuning job: {job.id}"]
    assert [(row.from_status, row.to_status) for row in moves] == [(None, "queued")]


def test_equal_work_has_equal_digests() -> None:
    assert jobs.spec_digest(build.specification()) == jobs.spec_digest(build.specification())
    other = build.specification(seeds=[1])
    assert jobs.spec_digest(build.specification()) != jobs.spec_digest(other)


def test_the_queue_counts_everybody_before_you(database: Database) -> None:
    ours, theirs = build.project(database), build.project(database, "theirs")
    running, before, mine = (
        build.job(database, ours),
        build.job(database, theirs),
        build.job(database, ours),
    )
    build.claim(database)
    with database.read() as session:
        found = scheduling.queue_positions(session, [build.read(database, running), before, mine])
    assert found == {before.id: 0, mine.id: 1}


def test_a_long_queue_is_not_counted_to_its_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduling, "QUEUE_COUNTED", 2)
    project = build.project(database)
    made = [build.job(database, project) for _ in range(4)]
    with database.read() as session:
        found = scheduling.queue_positions(session, made)
    assert [found[job.id] for job in made] == [0, 1, 2, 2]


def test_a_base_is_everybodys_and_nobody_can_delete_it(database: Database) -> None:
    ours, theirs = build.project(database), build.project(database, "theirs")
    base = {"object_key": "bases/a.tar", "sha256": "a", "size": 1, "members": {}, "info": {}}
    with database.write() as session:
        models.register_base(session, "tiny", **base)  # type: ignore[arg-type]
        models.register_base(session, "tiny", **base)  # type: ignore[arg-type]
        with pytest.raises(Conflict, match="other weights"):
            models.register_base(session, "tiny", **{**base, "sha256": "b"})  # type: ignore[arg-type]
        for project in (ours, theirs):
            assert models.get(session, project, "base:tiny").kind == "base"
            assert len(models.list_models(session, project).items) == 1
        with pytest.raises(Forbidden):
            models.delete(session, ours, "base:tiny")


def test_a_finished_job_shows_all_it_made_at_once(database: Database) -> None:
    project = build.project(database)
    job = build.job(database, project)
    claim = build.claim(database)
    with database.write() as session:
        publishing.publish(session, claim, build.results(claim), max_attempts=3)
    done = build.read(database, job)
    assert (done.status, done.fine_tuned_model) == ("succeeded", claim.spec.model_id)
    assert (done.progress, done.lease_token, done.phase) == (1.0, None, None)
    with database.read() as session:
        own = claim.spec.model_id
        checkpoints = models.checkpoints(session, project, job.id, limit=1)
        assert [row.id for row in checkpoints.items] == [f"{own}:step-100"]  # the newest
        assert checkpoints.has_more
        assert len(models.of_job(session, project, job.id)) == 3
        table = results.list_split_results(session, project, job.id)
        report = files.result_files(session, project, [job.id, "other"])
    assert [(row.model, row.value, row.low, row.n) for row in table] == [
        ("zero_shot", 0.25, None, 4),
        ("fine_tuned", 0.75, 0.5, 4),
    ]
    assert [row.filename for row in report[job.id]] == ["report.md"]
    assert report[job.id][0].purpose == files.RESULT_PURPOSE
    with database.write() as session:
        models.delete(session, project, claim.spec.model_id)
    with database.read() as session, pytest.raises(NotFound, match="model"):
        models.get(session, project, claim.spec.model_id)


STRANGE: dict[str, Callable[[str], Message]] = {
    "model of another job": lambda prefix: _model("ft:tiny::other", f"{prefix}m.tar"),
    "base": lambda prefix: _model("base:tiny", f"{prefix}m.tar"),
    "object of another job": lambda prefix: Artifact(
        filename="x", object_key="jobs/other/attempts/1/x", sha256="x", size=1
    ),
    "object out of the prefix": lambda prefix: Artifact(
        filename="x", object_key="files/x", sha256="x", size=1
    ),
}


@pytest.mark.parametrize("what", sorted(STRANGE))
def test_a_trainer_cannot_publish_what_is_not_its_own(database: Database, what: str) -> None:
    project = build.project(database)
    job = build.job(database, project)
    claim = build.claim(database)
    strange = STRANGE[what](f"jobs/{job.id}/attempts/1/")
    with database.write() as session:
        outcome = publishing.publish(
            session, claim, [*build.results(claim), strange], max_attempts=1
        )
    assert outcome.status == "failed"
    assert build.read(database, job).status_reason == "internal"
    with database.read() as session:
        assert models.of_job(session, project, job.id) == []


def test_a_result_that_is_not_a_number_is_kept_as_nothing(database: Database) -> None:
    project = build.project(database)
    job = build.job(database, project)
    claim = build.claim(database)
    nan = SplitResult(seed=0, model="m", split="s", metric="ece", value=float("nan"), n=0)
    with database.write() as session:
        publishing.publish(session, claim, [nan, nan], max_attempts=3)
    with database.read() as session:
        table = results.list_split_results(session, project, job.id)
    assert [row.value for row in table] == [None]
    assert build.read(database, job).fine_tuned_model is None  # it reported no model


def test_garbage_is_what_no_row_names_of_jobs_long_ended(database: Database) -> None:
    project = build.project(database)
    job, live = build.job(database, project), build.job(database, project)
    claim = build.claim(database)
    with database.write() as session:
        publishing.publish(session, claim, build.results(claim), max_attempts=3)
    with database.read() as session:
        assert garbage.jobs_to_purge(session, 3600) == []
    build.age(database, job.id, 4000)
    with database.read() as session:
        assert garbage.jobs_to_purge(session, 3600) == [job.id]
        assert len(garbage.named_keys(session, job.id)) == 4
    with database.write() as session:
        garbage.mark_purged(session, job.id)
        assert garbage.jobs_to_purge(session, 3600) == []
    assert build.read(database, live).status == "queued"


def test_the_clock_is_the_databases_and_does_not_stand_still(database: Database) -> None:
    with database.write() as session:
        times = [session.execute(select(now())).scalar_one() for _ in range(200)]
    assert times == sorted(times)
    assert times[0] > 1.7e9
    assert len(set(times)) > 1


def test_reading_cannot_write(database: Database) -> None:
    project = build.project(database)
    with pytest.raises((OperationalError, InternalError)), database.read() as session:
        build.key(session, project, "no")


def test_a_block_that_raises_writes_nothing(database: Database) -> None:
    def make_and_fail() -> None:
        with database.write() as session:
            projects.create(session, "gone")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        make_and_fail()
    with database.read() as session:
        assert session.execute(select(Project.id)).all() == []


@pytest.mark.parametrize(
    "values",
    [{"status": "done"}, {"phase": "resting"}, {"status_reason": "bad"}, {"lease_token": "x"}],
)
def test_the_tables_refuse_words_they_do_not_know(
    database: Database, values: dict[str, str]
) -> None:
    job = build.job(database, build.project(database))
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(update(Job).where(Job.id == job.id).values(**values))


def test_a_database_that_is_not_there_is_unavailable() -> None:
    absent = Database("postgresql+psycopg://lipsum@127.0.0.1:1/lipsum")
    with pytest.raises(Unavailable) as fault, absent.read() as session:
        session.execute(select(Job.id))
    assert fault.value.code == "database_unavailable"
    absent.close()


def test_a_dataset_is_checked_once(database: Database) -> None:
    project = build.project(database)
    build.dataset(database, project, "v", checked=False)
    build.dataset(database, project, "v", checked=False)
    with database.write() as session:
        datasets.mark_checked(session, project, "v", "first", {"n": 1})
        datasets.mark_checked(session, project, "v", "second", {"n": 2})
        assert datasets.get(session, project, "v").index_key == "first"
        assert datasets.unchecked(session, project, ["v"]) == []


def test_leases_of_the_unknown_are_lost(database: Database) -> None:
    project = build.project(database)
    build.job(database, project)
    claim = build.claim(database)
    with database.write() as session:
        leases.give_back(session, claim)
    with pytest.raises(leases.LeaseLost), database.write() as session:
        leases.hold(session, claim)


def _file(session: Session, project: str, name: str = "a.zip") -> File:
    return files.create(
        session,
        project,
        filename=name,
        purpose="fine-tune",
        size=1,
        sha256="a",
        object_key=f"files/{project}/a",
    )


def _model(model_id: str, key: str) -> StoredModel:
    return StoredModel(
        id=model_id, kind="fine_tuned", object_key=key, sha256="a", size=1, members={}, seed=0
    )
