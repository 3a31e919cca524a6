"""An index of the jobs that wait for a worker, and of no others, for places in the queue.

Revision: 0011, after 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_QUEUED = "finished_at IS NULL AND lease_token IS NULL AND status IN ('validating_files', 'queued')"


def upgrade() -> None:
    op.create_index(
        "ix_jobs_queued",
        "jobs",
        ["project_id", "rank", "created_at", "id"],
        sqlite_where=sa.text(_QUEUED),
        postgresql_where=sa.text(_QUEUED),
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_queued", "jobs")
