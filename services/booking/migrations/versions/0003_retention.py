"""Indexes by which retention and erasure find their rows."""

from __future__ import annotations

from services.common.migrations import create_indexes, drop_indexes
from services.common.schema import IDEMPOTENCY_RETENTION_V1, MESSAGING_RETENTION_V1

revision = "0003"
down_revision = "0002"

INDEXES = {
    **MESSAGING_RETENTION_V1,
    **IDEMPOTENCY_RETENTION_V1,
    # Not of a hold that is live: the hot path writes to none of them.
    "holds_over": "holds (expires_at) WHERE order_id IS NULL AND status IN ('released', 'expired')",
    "holds_over_buyer": "holds (buyer_id) WHERE order_id IS NULL AND status IN ('released', 'expired')",
    "waiting_list_over": "waiting_list (joined_at) WHERE status <> 'waiting'",
    "waiting_list_buyer": "waiting_list (buyer_id)",
    "transfers_over": "transfers (expires_at)",
    "transfers_from": "transfers (from_id)",
}


def upgrade() -> None:
    """Make them, beside whoever reads and writes."""
    create_indexes(INDEXES)


def downgrade() -> None:
    """Drop them."""
    drop_indexes(INDEXES)
