"""Comparisons: several methods on one data set as one request.

Revision: 0002, after 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "comparisons",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("error_message", sa.String(), nullable=True),
        sa.Column("report_job", sa.String(), nullable=True),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'cancelling', 'succeeded', 'failed', 'cancelled')",
            name=op.f("ck_comparisons_status"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_comparisons_project_id_projects")
        ),
        sa.ForeignKeyConstraint(
            ["report_job"], ["jobs.id"], name=op.f("fk_comparisons_report_job_jobs")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparisons")),
    )
    for columns in (["project_id", "created_at", "id"], ["status", "created_at", "id"]):
        name = op.f(f"ix_comparisons_{'_'.join(columns)}")
        op.create_index(name, "comparisons", columns)
    op.create_table(
        "contenders",
        sa.Column("comparison_id", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("method", sa.JSON(), nullable=False),
        sa.Column("of", sa.JSON(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=True),
        sa.Column("left_out", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["comparison_id"],
            ["comparisons.id"],
            name=op.f("fk_contenders_comparison_id_comparisons"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_contenders_job_id_jobs")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_contenders_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("comparison_id", "position", name=op.f("pk_contenders")),
    )
    op.create_index(op.f("ix_contenders_job_id"), "contenders", ["job_id"])


def downgrade() -> None:
    op.drop_table("contenders")
    op.drop_table("comparisons")
