"""How long booking keeps what, and why."""

from __future__ import annotations

from typing import Final

from services.common.retention import ALWAYS, DAY, IDEMPOTENCY, MESSAGING, Kept, Rule, removing

# A buyer's place at the end of a list that nobody will ever be served from, and the pool's count of those who wait.
_MISSED = """
    WITH over AS (SELECT p.id FROM pools p JOIN events e ON e.id = p.event_id
                  WHERE p.waiting > 0 AND e.starts_at < now() - $1::interval
                  ORDER BY p.id LIMIT 1 FOR UPDATE OF p SKIP LOCKED),
         old AS (SELECT w.id FROM waiting_list w JOIN over ON w.pool_id = over.id WHERE w.status = 'waiting'
                 ORDER BY w.place LIMIT $2 FOR UPDATE OF w SKIP LOCKED),
         gone AS (DELETE FROM waiting_list WHERE id IN (SELECT id FROM old) RETURNING pool_id),
         fewer AS (UPDATE pools SET waiting = waiting - (SELECT count(*) FROM gone)
                   WHERE id IN (SELECT pool_id FROM gone))
    SELECT count(*) FROM gone"""

RULES: Final = (
    *MESSAGING,
    IDEMPOTENCY,
    Rule(
        name="holds",
        table="holds",
        rows="holds that expired or were given back without an order",
        age=7 * DAY,
        least=DAY,
        why="a buyer who asks where a hold went gets an answer; a repeated request is known by it for a day at least",
        index="holds_over",
        statement=removing(
            "holds",
            "id",
            "expires_at",
            only="""order_id IS NULL AND status IN ('released', 'expired')
                    AND NOT EXISTS (SELECT FROM waiting_list w WHERE w.hold_id = holds.id)""",
        ),
    ),
    Rule(
        name="waiting_list",
        table="waiting_list",
        rows="places on a waiting list that were offered or given up",
        age=30 * DAY,
        least=DAY,
        why="to answer who was served before whom",
        index="waiting_list_over",
        statement=removing(
            "waiting_list",
            "id",
            "joined_at",
            only="""status <> 'waiting' AND NOT EXISTS (
                      SELECT FROM holds h WHERE h.id = waiting_list.hold_id AND h.status = 'active')""",
        ),
    ),
    Rule(
        name="waiting_list_missed",
        table="waiting_list",
        rows="places on the waiting list of an event that has begun; the age counts from its beginning",
        age=7 * DAY,
        least=DAY,
        why="nobody will be served any more",
        index="pools_waited_for",
        statement=_MISSED,
    ),
    Rule(
        name="transfers",
        table="transfers",
        rows="offers to hand a ticket on; the age counts from the offer's end",
        age=90 * DAY,
        least=DAY,
        why="a quarrel about a ticket that changed hands comes up within weeks",
        index="transfers_over",
        statement=removing("transfers", "id", "expires_at"),
    ),
)
KEPT: Final = (
    ALWAYS,
    Kept(
        ("orders", "order_transitions", "tickets", "refunds"),
        "ten years from the end of the financial year",
        "accounts (Code de commerce, L123-22); erasure puts a pseudonym in the buyer's place",
    ),
    Kept(
        ("check_ins",),
        "as long as their tickets",
        "they prove that a ticket was used; they name the organiser's people, not the buyer",
    ),
    Kept(
        ("venues", "events", "pools", "seats", "ticket_types", "price_tiers", "vouchers"),
        "as long as the orders that refer to them",
        "what was sold, on which terms; of people they name the organiser alone, who is a party to a contract",
    ),
)
