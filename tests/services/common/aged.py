"""Rows of a given age for each rule of retention, and rows that no age may remove."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import asyncpg

from tests.services.samples import on_sale

_MESSAGING = {
    "outbox": """INSERT INTO outbox (id, destination, topic, payload, published_at)
                 SELECT gen_random_uuid(), 'events', 'order.placed', '{}', now() - $1::interval
                 FROM generate_series(1, $2)""",
    "inbox": """INSERT INTO inbox (consumer, message_id, received_at, decided_at)
                SELECT 'c', gen_random_uuid(), now() - $1::interval, now() FROM generate_series(1, $2)""",
    "saga_tokens": """INSERT INTO inbox (consumer, message_id, received_at, answered_at, task_token)
                      SELECT 'c', gen_random_uuid(), now() - $1::interval, now() - $1::interval, 'token'
                      FROM generate_series(1, $2)""",
    "erased_people": """INSERT INTO erased_people (person, erased_at)
                        SELECT sha256(gen_random_uuid()::text::bytea), now() - $1::interval
                        FROM generate_series(1, $2)""",
}
_HOLD = """INSERT INTO holds (id, pool_id, ticket_type_id, buyer_id, quantity, unit_price, status, expires_at)
           SELECT gen_random_uuid(), pool_id, id, 'b', 1, 1, '{status}', now() - $1::interval
           FROM ticket_types, generate_series(1, $2)"""
_WAITER = """INSERT INTO waiting_list (id, pool_id, ticket_type_id, buyer_id, quantity, status, joined_at)
             SELECT gen_random_uuid(), pool_id, id, gen_random_uuid(), 1, '{status}', now() - $1::interval
             FROM ticket_types, generate_series(1, $2)"""
_DELIVERY = """INSERT INTO deliveries (transaction_id, workflow, subscriber_id, payload, status, created_at)
               SELECT gen_random_uuid(), 'w', 'b', '{{}}', '{status}', now() - $1::interval
               FROM generate_series(1, $2)"""
STATEMENTS: Mapping[str, Mapping[str, str]] = {
    "booking": {
        **_MESSAGING,
        "idempotency_keys": """INSERT INTO idempotency_keys (principal, key, body_hash, lease_until, created_at)
                               SELECT 'p', gen_random_uuid(), '', now(), now() - $1::interval
                               FROM generate_series(1, $2)""",
        "holds": _HOLD.format(status="expired"),
        "waiting_list": _WAITER.format(status="left"),
        "transfers": """INSERT INTO transfers (id, ticket_id, from_id, secret_hash, status, expires_at)
                        SELECT gen_random_uuid(), (SELECT id FROM tickets), 'b',
                               sha256(gen_random_uuid()::text::bytea), 'withdrawn', now() - $1::interval
                        FROM generate_series(1, $2)""",
    },
    "payment": {
        **_MESSAGING,
        "webhook_events": """INSERT INTO webhook_events (id, type, intent_id, received_at, processed_at)
                             SELECT gen_random_uuid(), 't', 'pi', now() - $1::interval, now()
                             FROM generate_series(1, $2)""",
    },
    "notification": {
        **_MESSAGING,
        "deliveries": _DELIVERY.format(status="sent"),
        "feed": """INSERT INTO feed (id, subscriber_id, type, ids, occurred_at)
                   SELECT gen_random_uuid(), 'b', 't', '{}', now() - $1::interval FROM generate_series(1, $2)""",
    },
}
# What looks as old, and is not over.
LIVE = {
    ("booking", "outbox"): """INSERT INTO outbox (id, destination, topic, payload, created_at)
        SELECT gen_random_uuid(), 'events', 't', '{}', now() - $1::interval FROM generate_series(1, $2)""",
    ("booking", "saga_tokens"): """INSERT INTO inbox (consumer, message_id, received_at, task_token)
        SELECT 'c', gen_random_uuid(), now() - $1::interval, 'token' FROM generate_series(1, $2)""",
    ("booking", "holds"): _HOLD.format(status="active"),
    ("booking", "waiting_list"): _WAITER.format(status="waiting"),
    ("payment", "webhook_events"): """INSERT INTO webhook_events (id, type, intent_id, received_at)
        SELECT gen_random_uuid(), 't', 'pi', now() - $1::interval FROM generate_series(1, $2)""",
    ("notification", "deliveries"): _DELIVERY.format(status="pending"),
}
Fill = Callable[[timedelta, int], Awaitable[object]]


def filler(service: str, rule: str, pool: asyncpg.Pool) -> Fill:
    """Writes ``count`` rows of an age that ``rule`` looks at, beside what they refer to."""

    async def fill(age: timedelta, count: int) -> None:
        if rule == "waiting_list_missed":
            await _missed(pool, age, count)
            return
        if service == "booking":
            await _sold(pool)
        await pool.execute(STATEMENTS[service][rule], age, count)

    return fill


async def _missed(pool: asyncpg.Pool, age: timedelta, count: int) -> None:
    """An event that began so long ago, for which so many wait."""
    ticket_type = await on_sale(pool, 10)
    await pool.execute(
        """WITH began AS (UPDATE events SET starts_at = now() - $1::interval
                          WHERE id = (SELECT event_id FROM ticket_types WHERE id = $3)),
                waited AS (UPDATE pools SET waiting = $2
                           WHERE id = (SELECT pool_id FROM ticket_types WHERE id = $3))
           INSERT INTO waiting_list (id, pool_id, ticket_type_id, buyer_id, quantity)
           SELECT gen_random_uuid(), pool_id, id, gen_random_uuid(), 1 FROM ticket_types, generate_series(1, $2)
           WHERE id = $3""",
        age,
        count,
        ticket_type,
    )


async def _sold(pool: asyncpg.Pool) -> None:
    """One ticket type, and one ticket of it, the first time."""
    if await pool.fetchval("SELECT true FROM tickets"):
        return
    ticket_type, order = await on_sale(pool, 10), uuid.uuid4()
    await pool.execute(
        """WITH held AS (INSERT INTO holds (id, pool_id, ticket_type_id, buyer_id, quantity, unit_price, status,
                                            expires_at, order_id)
                         SELECT $1, pool_id, id, 'b', 1, 1, 'released', now() - interval '20 years', $1
                         FROM ticket_types WHERE id = $2),
                ordered AS (INSERT INTO orders (id, hold_id, event_id, ticket_type_id, buyer_id, quantity, amount,
                                                currency, payment_method, status)
                            SELECT $1, $1, event_id, id, 'b', 1, 1, 'eur', 'pm', 'completed'
                            FROM ticket_types WHERE id = $2)
           INSERT INTO tickets (id, order_id, number, event_id, holder_id, value, code, issued_at)
           SELECT $1, $1, 1, event_id, 'b', 1, 'code', now() - interval '20 years' FROM ticket_types WHERE id = $2""",
        order,
        ticket_type,
    )
