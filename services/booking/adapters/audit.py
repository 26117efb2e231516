"""The audit of capacity: whether each pool's counters are what its holds, seats and waiting list add up to.

PostgreSQL refuses to oversell by the counters; this looks whether the counters tell the truth, in one snapshot. It
changes nothing: a person does, with the runbook oversell_audit.
"""

from __future__ import annotations

from typing import Any

import asyncpg
from prometheus_client import Gauge

from services.common import logs

log = logs.get(__name__)

INCONSISTENT = Gauge("booking_pools_inconsistent", "Pools whose counters are not what their holds add up to")
EVERY_SECONDS = 300.0
# Days after an event: what happened at its doors may still be mended.
_LOOKED_BACK = 2
# By ticket type, because live holds have an index for that.
_AUDIT = """
    SELECT p.id, p.capacity, p.held, p.sold, p.waiting, h.held AS really_held, h.sold AS really_sold
    FROM pools p JOIN events e ON e.id = p.event_id CROSS JOIN LATERAL (
      SELECT coalesce(sum(quantity) FILTER (WHERE h.status = 'active'), 0) AS held,
             coalesce(sum(quantity) FILTER (WHERE h.status = 'confirmed'), 0) AS sold
      FROM ticket_types t JOIN holds h ON h.ticket_type_id = t.id AND h.status IN ('active', 'confirmed')
      WHERE t.pool_id = p.id) h
    WHERE e.starts_at > now() - $1 * interval '1 day'
      AND (h.held + h.sold > p.capacity OR p.held <> h.held OR p.sold <> h.sold
        OR (p.seated AND h.held + h.sold <>
            (SELECT count(*) FROM seats WHERE pool_id = p.id AND hold_id IS NOT NULL))
        OR p.waiting <> (SELECT count(*) FROM waiting_list WHERE pool_id = p.id AND status = 'waiting'))"""


async def inconsistent(pool: asyncpg.Pool) -> list[dict[str, Any]]:
    """The pools that do not add up, of events that are not long past: empty, always."""
    return [dict(row) for row in await pool.fetch(_AUDIT, _LOOKED_BACK)]


async def observe(pool: asyncpg.Pool) -> None:
    """Bring the gauge up to date. Every process that runs this counts for itself; the highest count is right."""
    found = await inconsistent(pool)
    INCONSISTENT.set(len(found))
    for each in found:
        log.error(
            "a pool does not add up", pool=str(each.pop("id")), **{key: int(value) for key, value in each.items()}
        )
