"""The tables of outbox, inbox, idempotency keys and erasure, for the migrations of each service. A version never
changes.
"""

from __future__ import annotations

MESSAGING_V1 = (
    """CREATE TABLE outbox (
         id uuid PRIMARY KEY,
         destination text NOT NULL,
         topic text NOT NULL,
         payload jsonb NOT NULL,
         created_at timestamptz NOT NULL DEFAULT now(),
         available_at timestamptz NOT NULL DEFAULT now(),
         attempts integer NOT NULL DEFAULT 0,
         lease_token uuid,
         published_at timestamptz)""",
    "CREATE INDEX outbox_waiting ON outbox (available_at) WHERE published_at IS NULL",
    """CREATE TABLE inbox (
         consumer text NOT NULL,
         message_id text NOT NULL,
         received_at timestamptz NOT NULL DEFAULT now(),
         command text,
         order_id text,
         task_token text,
         lease_token uuid,
         lease_until timestamptz,
         attempts integer NOT NULL DEFAULT 1,
         decided_at timestamptz,
         answered_at timestamptz,
         output jsonb,
         error text,
         cause text,
         PRIMARY KEY (consumer, message_id))""",
    "CREATE INDEX inbox_order ON inbox (order_id) WHERE order_id IS NOT NULL",
)

IDEMPOTENCY_V1 = (
    """CREATE TABLE idempotency_keys (
         principal text NOT NULL,
         key text NOT NULL,
         body_hash bytea NOT NULL,
         status integer,
         response jsonb,
         lease_token uuid,
         lease_until timestamptz NOT NULL,
         created_at timestamptz NOT NULL DEFAULT now(),
         PRIMARY KEY (principal, key))""",
)

# Who was erased, as a digest: see `erasure`.
ERASURE_V1 = (
    """CREATE TABLE erased_people (
         person bytea PRIMARY KEY,
         erased_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX erased_people_at ON erased_people (erased_at)",
)

# By which `retention` finds what is old: name → what it is on.
MESSAGING_RETENTION_V1 = {
    "outbox_sent": "outbox (published_at) WHERE published_at IS NOT NULL",
    "inbox_received": "inbox (received_at)",
    "inbox_tokens": "inbox (received_at) WHERE task_token IS NOT NULL",
}
IDEMPOTENCY_RETENTION_V1 = {"idempotency_keys_created": "idempotency_keys (created_at)"}
