"""The supervisor's parts by themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from core import doorbell
from core.jobs.messages import Event, Finished, Message, Metrics, Progress
from core.objects import ObjectStore
from core.records import jobs, publishing, upload_parts, uploads
from core.records.engine import Database
from core.records.tables import Upload
from core.settings import Settings
from tests import service_builders as build
from worker import inbox
from worker.environment import child_environment, trainer_environment
from worker.identity import Identity
from worker.inbox import Inbox
from worker.listener import FIRST_PAUSE, Listener
from worker.sweeper import Sweeper
from worker.waker import Waker

ROOT = Path(__file__).parents[3]


def test_an_inbox_keeps_the_newest_progress_and_every_event() -> None:
    box = Inbox()
    early, late = Progress(phase="training", fraction=0.1), Progress(phase="training", fraction=0.2)
    first, second = Event(message="1"), Event(message="2")
    assert box.add([early, first, late, second])
    assert box.batch() == [late, first, second]
    box.relayed()
    assert box.batch() == []
    assert not box.add([late.model_copy(update={"remaining_seconds": 3.0}), first])  # no move
    assert box.add([Metrics(seed=0, step=1, values={})])


def test_an_inbox_keeps_results_to_the_end() -> None:
    box = Inbox()
    event = Event(message="1")
    result = build.results_of_nothing()
    box.add([result, event, Finished()])
    assert box.batch() == [event]
    box.relayed()
    assert box.everything() == [result]
    assert isinstance(box.last_word, Finished)


def test_a_full_inbox_has_no_room() -> None:
    box = Inbox()
    messages: list[Message] = [Event(message="x")] * inbox.FULL
    box.add(messages)
    assert box.room == 0
    assert len(box.batch()) == inbox.BATCH
    box.relayed()
    assert box.room == inbox.BATCH


def test_names_are_kept_over_restarts_and_never_shared(tmp_path: Path) -> None:
    with Identity(tmp_path) as first, Identity(tmp_path) as second:
        assert first.owner != second.owner
        owner, boot_id = first.owner, first.boot_id
    with Identity(tmp_path) as again:
        assert again.owner == owner
        assert again.boot_id != boot_id


def test_a_dead_workers_name_is_free_although_its_children_live(tmp_path: Path) -> None:
    script = (
        "import os, subprocess, sys; from pathlib import Path;"
        "from worker.identity import Identity;"
        f"i = Identity(Path({str(tmp_path)!r}));"
        "quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL};"
        "c = subprocess.Popen(['sleep', '60'], close_fds=False, **quiet);"
        "print(i.owner, c.pid); sys.stdout.flush(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    owner, child = done.stdout.split()
    try:
        with Identity(tmp_path) as again:
            assert again.owner == owner
    finally:
        os.kill(int(child), signal.SIGKILL)


def test_children_get_the_settings_and_trainers_no_secrets_of_the_database(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIPSUM_ENV_FILE", "/some/file")
    monkeypatch.setenv("LIPSUM_PORT", "1")
    settings = Settings(
        data_dir=tmp_path,
        database_url="postgresql+psycopg://user:password@host/db",
        broker_url="redis://:password@host/0",
        s3_secret_access_key="s3 secret",
        worker_slots=2,
        trainer_threads=3,
        log_json=True,
    )
    child = child_environment(settings)
    assert "LIPSUM_ENV_FILE" not in child
    for name, value in child.items():
        if name.startswith("LIPSUM_"):
            monkeypatch.setenv(name, value)
    monkeypatch.delenv("LIPSUM_ENV_FILE")
    assert Settings() == settings
    trainer = trainer_environment(settings)
    assert not any("password" in value for value in trainer.values())
    assert trainer["LIPSUM_S3_SECRET_ACCESS_KEY"] == "s3 secret"
    assert trainer["OMP_NUM_THREADS"] == "3"


def test_a_child_dies_with_its_parent() -> None:
    child = "import sys, time; from worker.parent_death import die_with_parent;" + (
        "die_with_parent(int(sys.argv[1])); print('ready', flush=True); time.sleep(60)"
    )
    parent = (
        "import os, subprocess, sys;"
        f"c = subprocess.Popen([sys.executable, '-c', {child!r}, str(os.getpid())],"
        " stdout=subprocess.PIPE); c.stdout.readline();"
        "print(c.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent], capture_output=True, text=True, cwd=ROOT, check=False
    )
    pid = int(done.stdout)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.01)


def test_a_child_whose_parent_is_dead_already_exits() -> None:
    script = "from worker.parent_death import die_with_parent; die_with_parent(1); print('alive')"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")


def test_a_waker_tells_wakes_from_signals() -> None:
    waker = Waker()
    assert not waker.drain()
    os.write(waker.writer, bytes([signal.SIGCHLD]))
    assert not waker.drain()
    for _ in range(100_000):  # more than the pipe holds: none blocks
        waker.wake()
    assert waker.drain()
    assert not waker.drain()
    waker.close()


class MovedClock:
    time = 100.0

    def now(self) -> float:
        return self.time


def test_a_consumer_that_dies_is_started_again_ever_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("worker.listener.sys.executable", "/bin/false")
    clock = MovedClock()
    listener = Listener(Settings(data_dir=tmp_path), clock)
    pauses = []
    for _ in range(8):
        listener.step()
        _wait_until_dead(listener)
        pauses.append(listener.next_due() - clock.time)
        clock.time = listener.next_due()
    listener.close()
    assert pauses == [FIRST_PAUSE, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


@pytest.mark.parametrize(
    "url",
    ["redis://127.0.0.1:1/0", "redis://10.255.255.1/0", "amqp://127.0.0.1:1//", "nonsense://"],
)
def test_a_ring_nobody_takes_is_false_and_quick(tmp_path: Path, url: str) -> None:
    settings = Settings(data_dir=tmp_path, broker_url=url)
    doorbell.ring(settings)  # the first one imports kombu
    began = time.monotonic()
    assert not doorbell.ring(settings)
    assert time.monotonic() - began < 1.0


def test_a_ring_into_a_directory_appears_whole(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert doorbell.ring(settings)
    assert doorbell.ring(settings)
    messages = list((settings.broker_directory / "messages").iterdir())
    assert len(messages) == 2
    assert all(path.name.endswith(f".{doorbell.QUEUE_NAME}.msg") for path in messages)


def test_a_sweep_reaps_rings_and_wakes(database: Database, tmp_path: Path) -> None:
    project = build.project(database)
    dead, unheard = build.job(database, project), build.job(database, project)
    build.claim(database)
    build.age(database, dead.id)
    build.make_bell_due(database, unheard)
    settings = Settings(data_dir=tmp_path)
    woken: list[bool] = []
    sweeper = Sweeper(
        database, ObjectStore.from_settings(settings), settings, wake=lambda: woken.append(True)
    )
    sweeper.sweep()
    assert build.read(database, dead).status == "queued"
    assert woken == [True]
    assert len(list((settings.broker_directory / "messages").iterdir())) == 1
    sweeper.sweep()
    assert woken == [True]  # it waits before it rings again


def test_only_what_no_row_names_is_deleted_and_only_of_ended_jobs(
    database: Database, tmp_path: Path
) -> None:
    project = build.project(database)
    ended, running = build.job(database, project), build.job(database, project)
    claim, _ = build.claim(database), build.claim(database)
    settings = Settings(data_dir=tmp_path)
    store = ObjectStore.from_settings(settings)
    reported = build.results(claim)
    published = [item.object_key for item in reported if not hasattr(item, "split")]
    unnamed = f"jobs/{ended.id}/attempts/1/state.tar"
    elsewhere = f"jobs/{running.id}/attempts/1/state.tar"
    for key in (*published, unnamed, elsewhere):
        store.put_bytes(key, b"x")
    with database.write() as session:
        publishing.publish(session, claim, reported, max_attempts=3)
    sweeper = Sweeper(database, store, settings, wake=lambda: None)
    sweeper.sweep()
    assert store.exists(unnamed)  # its worker may not have noticed yet
    build.age(database, ended.id, 4000)
    sweeper.sweep()
    assert not store.exists(unnamed)
    assert all(store.exists(key) for key in (*published, elsewhere))
    with database.read() as session:
        assert jobs.get(session, project, ended.id).purged_at is not None


def test_the_parts_of_ended_uploads_are_deleted_and_late_ones_end(
    database: Database, tmp_path: Path
) -> None:
    project = build.project(database)
    settings = Settings(data_dir=tmp_path)
    store = ObjectStore.from_settings(settings)
    cancelled, late, live = (_upload(database, store, project) for _ in range(3))
    with database.write() as session:
        uploads.cancel(session, project, cancelled)
        session.execute(update(Upload).where(Upload.id == late).values(expires_at=1.0))
    sweeper = Sweeper(database, store, settings, wake=lambda: None)
    sweeper.sweep()
    assert len(list(store.list("uploads"))) == 6  # a request may still be reading them
    with database.write() as session:
        assert uploads.get(session, project, late).status == "expired"
        session.execute(update(Upload).values(ended_at=Upload.ended_at - 100.0))
    store.put_bytes(f"uploads/{late}/unnamed", b"x")  # its API process died before the row
    sweeper.sweep()
    assert sorted(item.key for item in store.list("uploads")) == [
        f"uploads/{live}/0",
        f"uploads/{live}/1",
    ]
    with database.read() as session:
        assert upload_parts.list_parts(session, project, late).items == []
        assert len(upload_parts.list_parts(session, project, live).items) == 2


def _upload(database: Database, store: ObjectStore, project: str) -> str:
    """An upload of two parts."""
    with database.write() as session:
        row = uploads.create(
            session, project, filename="a", purpose="fine-tune", mime_type="x", size=2, seconds=99.0
        )
    for content in ("0", "1"):
        key = f"uploads/{row.id}/{content}"
        store.put_bytes(key, b"x")
        with database.write() as session:
            upload_parts.add(
                session, project, row.id, number=None, size=1, sha256=content, object_key=key
            )
    return row.id


def test_a_sweep_outlives_a_database_that_is_away(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    away = Database("postgresql+psycopg://x@127.0.0.1:1/x")
    store = ObjectStore.from_settings(settings)
    Sweeper(away, store, settings, wake=lambda: None).sweep()
    away.close()


def test_directories_are_discarded_until_it_is_stopped(database: Database, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    sweeper = Sweeper(database, ObjectStore.from_settings(settings), settings, wake=lambda: None)
    work = tmp_path / "work"
    (work / "job-train-1" / "deep").mkdir(parents=True)
    sweeper.discard_leftovers(work)
    sweeper.discard_leftovers(tmp_path / "nothing")
    sweeper.stop()
    sweeper.run()
    assert list(work.iterdir()) == []


def _wait_until_dead(listener: Listener) -> None:
    deadline = time.monotonic() + 10
    while listener._consumer is not None:
        assert time.monotonic() < deadline
        listener.step()
        time.sleep(0.005)
