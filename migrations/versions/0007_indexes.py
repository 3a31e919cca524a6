"""Indexes whose size is that of what goes on, not of all that ever was.

Revision: 0007, after 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_jobs_status_created_at_id", "jobs")
    _create_partial(
        "ix_jobs_waiting",
        "jobs",
        ["created_at", "id"],
        "finished_at IS NULL AND lease_token IS NULL",
    )
    _create_partial("ix_jobs_open", "jobs", ["project_id"], "finished_at IS NULL")
    _create_partial(
        "ix_jobs_unpurged", "jobs", ["finished_at"], "purged_at IS NULL AND finished_at IS NOT NULL"
    )
    op.drop_index("ix_files_job_id", "files")
    op.create_index("ix_files_job_id_project_id", "files", ["job_id", "project_id"])
    _create_partial(
        "ix_files_of_datasets",
        "files",
        ["project_id", "dataset_version"],
        "dataset_version IS NOT NULL",
    )


def downgrade() -> None:
    op.drop_index("ix_files_of_datasets", "files")
    op.drop_index("ix_files_job_id_project_id", "files")
    op.create_index("ix_files_job_id", "files", ["job_id"])
    for name in ("ix_jobs_unpurged", "ix_jobs_open", "ix_jobs_waiting"):
        op.drop_index(name, "jobs")
    op.create_index("ix_jobs_status_created_at_id", "jobs", ["status", "created_at", "id"])


def _create_partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(
        name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )
