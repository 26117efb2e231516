"""Venues, events, capacity, holds, orders, tickets and what is done with them; outbox, inbox, idempotency keys."""

from __future__ import annotations

from alembic import op

from services.common.schema import IDEMPOTENCY_V1, MESSAGING_V1

revision = "0001"
down_revision = None

CATALOGUE = (
    """CREATE TABLE venues (
         id uuid PRIMARY KEY,
         organiser_id text NOT NULL,
         name text NOT NULL,
         address text NOT NULL,
         city text NOT NULL,
         country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
         latitude double precision CHECK (latitude BETWEEN -90 AND 90),
         longitude double precision CHECK (longitude BETWEEN -180 AND 180),
         created_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX venues_organiser ON venues (organiser_id)",
    # Each change of what the public sees takes a new number: whoever feeds a search index asks for what is newer.
    "CREATE SEQUENCE event_changes",
    """CREATE TABLE events (
         id uuid PRIMARY KEY,
         organiser_id text NOT NULL,
         venue_id uuid REFERENCES venues,
         name text NOT NULL,
         description text NOT NULL DEFAULT '',
         starts_at timestamptz NOT NULL,
         status text NOT NULL DEFAULT 'published' CHECK (status IN ('draft', 'published', 'cancelled')),
         refunds_until timestamptz,
         admissions_per_second integer CHECK (admissions_per_second > 0),
         sale_opens_at timestamptz,
         change bigint NOT NULL DEFAULT nextval('event_changes'),
         created_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX events_organiser ON events (organiser_id, starts_at)",
    "CREATE UNIQUE INDEX events_change ON events (change)",
    # The one truth about capacity: whatever a program believes, PostgreSQL refuses to oversell.
    # fillfactor leaves room for HOT updates of the hottest rows of the platform.
    """CREATE TABLE pools (
         id uuid PRIMARY KEY,
         event_id uuid NOT NULL REFERENCES events,
         name text NOT NULL,
         capacity integer NOT NULL,
         held integer NOT NULL DEFAULT 0,
         sold integer NOT NULL DEFAULT 0,
         waiting integer NOT NULL DEFAULT 0 CHECK (waiting >= 0),
         seated boolean NOT NULL DEFAULT false,
         CONSTRAINT never_oversold CHECK (held >= 0 AND sold >= 0 AND held + sold <= capacity)
       ) WITH (fillfactor = 50)""",
    "CREATE INDEX pools_event ON pools (event_id)",
    "CREATE INDEX pools_waited_for ON pools (id) WHERE waiting > 0",
    """CREATE TABLE ticket_types (
         id uuid PRIMARY KEY,
         event_id uuid NOT NULL REFERENCES events,
         pool_id uuid NOT NULL REFERENCES pools,
         name text NOT NULL,
         currency text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
         sales_from timestamptz NOT NULL DEFAULT '-infinity',
         sales_until timestamptz NOT NULL DEFAULT 'infinity',
         max_per_buyer integer NOT NULL CHECK (max_per_buyer > 0),
         UNIQUE (id, pool_id),
         CHECK (sales_from < sales_until))""",
    "CREATE INDEX ticket_types_event ON ticket_types (event_id)",
    "CREATE INDEX ticket_types_pool ON ticket_types (pool_id)",
    # What a ticket costs until when; the last tier is for ever.
    """CREATE TABLE price_tiers (
         ticket_type_id uuid NOT NULL REFERENCES ticket_types,
         until timestamptz NOT NULL DEFAULT 'infinity',
         price bigint NOT NULL CHECK (price > 0),
         PRIMARY KEY (ticket_type_id, until))""",
)

SALES = (
    # One reference for both, because each is checked for each hold, in the hottest transaction of the platform.
    """CREATE TABLE holds (
         id uuid PRIMARY KEY,
         pool_id uuid NOT NULL,
         ticket_type_id uuid NOT NULL,
         buyer_id text NOT NULL,
         quantity integer NOT NULL CHECK (quantity > 0),
         unit_price bigint NOT NULL CHECK (unit_price > 0),
         status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'confirmed', 'released', 'expired')),
         expires_at timestamptz NOT NULL,
         extensions integer NOT NULL DEFAULT 0,
         order_id uuid UNIQUE,
         created_at timestamptz NOT NULL DEFAULT now(),
         FOREIGN KEY (ticket_type_id, pool_id) REFERENCES ticket_types (id, pool_id))""",
    "CREATE INDEX holds_expiring ON holds (expires_at) WHERE status = 'active'",
    # What a buyer has of a ticket type, for the limit per buyer.
    "CREATE INDEX holds_live ON holds (ticket_type_id, buyer_id) WHERE status IN ('active', 'confirmed')",
    """CREATE TABLE seats (
         id uuid PRIMARY KEY,
         pool_id uuid NOT NULL REFERENCES pools,
         section text NOT NULL,
         line text NOT NULL,
         number text NOT NULL,
         hold_id uuid REFERENCES holds,
         UNIQUE (pool_id, section, line, number))""",
    "CREATE INDEX seats_hold ON seats (hold_id) WHERE hold_id IS NOT NULL",
    """CREATE TABLE vouchers (
         id uuid PRIMARY KEY,
         event_id uuid NOT NULL REFERENCES events,
         ticket_type_id uuid REFERENCES ticket_types,
         code text NOT NULL,
         percent integer CHECK (percent BETWEEN 1 AND 100),
         amount_off bigint CHECK (amount_off > 0),
         max_uses integer NOT NULL CHECK (max_uses > 0),
         uses integer NOT NULL DEFAULT 0,
         valid_until timestamptz NOT NULL DEFAULT 'infinity',
         CONSTRAINT never_overused CHECK (uses >= 0 AND uses <= max_uses),
         CHECK ((percent IS NULL) <> (amount_off IS NULL)),
         UNIQUE (event_id, code))""",
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
         voucher_id uuid REFERENCES vouchers,
         status text NOT NULL CHECK
           (status IN ('placed', 'confirmed', 'completed', 'cancelled', 'refunded', 'needs_operator')),
         created_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX orders_buyer ON orders (buyer_id, created_at)",
    "CREATE INDEX orders_event ON orders (event_id, status)",
    """CREATE TABLE order_transitions (
         order_id uuid NOT NULL REFERENCES orders,
         at timestamptz NOT NULL DEFAULT clock_timestamp(),
         was text,
         became text NOT NULL,
         PRIMARY KEY (order_id, at))""",
    """CREATE TABLE waiting_list (
         id uuid PRIMARY KEY,
         place bigint GENERATED ALWAYS AS IDENTITY,
         pool_id uuid NOT NULL REFERENCES pools,
         ticket_type_id uuid NOT NULL REFERENCES ticket_types,
         buyer_id text NOT NULL,
         quantity integer NOT NULL CHECK (quantity > 0),
         status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'offered', 'left')),
         hold_id uuid UNIQUE REFERENCES holds,
         joined_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX waiting_list_next ON waiting_list (pool_id, place) WHERE status = 'waiting'",
    "CREATE UNIQUE INDEX waiting_list_once ON waiting_list (ticket_type_id, buyer_id) WHERE status = 'waiting'",
)

TICKETS = (
    """CREATE TABLE tickets (
         id uuid PRIMARY KEY,
         order_id uuid NOT NULL REFERENCES orders,
         number integer NOT NULL,
         event_id uuid NOT NULL REFERENCES events,
         holder_id text NOT NULL,
         seat_id uuid REFERENCES seats,
         value bigint NOT NULL CHECK (value >= 0),
         code text NOT NULL,
         status text NOT NULL DEFAULT 'valid' CHECK (status IN ('valid', 'used', 'refunding', 'void')),
         used_at timestamptz,
         issued_at timestamptz NOT NULL DEFAULT now())""",
    # A transfer voids one ticket and makes another of the same number.
    "CREATE UNIQUE INDEX tickets_live ON tickets (order_id, number) WHERE status <> 'void'",
    "CREATE INDEX tickets_order ON tickets (order_id)",
    "CREATE INDEX tickets_event ON tickets (event_id, id)",
    "CREATE INDEX tickets_holder ON tickets (holder_id)",
    """CREATE TABLE check_ins (
         ticket_id uuid NOT NULL REFERENCES tickets,
         at timestamptz NOT NULL,
         device text NOT NULL,
         checked_by text NOT NULL,
         outcome text NOT NULL CHECK (outcome IN ('accepted', 'used', 'refunding', 'void')),
         recorded_at timestamptz NOT NULL DEFAULT now(),
         PRIMARY KEY (ticket_id, device, at))""",
    """CREATE TABLE transfers (
         id uuid PRIMARY KEY,
         ticket_id uuid NOT NULL REFERENCES tickets,
         from_id text NOT NULL,
         secret_hash bytea NOT NULL UNIQUE,
         status text NOT NULL DEFAULT 'offered' CHECK (status IN ('offered', 'accepted', 'withdrawn')),
         expires_at timestamptz NOT NULL)""",
    "CREATE UNIQUE INDEX transfers_once ON transfers (ticket_id) WHERE status = 'offered'",
    """CREATE TABLE refunds (
         id uuid PRIMARY KEY,
         order_id uuid NOT NULL REFERENCES orders,
         ticket_ids uuid[] NOT NULL,
         amount bigint NOT NULL CHECK (amount > 0),
         status text NOT NULL DEFAULT 'requested' CHECK (status IN ('requested', 'succeeded', 'failed')),
         requested_by text NOT NULL,
         requested_at timestamptz NOT NULL DEFAULT now(),
         settled_at timestamptz)""",
    "CREATE INDEX refunds_order ON refunds (order_id)",
)

_TABLES = (
    *("refunds", "transfers", "check_ins", "tickets", "waiting_list", "order_transitions", "orders", "vouchers"),
    *("seats", "holds", "price_tiers", "ticket_types", "pools", "events", "venues"),
    *("outbox", "inbox", "idempotency_keys"),
)


def upgrade() -> None:
    """Create everything."""
    for statement in (*CATALOGUE, *SALES, *TICKETS, *MESSAGING_V1, *IDEMPOTENCY_V1):
        op.execute(statement)


def downgrade() -> None:
    """Drop everything."""
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP SEQUENCE event_changes")
