"""Names for models, which may come to point at others.

Revision: 0012, after 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "aliases",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("previous_model_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_aliases_project_id_projects"
        ),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_aliases_model_id_models"),
        sa.ForeignKeyConstraint(
            ["previous_model_id"], ["models.id"], name="fk_aliases_previous_model_id_models"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_aliases"),
        sa.UniqueConstraint("project_id", "name", name="uq_aliases_project_id_name"),
    )
    op.create_index("ix_aliases_model_id", "aliases", ["model_id"])
    op.create_index(
        "ix_aliases_project_id_created_at_id", "aliases", ["project_id", "created_at", "id"]
    )


def downgrade() -> None:
    op.drop_table("aliases")
