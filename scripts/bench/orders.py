"""What an order costs while orders pile up: hold, checkout, seats and tickets, beside 1,000 to 1,000,000 others.

The floor is the same among a thousand. A cost that grows with what was sold would show as a ratio that grows.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pygal
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scripts.bench import booking
from scripts.bench.booking import Booking
from scripts.bench.report import Comparison, Series
from services.booking.adapters.allocator import Allocator
from services.booking.adapters.store import PostgresStore
from services.booking.domain.holds import HoldRequest
from services.booking.handlers import orders
from services.booking.ticket_codes import Signer
from services.common import database
from services.common.outbox import Outbox

NAME = "orders"
SIZES, _QUICK = (1_000, 10_000, 100_000, 1_000_000), (1_000, 10_000)
_MEASURED = 200
# Orders as the saga leaves them, with all that they leave in the tables; `{first}` to `{last}` are their numbers.
_SEED = (
    """INSERT INTO holds (id, pool_id, ticket_type_id, buyer_id, quantity, unit_price, status, expires_at, order_id)
       SELECT md5('hold' || n)::uuid, t.pool_id, t.id, 'past-' || n, 1, 2500, 'confirmed', now(),
              md5('order' || n)::uuid
       FROM ticket_types t, generate_series({first}, {last}) n WHERE t.id = '{ticket_type}'""",
    "UPDATE pools SET sold = sold + {last} - {first} + 1",
    """INSERT INTO orders (id, hold_id, event_id, ticket_type_id, buyer_id, quantity, amount, currency, payment_method,
                           status)
       SELECT md5('order' || n)::uuid, md5('hold' || n)::uuid, t.event_id, t.id, 'past-' || n, 1, 2500, 'eur', 'pm',
              'completed'
       FROM ticket_types t, generate_series({first}, {last}) n WHERE t.id = '{ticket_type}'""",
    """INSERT INTO order_transitions (order_id, became)
       SELECT md5('order' || n)::uuid, became FROM generate_series({first}, {last}) n,
              unnest(ARRAY['placed', 'confirmed', 'completed']) became""",
    """INSERT INTO tickets (id, order_id, number, event_id, holder_id, value, code)
       SELECT md5('ticket' || n)::uuid, md5('order' || n)::uuid, 1, t.event_id, 'past-' || n, 2500, 'code'
       FROM ticket_types t, generate_series({first}, {last}) n WHERE t.id = '{ticket_type}'""",
    "ANALYZE",
)


def measure(say: Callable[[str], None], *, quick: bool, plots: Path | None = None) -> list[Comparison]:
    """Milliseconds per order at each size, against those of the smallest. Raises NotReady, MissingProgram."""
    sizes, samples = _QUICK if quick else SIZES, {}
    with booking.served(say) as made:
        ticket_type, there = made.on_sale(2**31 - 1), 0
        for size in sizes:
            say(f"selling {size - there:,} tickets")
            made.execute(*(line.format(first=there + 1, last=size, ticket_type=ticket_type) for line in _SEED))
            there = size
            say(f"ordering beside {size:,} orders")
            # The first run fills caches.
            samples[size] = tuple(uvloop.run(_order(made, ticket_type)) for _ in range(2 if quick else 6))[1:]
    series = {
        size: Series(f"an order beside {size:,}", "hold to tickets, one after the other", samples[size])
        for size in sizes
    }
    floor, *others = series.values()
    if plots is not None:
        _plot(series, plots / "orders.svg")
    return [Comparison(other, floor, "ms", "lower") for other in others]


async def _order(made: Booking, ticket_type: uuid.UUID) -> float:
    """Milliseconds that one order takes, from its hold to its tickets."""
    signer = Signer(Ed25519PrivateKey.generate())
    async with database.pool(made.url, size=2) as pool:
        allocator = Allocator(pool)
        began = time.perf_counter()
        for _ in range(_MEASURED):
            await _buy(pool, allocator, signer, ticket_type)
        return 1000 * (time.perf_counter() - began) / _MEASURED


async def _buy(pool: asyncpg.Pool, allocator: Allocator, signer: Signer, ticket_type: uuid.UUID) -> None:
    buyer, hold_id = f"buyer-{uuid.uuid4()}", uuid.uuid4()
    await allocator.take(HoldRequest(hold_id, ticket_type, buyer, 1))
    async with pool.acquire() as connection, connection.transaction():
        order = await orders.checkout(
            PostgresStore(connection), Outbox(connection), hold_id=hold_id, buyer_id=buyer, payment_method="pm"
        )
    async with pool.acquire() as connection, connection.transaction():
        await orders.confirm_seats(PostgresStore(connection), Outbox(connection), order.id)
    async with pool.acquire() as connection, connection.transaction():
        await orders.issue_tickets(PostgresStore(connection), Outbox(connection), signer, order.id)


def _plot(series: dict[int, Series], file: Path) -> None:
    chart = pygal.XY(
        title="Cost of an order beside those sold before",
        x_title="orders sold before",
        y_title="ms",
        logarithmic=False,
        show_legend=False,
        # A picture that asks nobody's server for a script.
        js=[],
        xrange=(3, 6),
        range=(0, 1.5 * max(found.median for found in series.values())),
    )
    chart.x_labels = [{"value": place, "label": f"{10**place:,}"} for place in range(3, 7)]
    chart.add("median", [(len(str(size)) - 1, found.median) for size, found in series.items()])
    file.parent.mkdir(parents=True, exist_ok=True)
    chart.render_to_file(str(file))
