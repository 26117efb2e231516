"""How long notification keeps what, and why."""

from __future__ import annotations

from typing import Final

from services.common.retention import ALWAYS, DAY, MESSAGING, Kept, Rule, removing

# With what its digest gathered and what providers reported: they refer to it.
_DELIVERIES = """
    WITH old AS (SELECT transaction_id FROM deliveries
                 WHERE digest_id IS NULL AND created_at < now() - $1::interval
                   AND status NOT IN ('pending', 'sending')
                 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED),
         gathered AS (SELECT transaction_id FROM deliveries WHERE digest_id IN (SELECT transaction_id FROM old)),
         every AS (SELECT transaction_id FROM old UNION ALL SELECT transaction_id FROM gathered),
         said AS (DELETE FROM reports WHERE transaction_id IN (SELECT transaction_id FROM every)),
         gone AS (DELETE FROM deliveries WHERE transaction_id IN (SELECT transaction_id FROM every))
    SELECT count(*) FROM old"""

RULES: Final = (
    *MESSAGING,
    Rule(
        name="deliveries",
        table="deliveries",
        rows="messages that were sent or given up, with their reports and what a digest gathered",
        age=90 * DAY,
        least=14 * DAY,
        why="to answer whether a message was sent, and not to send it again when its event comes again",
        index="deliveries_created",
        statement=_DELIVERIES,
    ),
    Rule(
        name="feed",
        table="feed",
        rows="entries of a person's own feed",
        age=365 * DAY,
        least=DAY,
        why="what a person would still look for",
        index="feed_occurred",
        statement=removing("feed", "id", "occurred_at"),
    ),
)
KEPT: Final = (
    ALWAYS,
    Kept(("reports",), "as long as their deliveries", "they are removed with them"),
    Kept(("subscribers", "choices"), "until the person is erased", "they are the person's own wishes"),
    Kept(("erasures",), "until Novu has removed the person", "what Novu has yet to be told"),
    Kept(("rate_buckets",), "as long as the database", "a row for each channel; they name no people"),
)
