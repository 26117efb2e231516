"""Deliveries become a queue; subscribers' settings, reports of providers, rate limits."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

UPGRADE = (
    "ALTER TABLE deliveries DROP CONSTRAINT deliveries_status_check",
    """ALTER TABLE deliveries
         ADD CONSTRAINT deliveries_status_check CHECK (status IN
           ('pending', 'sending', 'sent', 'delivered', 'failed', 'suppressed', 'dead')),
         ADD COLUMN priority smallint NOT NULL DEFAULT 1,
         ADD COLUMN due_at timestamptz NOT NULL DEFAULT now(),
         ADD COLUMN attempts integer NOT NULL DEFAULT 0,
         ADD COLUMN lease_token uuid,
         ADD COLUMN lease_until timestamptz,
         ADD COLUMN digest_id text REFERENCES deliveries (transaction_id),
         ADD COLUMN channels text[] NOT NULL DEFAULT '{}',
         ADD COLUMN reason text,
         ADD COLUMN decided_at timestamptz""",
    """CREATE INDEX deliveries_waiting ON deliveries (priority, due_at)
         WHERE status IN ('pending', 'sending') AND digest_id IS NULL""",
    """CREATE INDEX deliveries_open_digests ON deliveries (subscriber_id, workflow)
         WHERE status = 'pending' AND digest_id IS NULL""",
    "CREATE INDEX deliveries_of_digest ON deliveries (digest_id) WHERE digest_id IS NOT NULL",
    "CREATE INDEX deliveries_dead ON deliveries (decided_at) WHERE status = 'dead'",
    "ALTER TABLE feed ADD COLUMN transaction_id text",
    """CREATE TABLE reports (
         transaction_id text NOT NULL REFERENCES deliveries,
         channel text NOT NULL,
         report text NOT NULL CHECK (report IN ('sent', 'failed', 'delivered')),
         received_at timestamptz NOT NULL DEFAULT now(),
         PRIMARY KEY (transaction_id, channel))""",
    """CREATE TABLE subscribers (
         subscriber_id text PRIMARY KEY,
         locale text NOT NULL,
         time_zone text NOT NULL,
         quiet_start time,
         quiet_end time,
         updated_at timestamptz NOT NULL DEFAULT now(),
         CHECK ((quiet_start IS NULL) = (quiet_end IS NULL)))""",
    """CREATE TABLE choices (
         subscriber_id text NOT NULL REFERENCES subscribers,
         category text NOT NULL,
         channel text NOT NULL,
         wanted boolean NOT NULL,
         PRIMARY KEY (subscriber_id, category, channel))""",
    """CREATE TABLE rate_buckets (
         name text PRIMARY KEY,
         tokens double precision NOT NULL,
         updated_at timestamptz NOT NULL)""",
)

DOWNGRADE = (
    "DROP TABLE rate_buckets, choices, subscribers, reports",
    "ALTER TABLE feed DROP COLUMN transaction_id",
    "UPDATE deliveries SET status = CASE WHEN status IN ('pending', 'sending', 'dead') THEN 'pending' ELSE 'sent' END",
    "ALTER TABLE deliveries DROP CONSTRAINT deliveries_status_check",
    """ALTER TABLE deliveries
         DROP COLUMN priority, DROP COLUMN due_at, DROP COLUMN attempts, DROP COLUMN lease_token,
         DROP COLUMN lease_until, DROP COLUMN digest_id, DROP COLUMN channels, DROP COLUMN reason,
         DROP COLUMN decided_at,
         ADD CONSTRAINT deliveries_status_check CHECK (status IN ('pending', 'sent'))""",
)


def upgrade() -> None:
    """Add the queue and what it needs."""
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Back to deliveries that are pending or sent."""
    for statement in DOWNGRADE:
        op.execute(statement)
