"""Whose turn it is: priorities, what jobs ask of workers, what projects had, and who works.

Revision: 0009, after 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_WAITING = "finished_at IS NULL AND lease_token IS NULL"
_HELD = "lease_token IS NOT NULL"


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("boot_id", sa.String(), nullable=False),
        sa.Column("slots", sa.BigInteger(), nullable=False),
        sa.Column("labels", sa.String(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_workers"),
    )
    op.create_index("ix_workers_seen_at", "workers", ["seen_at"])
    zero = sa.text("0")
    op.add_column(
        "projects", sa.Column("served_seconds", sa.Double(), nullable=False, server_default=zero)
    )
    op.add_column("projects", sa.Column("served_at", sa.Double(), nullable=True))
    op.add_column("limits", sa.Column("running_jobs", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("rank", sa.BigInteger(), nullable=False, server_default=zero))
    op.add_column("jobs", sa.Column("requires", sa.String(), nullable=True))
    op.drop_index("ix_jobs_waiting", "jobs")
    _create_partial("ix_jobs_waiting", _WAITING, "project_id", "rank", "created_at", "id")
    _create_partial("ix_jobs_held", _HELD, "project_id")
    _create_partial("ix_jobs_asking", f"requires IS NOT NULL AND {_WAITING}", "requires")


def downgrade() -> None:
    op.drop_index("ix_jobs_asking", "jobs")
    op.drop_index("ix_jobs_held", "jobs")
    op.drop_index("ix_jobs_waiting", "jobs")
    op.drop_column("jobs", "requires")
    op.drop_column("jobs", "rank")
    _create_partial("ix_jobs_waiting", _WAITING, "created_at", "id")
    op.drop_column("limits", "running_jobs")
    op.drop_column("projects", "served_at")
    op.drop_column("projects", "served_seconds")
    op.drop_index("ix_workers_seen_at", "workers")
    op.drop_table("workers")


def _create_partial(name: str, where: str, *columns: str) -> None:
    op.create_index(
        name, "jobs", list(columns), sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )
