"""Requests that are known when they are repeated.

Revision: 0006, after 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotent_requests",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("gives_up_at", sa.Double(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "status IN ('running', 'answered', 'failed')",
            name=op.f("ck_idempotent_requests_status"),
        ),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name=op.f("fk_idempotent_requests_key_id_api_keys")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_idempotent_requests_project_id_projects"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotent_requests")),
        sa.UniqueConstraint(
            "key_id", "idempotency_key", name=op.f("uq_idempotent_requests_key_id_idempotency_key")
        ),
    )
    for columns in (["created_at"], ["key_id", "fingerprint", "created_at"]):
        name = op.f(f"ix_idempotent_requests_{'_'.join(columns)}")
        op.create_index(name, "idempotent_requests", columns)


def downgrade() -> None:
    op.drop_table("idempotent_requests")
