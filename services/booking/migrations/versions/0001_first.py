"""Events, ticket types, holds, orders, tickets; outbox, inbox, idempotency keys."""

from __future__ import annotations

from alembic import op

from services.common.schema import IDEMPOTENCY_V1, MESSAGING_V1

revision = "0001"
down_revision = None

STATEMENTS = (
    """CREATE TABLE events (
         id uuid PRIMARY KEY,
         organiser_id text NOT NULL,
         name text NOT NULL,
         starts_at timestamptz NOT NULL,
         created_at timestamptz NOT NULL DEFAULT now())""",
    # The one truth about capacity: whatever a program believes, PostgreSQL refuses to oversell.
    # fillfactor leaves room for HOT updates of the hottest rows of the platform.
    """CREATE TABLE ticket_types (
         id uuid PRIMARY KEY,
         event_id uuid NOT NULL REFERENCES events,
         name text NOT NULL,
         price bigint NOT NULL CHECK (price > 0),
         currency text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
         capacity integer NOT NULL,
         held integer NOT NULL DEFAULT 0,
         sold integer NOT NULL DEFAULT 0,
         CONSTRAINT never_oversold CHECK (held >= 0 AND sold >= 0 AND held + sold <= capacity)
       ) WITH (fillfactor = 50)""",
    "CREATE INDEX ticket_types_event ON ticket_types (event_id)",
    """CREATE TABLE holds (
         id uuid PRIMARY KEY,
         ticket_type_id uuid NOT NULL REFERENCES ticket_types,
         buyer_id text NOT NULL,
         quantity integer NOT NULL CHECK (quantity > 0),
         status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'confirmed', 'released', 'expired')),
         expires_at timestamptz NOT NULL,
         order_id uuid UNIQUE,
         created_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX holds_expiring ON holds (expires_at) WHERE status = 'active'",
    """CREATE TABLE orders (
         id uuid PRIMARY KEY,
         hold_id uuid NOT NULL UNIQUE REFERENCES holds,
         event_id uuid NOT NULL REFERENCES events,
         ticket_type_id uuid NOT NULL REFERENCES ticket_types,
         buyer_id text NOT NULL,
         quantity integer NOT NULL CHECK (quantity > 0),
         amount bigint NOT NULL CHECK (amount > 0),
         currency text NOT NULL,
         payment_method text NOT NULL,
         status text NOT NULL CHECK (status IN ('placed', 'confirmed', 'completed', 'cancelled', 'needs_operator')),
         created_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX orders_buyer ON orders (buyer_id, created_at)",
    """CREATE TABLE order_transitions (
         order_id uuid NOT NULL REFERENCES orders,
         at timestamptz NOT NULL DEFAULT clock_timestamp(),
         was text,
         became text NOT NULL,
         PRIMARY KEY (order_id, at))""",
    """CREATE TABLE tickets (
         id uuid PRIMARY KEY,
         order_id uuid NOT NULL REFERENCES orders,
         number integer NOT NULL,
         event_id uuid NOT NULL REFERENCES events,
         code text NOT NULL,
         status text NOT NULL DEFAULT 'valid' CHECK (status IN ('valid', 'void')),
         issued_at timestamptz NOT NULL DEFAULT now(),
         UNIQUE (order_id, number))""",
)


def upgrade() -> None:
    """Create everything."""
    for statement in (*STATEMENTS, *MESSAGING_V1, *IDEMPOTENCY_V1):
        op.execute(statement)


def downgrade() -> None:
    """Drop everything."""
    for table in ("tickets", "order_transitions", "orders", "holds", "ticket_types", "events"):
        op.execute(f"DROP TABLE {table}")
    for table in ("outbox", "inbox", "idempotency_keys"):
        op.execute(f"DROP TABLE {table}")
