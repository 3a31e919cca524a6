"""What becomes of the objects of deleted files, models and projects.

Revision: 0010, after 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_UNPURGED = "deleted_at IS NOT NULL AND purged_at IS NULL"


def upgrade() -> None:
    op.create_table(
        "doomed_objects",
        sa.Column("object_key", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("doomed_at", sa.Double(), nullable=False),
        sa.Column("lifted_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_doomed_objects_project_id_projects"
        ),
        sa.PrimaryKeyConstraint("object_key", name="pk_doomed_objects"),
    )
    for table in ("files", "models", "dataset_versions"):
        op.add_column(table, sa.Column("purged_at", sa.Double(), nullable=True))
    op.add_column("projects", sa.Column("deleted_at", sa.Double(), nullable=True))
    for table in ("files", "models"):
        _create_partial(f"ix_{table}_deleted", table, _UNPURGED, "project_id", "deleted_at")
    _create_partial("ix_jobs_failed", "jobs", "status = 'failed'", "project_id", "finished_at")


def downgrade() -> None:
    op.drop_index("ix_jobs_failed", "jobs")
    for table in ("models", "files"):
        op.drop_index(f"ix_{table}_deleted", table)
    op.drop_column("projects", "deleted_at")
    for table in ("dataset_versions", "models", "files"):
        op.drop_column(table, "purged_at")
    op.drop_table("doomed_objects")


def _create_partial(name: str, table: str, where: str, *columns: str) -> None:
    op.create_index(
        name, table, list(columns), sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )
