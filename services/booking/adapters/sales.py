"""Sales that are about to open: whoever is on call may want more pods and machines before the buyers come."""

from __future__ import annotations

import asyncpg
from prometheus_client import Gauge

SOON = Gauge("booking_sales_soon", "Sales with a waiting room that open within three hours")
EVERY_SECONDS = 60.0
# An organiser who asks for a waiting room expects more buyers than places.
_SOON = """
    SELECT count(*) FROM events WHERE status = 'published' AND admissions_per_second IS NOT NULL
      AND sale_opens_at BETWEEN now() AND now() + interval '3 hours'"""


async def observe(pool: asyncpg.Pool) -> None:
    """Bring the gauge up to date."""
    SOON.set(await pool.fetchval(_SOON))
