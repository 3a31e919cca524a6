"""What a key may do. Every route needs one scope; none implies another but `admin`, all of them.

Also `admin` opens only what belongs to the key's own project, except where a route says otherwise:
keys, limits, usage and the audit log of every project are an operator's business.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal, get_args

Scope = Literal[
    "files:read",
    "files:write",
    "jobs:read",
    "jobs:write",
    "models:read",
    "models:write",
    "models:infer",
    "webhooks",
    "usage:read",
    "audit:read",
    "metrics:read",
    "keys",
    "admin",
]

SCOPES: tuple[Scope, ...] = get_args(Scope)
ADMIN: Scope = "admin"

# What a person needs who trains and uses models, and no more.
USER_SCOPES: tuple[Scope, ...] = (
    "files:read",
    "files:write",
    "jobs:read",
    "jobs:write",
    "models:read",
    "models:write",
    "models:infer",
    "webhooks",
    "usage:read",
)


def allows(held: Collection[str], scope: Scope) -> bool:
    """Whether a key with the scopes `held` may do what needs `scope`."""
    return scope in held or ADMIN in held


def beyond(held: Collection[str], wanted: Iterable[str]) -> list[str]:
    """The scopes of `wanted` that a key with `held` has not, and so cannot hand out."""
    return [] if ADMIN in held else sorted(set(wanted) - set(held))
