"""Indexes by which retention and erasure find their rows."""

from __future__ import annotations

from services.common.migrations import create_indexes, drop_indexes
from services.common.schema import MESSAGING_RETENTION_V1

revision = "0004"
down_revision = "0003"

INDEXES = {
    **MESSAGING_RETENTION_V1,
    "webhook_events_received": "webhook_events (received_at)",
    "payments_buyer": "payments (buyer_id)",
}


def upgrade() -> None:
    """Make them, beside whoever reads and writes."""
    create_indexes(INDEXES)


def downgrade() -> None:
    """Drop them."""
    drop_indexes(INDEXES)
