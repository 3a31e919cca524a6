"""Access: scopes, expiry and several secrets of a key; limits, counts, the audit log.

Revision: 0003, after 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# What every key could do before there were scopes; the key of the first start is its operator's.
_EVERYTHING = [
    "files:read",
    "files:write",
    "jobs:read",
    "jobs:write",
    "models:read",
    "models:write",
    "models:infer",
    "webhooks",
    "usage:read",
]
_FIRST_KEY = "first start"

_OWNED = ("files", "jobs", "comparisons")
_KEPT = ("id", "project_id", "name", "prefix", "created_at", "last_used_at", "revoked_at")


def upgrade() -> None:
    before = _read("SELECT * FROM api_keys")
    op.drop_table("api_keys")
    api_keys = op.create_table(
        "api_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        _project("api_keys"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    _index("api_keys", "project_id", "created_at", "id")
    key_secrets = op.create_table(
        "key_secrets",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("keyed_with", sa.String(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("valid_until", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name=op.f("fk_key_secrets_key_id_api_keys")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_key_secrets")),
    )
    _index("key_secrets", "key_id")
    for row in before:
        scopes = ["admin"] if row["name"] == _FIRST_KEY else _EVERYTHING
        op.bulk_insert(api_keys, [{name: row[name] for name in _KEPT} | {"scopes": scopes}])
        secret = {"digest": row["hash"], "key_id": row["id"], "created_at": row["created_at"]}
        op.bulk_insert(key_secrets, [secret])

    op.create_table(
        "limits",
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("requests_per_minute", sa.BigInteger(), nullable=True),
        sa.Column("concurrent_jobs", sa.BigInteger(), nullable=True),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=True),
        sa.Column("device_seconds_per_month", sa.BigInteger(), nullable=True),
        _project("limits"),
        sa.PrimaryKeyConstraint("owner_id", name=op.f("pk_limits")),
    )
    op.create_table(
        "rate_buckets",
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("filled_at", sa.Double(), nullable=False),
        _project("rate_buckets"),
        sa.PrimaryKeyConstraint("owner_id", name=op.f("pk_rate_buckets")),
    )
    op.create_table(
        "request_counts",
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name=op.f("fk_request_counts_key_id_api_keys")
        ),
        _project("request_counts"),
        sa.PrimaryKeyConstraint("key_id", "month", name=op.f("pk_request_counts")),
    )
    op.create_table(
        "audit_lines",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("details", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        _project("audit_lines"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_lines")),
    )
    _index("audit_lines", "project_id", "created_at", "id")

    for table in _OWNED:
        op.add_column(table, sa.Column("key_id", sa.String(), nullable=True))
    _index("job_transitions", "project_id", "at")


def downgrade() -> None:
    op.drop_index(op.f("ix_job_transitions_project_id_at"), "job_transitions")
    for table in _OWNED:
        op.drop_column(table, "key_id")
    for table in ("audit_lines", "request_counts", "rate_buckets", "limits"):
        op.drop_table(table)

    # A digest that was keyed meanwhile opens nothing in the older version; its row stays.
    before = _read(
        "SELECT k.*, s.digest AS hash FROM api_keys k JOIN key_secrets s"
        " ON s.key_id = k.id AND s.valid_until IS NULL"
    )
    op.drop_table("key_secrets")
    op.drop_table("api_keys")
    api_keys = op.create_table(
        "api_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        _project("api_keys"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_keys_hash")),
    )
    op.create_index(op.f("ix_api_keys_project_id"), "api_keys", ["project_id"])
    for row in before:
        op.bulk_insert(api_keys, [{name: row[name] for name in (*_KEPT, "hash")}])


def _read(statement: str) -> list[sa.RowMapping]:
    return list(op.get_bind().execute(sa.text(statement)).mappings())


def _project(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_project_id_projects")
    return sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=name)


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))
