"""The least that could take a job: a FastAPI route that checks a body and inserts a row.

    python -m benchmarks.bare_app DATABASE_URL PORT

No key, no look at whether model and file exist, no event, no queue: what `create_job` is compared
with. Served and stored as the API is, by uvicorn and with SQLite's write-ahead log.
"""

from __future__ import annotations

import secrets
import sqlite3
import sys
import time
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import JSON, Double, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """The table below."""


class JobRow(Base):
    """A job, and nothing that belongs to it."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[float] = mapped_column(Double)
    status: Mapped[str]
    model: Mapped[str]
    training_file: Mapped[str]
    method: Mapped[dict[str, Any]] = mapped_column(JSON)
    seed: Mapped[int | None]
    suffix: Mapped[str | None]
    user_metadata: Mapped[dict[str, str] | None] = mapped_column(JSON)


class JobRequest(BaseModel):
    """What the service's request has, where this benchmark sends it."""

    model_config = ConfigDict(extra="forbid")

    model: str
    training_file: str
    method: dict[str, Any]
    seed: int | None = None
    suffix: str | None = None
    metadata: dict[str, str] | None = None


class JobAnswer(JobRequest):
    """The same with what the row adds."""

    id: str
    created_at: float
    status: str


def create_app(database_url: str) -> FastAPI:
    """The app over an empty database."""
    engine = create_engine(database_url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    Base.metadata.create_all(engine)
    app = FastAPI()

    @app.post("/jobs")
    def create_job(body: JobRequest) -> JobAnswer:
        row = JobRow(
            id=secrets.token_hex(10),
            created_at=time.time(),
            status="queued",
            user_metadata=body.metadata,
            **body.model_dump(exclude={"metadata"}),
        )
        with Session(engine, expire_on_commit=False) as session, session.begin():
            session.add(row)
        return JobAnswer(
            **body.model_dump(), id=row.id, created_at=row.created_at, status=row.status
        )

    return app


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]), port=int(sys.argv[2]), log_config=None, access_log=False)
