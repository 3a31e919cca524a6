"""Checkpoints of jobs, what a job is asked to stop for, and where it computed.

Revision: 0004, after 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("stop_for", sa.String(), nullable=True))
    op.add_column("jobs", sa.Column("environment", sa.JSON(), nullable=True))
    op.create_table(
        "job_checkpoints",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("discarded_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_job_checkpoints_job_id_jobs")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_job_checkpoints_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_job_checkpoints")),
    )
    op.create_index(op.f("ix_job_checkpoints_discarded_at"), "job_checkpoints", ["discarded_at"])


def downgrade() -> None:
    op.drop_table("job_checkpoints")
    op.drop_column("jobs", "environment")
    op.drop_column("jobs", "stop_for")
