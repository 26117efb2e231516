"""The reconciliation in PostgreSQL: windows that are claimed, what was found in them, and the ledger's own proof."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
from prometheus_client import Gauge

from services.common import logs
from services.payment.adapters.refunds import refunds_made_about
from services.payment.adapters.store import payments_made_about
from services.payment.ports import Processor
from services.payment.reconciliation import Discrepancy, payments_differ, refunds_differ

log = logs.get(__name__)

OPEN = Gauge("payment_discrepancies_open", "Differences between our books and the provider's that nobody has settled")
WINDOW = timedelta(hours=1)
# What is in flight settles meanwhile: a buyer has 15 minutes, a saga's retries fewer.
REST = timedelta(hours=1)
# Windows are looked for this far back, so an outage of the worker leaves no hole; one with open differences is
# compared again after REST.
BACK = timedelta(days=2)
_LEASE_SECONDS = 600.0
# Captured less refunded less lost to a dispute (or held by one) must be what the ledger has left for each payment.
_PROOF = """
  WITH books AS (
    SELECT t.order_id, t.attempt, sum(e.amount) AS cleared
    FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id
    WHERE e.account = 'processor_clearing' AND t.order_id IS NOT NULL GROUP BY 1, 2
  ), back AS (
    SELECT order_id, attempt, sum(amount) AS amount FROM refunds WHERE status = 'succeeded' GROUP BY 1, 2
  ), held AS (
    SELECT order_id, attempt, sum(amount) AS amount FROM disputes
    WHERE status NOT IN ('won', 'prevented') AND status NOT LIKE 'warning_%' GROUP BY 1, 2
  )
  SELECT p.order_id || ':' || p.attempt AS subject, coalesce(books.cleared, 0)::text AS ledger,
         (CASE WHEN p.status IN ('captured', 'refunded') THEN p.amount ELSE 0 END
          - coalesce(back.amount, 0) - coalesce(held.amount, 0))::text AS rows
  FROM payments p LEFT JOIN books USING (order_id, attempt) LEFT JOIN back USING (order_id, attempt)
       LEFT JOIN held USING (order_id, attempt)
  WHERE ($1::timestamptz IS NULL OR p.created_at >= $1) AND ($2::timestamptz IS NULL OR p.created_at < $2)
    AND coalesce(books.cleared, 0) <> CASE WHEN p.status IN ('captured', 'refunded') THEN p.amount ELSE 0 END
        - coalesce(back.amount, 0) - coalesce(held.amount, 0)"""


async def reconcile_next(pool: asyncpg.Pool, processor: Processor, *, now: datetime | None = None) -> bool:
    """Compare one window that is due; False when none is.

    Idempotency: the window, claimed with a lease; comparing it again replaces what was found. Retries: the lease runs
    out. Fails open: differences are recorded, counted and logged, and nothing is changed by itself.
    """
    at = now or datetime.now(UTC)
    since = await _claim(pool, at)
    if since is None:
        return False
    await reconcile(pool, processor, since, since + WINDOW)
    return True


async def reconcile(pool: asyncpg.Pool, processor: Processor, since: datetime, until: datetime) -> list[Discrepancy]:
    """Compare a window that is claimed; returns what differs in it."""
    payments = await payments_made_about(pool, since, until)
    refunds = await refunds_made_about(pool, since, until)
    found = [
        *await payments_differ(processor, payments, since, until),
        *await refunds_differ(processor, refunds, since, until),
        *await ledger_differs(pool, since, until),
    ]
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            """UPDATE discrepancies SET resolved_at = now() WHERE since = $1 AND resolved_at IS NULL
               AND NOT (subject, kind) IN (SELECT * FROM unnest($2::text[], $3::text[]))""",
            since,
            [each.subject for each in found],
            [each.kind for each in found],
        )
        await connection.executemany(
            """INSERT INTO discrepancies (since, subject, kind, ours, theirs) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (since, subject, kind)
               DO UPDATE SET ours = EXCLUDED.ours, theirs = EXCLUDED.theirs, resolved_at = NULL""",
            [(since, each.subject, each.kind, each.ours, each.theirs) for each in found],
        )
        await connection.execute(
            "UPDATE reconciliations SET finished_at = now(), payments = $2, refunds = $3 WHERE since = $1",
            since,
            len(payments),
            len(refunds),
        )
    for each in found:
        log.error("books differ", subject=each.subject, kind=each.kind, ours=each.ours, theirs=each.theirs)
    return found


async def ledger_differs(
    pool: asyncpg.Pool, since: datetime | None = None, until: datetime | None = None
) -> list[Discrepancy]:
    """The payments, of a window or of all time, whose ledger is not what was captured, refunded and disputed."""
    rows = await pool.fetch(_PROOF, since, until)
    return [Discrepancy(row["subject"], "ledger", row["rows"], row["ledger"]) for row in rows]


async def count_open(pool: asyncpg.Pool) -> None:
    """Bring the gauge up to date."""
    OPEN.set(await pool.fetchval("SELECT count(*) FROM discrepancies WHERE resolved_at IS NULL"))


async def _claim(pool: asyncpg.Pool, now: datetime) -> datetime | None:
    """The oldest window that is due, now ours for a while."""
    last = (now - WINDOW - REST).replace(minute=0, second=0, microsecond=0)
    claimed: datetime | None = await pool.fetchval(
        """INSERT INTO reconciliations AS r (since, until, lease_until)
           SELECT w, w + $3::interval, $2::timestamptz + $5 * interval '1 second'
           FROM unnest($1::timestamptz[]) AS w LEFT JOIN reconciliations done ON done.since = w
           WHERE done.since IS NULL OR (done.lease_until < $2 AND (done.finished_at IS NULL OR (
             done.finished_at < $2 - $4::interval
             AND EXISTS (SELECT FROM discrepancies d WHERE d.since = w AND d.resolved_at IS NULL))))
           ORDER BY w LIMIT 1
           ON CONFLICT (since) DO UPDATE SET lease_until = EXCLUDED.lease_until WHERE r.lease_until < $2
           RETURNING since""",
        [last - WINDOW * back for back in range(BACK // WINDOW)],
        now,
        WINDOW,
        REST,
        _LEASE_SECONDS,
    )
    return claimed
