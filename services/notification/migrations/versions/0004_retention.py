"""Indexes by which retention and erasure find their rows."""

from __future__ import annotations

from services.common.migrations import create_indexes, drop_indexes
from services.common.schema import MESSAGING_RETENTION_V1

revision = "0004"
down_revision = "0003"

INDEXES = {
    **MESSAGING_RETENTION_V1,
    "deliveries_created": "deliveries (created_at) WHERE digest_id IS NULL",
    "deliveries_subscriber": "deliveries (subscriber_id)",
    "feed_occurred": "feed (occurred_at)",
}


def upgrade() -> None:
    """Make them, beside whoever reads and writes."""
    create_indexes(INDEXES)


def downgrade() -> None:
    """Drop them."""
    drop_indexes(INDEXES)
