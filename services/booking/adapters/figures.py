"""An organiser's figures of one event, counted in PostgreSQL."""

from __future__ import annotations

import uuid
from typing import Any

import asyncpg

_BY_TYPE = """
    SELECT t.id, t.name, t.currency,
           coalesce(h.held, 0)::integer AS held, coalesce(h.sold, 0)::integer AS sold,
           coalesce(o.takings, 0)::bigint AS takings, coalesce(r.refunded, 0)::bigint AS refunded,
           coalesce(c.checked_in, 0)::integer AS checked_in
    FROM ticket_types t
    LEFT JOIN LATERAL (SELECT sum(quantity) FILTER (WHERE status = 'active') AS held,
                              sum(quantity) FILTER (WHERE status = 'confirmed') AS sold
                       FROM holds WHERE ticket_type_id = t.id AND status IN ('active', 'confirmed')) h ON true
    LEFT JOIN LATERAL (SELECT sum(amount) AS takings FROM orders
                       WHERE event_id = t.event_id AND ticket_type_id = t.id AND status IN ('completed', 'refunded')
                      ) o ON true
    LEFT JOIN LATERAL (SELECT sum(f.amount) AS refunded FROM refunds f JOIN orders x ON x.id = f.order_id
                       WHERE x.event_id = t.event_id AND x.ticket_type_id = t.id AND f.status = 'succeeded') r ON true
    LEFT JOIN LATERAL (SELECT count(*) AS checked_in FROM tickets k JOIN orders x ON x.id = k.order_id
                       WHERE k.event_id = t.event_id AND x.ticket_type_id = t.id AND k.status = 'used') c ON true
    WHERE t.event_id = $1 ORDER BY t.name, t.id"""


async def of_event(pool: asyncpg.Pool, event_id: uuid.UUID) -> dict[str, Any]:
    """Capacity by pool, sales by ticket type; amounts in minor units, ``takings`` before refunds."""
    pools = await pool.fetch(
        "SELECT id, name, capacity, held, sold, waiting FROM pools WHERE event_id = $1 ORDER BY name, id", event_id
    )
    types = await pool.fetch(_BY_TYPE, event_id)
    return {"pools": [dict(row) for row in pools], "ticket_types": [dict(row) for row in types]}
