"""Who was erased, and of whom Novu has yet to be told."""

from __future__ import annotations

from alembic import op

from services.common.schema import ERASURE_V1

revision = "0003"
down_revision = "0002"

ERASURES = (
    """CREATE TABLE erasures (
         subscriber_id text PRIMARY KEY,
         due_at timestamptz NOT NULL,
         attempts integer NOT NULL DEFAULT 0)""",
)


def upgrade() -> None:
    """Add the tables."""
    for statement in (*ERASURES, *ERASURE_V1):
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE erasures, erased_people")
