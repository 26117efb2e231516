"""Payments, webhook events; outbox, inbox."""

from __future__ import annotations

from alembic import op

from services.common.schema import MESSAGING_V1

revision = "0001"
down_revision = None

STATEMENTS = (
    """CREATE TABLE payments (
         order_id uuid NOT NULL,
         attempt integer NOT NULL CHECK (attempt > 0),
         buyer_id text NOT NULL,
         amount bigint NOT NULL CHECK (amount > 0),
         currency text NOT NULL,
         payment_method text NOT NULL,
         status text NOT NULL CHECK (status IN
           ('started', 'authorised', 'captured', 'declined', 'cancelling', 'cancelled', 'refunded')),
         intent_id text UNIQUE,
         refund_id text,
         reason text,
         created_at timestamptz NOT NULL DEFAULT now(),
         updated_at timestamptz NOT NULL DEFAULT now(),
         PRIMARY KEY (order_id, attempt))""",
    """CREATE TABLE webhook_events (
         id text PRIMARY KEY,
         intent_id text,
         type text NOT NULL,
         received_at timestamptz NOT NULL DEFAULT now(),
         processed_at timestamptz)""",
    "CREATE INDEX webhook_events_waiting ON webhook_events (received_at) WHERE processed_at IS NULL",
)


def upgrade() -> None:
    """Create everything."""
    for statement in (*STATEMENTS, *MESSAGING_V1):
        op.execute(statement)


def downgrade() -> None:
    """Drop everything."""
    for table in ("payments", "webhook_events", "outbox", "inbox"):
        op.execute(f"DROP TABLE {table}")
