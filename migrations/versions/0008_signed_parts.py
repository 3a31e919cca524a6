"""Parts that clients write into the store by themselves, at signed addresses.

Revision: 0008, after 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("uploads", sa.Column("signed_until", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("uploads", "signed_until")
