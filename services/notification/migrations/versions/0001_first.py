"""Deliveries, feed; outbox, inbox."""

from __future__ import annotations

from alembic import op

from services.common.schema import MESSAGING_V1

revision = "0001"
down_revision = None

STATEMENTS = (
    """CREATE TABLE deliveries (
         transaction_id text PRIMARY KEY,
         workflow text NOT NULL,
         subscriber_id text NOT NULL,
         payload jsonb NOT NULL,
         status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent')),
         created_at timestamptz NOT NULL DEFAULT now(),
         sent_at timestamptz)""",
    """CREATE TABLE feed (
         id text PRIMARY KEY,
         subscriber_id text NOT NULL,
         type text NOT NULL,
         ids jsonb NOT NULL,
         occurred_at timestamptz NOT NULL)""",
    "CREATE INDEX feed_subscriber ON feed (subscriber_id, occurred_at)",
)


def upgrade() -> None:
    """Create everything."""
    for statement in (*STATEMENTS, *MESSAGING_V1):
        op.execute(statement)


def downgrade() -> None:
    """Drop everything."""
    for table in ("deliveries", "feed", "outbox", "inbox"):
        op.execute(f"DROP TABLE {table}")
