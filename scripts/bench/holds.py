"""Holds per second of one ticket type, the hot path of an on-sale: booking's API, its allocator, and PostgreSQL itself.

All three work on one server with the same number of requests at a time, over TLS, as the service's least-privilege
role. The floor is pgbench running one statement that takes one hold: what a service with a transaction for each hold
could reach at best, without HTTP, tokens and Python, and without the rules that the allocator keeps beside. The API is
one process, as in one pod.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import uvloop

from scripts.bench import booking, pgbench
from scripts.bench.booking import AT_A_TIME, POOL, Booking, Refused
from scripts.bench.report import Comparison, Sample, Series, interleaved
from services.booking.adapters.allocator import Allocator
from services.booking.domain.holds import HoldRequest
from services.common import database

NAME = "holds"
# So many buyers that nobody reaches the limit of one while it is measured.
_BUYERS = 3_000
# Holds on each of pgbench's connections for a second that the others measure: it takes about as long.
_EACH_SECOND = 8
# The largest capacity that the column holds: nothing sells out while it is measured.
_CAPACITY = 2**31 - 1


@dataclass(slots=True)
class _Bench:
    """A ticket type to take from in three ways; latencies in ms are kept beside the rates."""

    booking: Booking
    ticket_type: uuid.UUID
    tokens: list[str]
    seconds: int
    p99: list[float] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)

    def fresh(self) -> None:
        """Forget all holds, so that each measurement starts with empty tables."""
        self.booking.execute("TRUNCATE holds CASCADE", "UPDATE pools SET held = 0")

    def of_pgbench(self) -> float:
        """Transactions per second of pgbench."""
        self.fresh()
        each = _EACH_SECOND * self.seconds
        found = pgbench.run(self.booking.url, self.booking.ca, self.ticket_type, clients=AT_A_TIME, each=each)
        if found.failed:
            raise Refused(f"{found.failed} of pgbench's transactions failed")
        self.latency.append(1000 * AT_A_TIME / found.rate)
        return found.rate

    def of_api(self) -> float:
        """Holds per second over HTTP."""
        self.fresh()
        found = self.booking.load(self.ticket_type, self.tokens, f"--seconds={self.seconds}")
        if set(found.statuses) != {"201"}:
            raise Refused(f"the API answered {found.statuses} (status: times); all must be 201")
        self.p99.append(found.p99)
        return found.statuses["201"] / found.seconds

    def of_allocator(self) -> float:
        """Holds per second of the allocator, called directly."""
        self.fresh()
        return uvloop.run(_allocate(self.booking.url, self.ticket_type, self.seconds))


def measure(say: Callable[[str], None], *, quick: bool) -> list[Comparison]:
    """Take holds in the three ways, in turn. Raises Refused, NotReady, MissingProgram, Unreadable."""
    with booking.served(say) as made:
        say(f"signing in {_BUYERS} buyers")
        bench = _Bench(made, made.on_sale(_CAPACITY), made.tokens(_BUYERS), 1 if quick else 5)
        # The first requests prepare statements, fetch the issuer's keys and fill PostgreSQL's caches.
        bench.of_api()
        bench.p99.clear()
        names = ("pgbench", "booking's API", "booking's allocator")
        arms: dict[str, Sample] = dict(zip(names, (bench.of_pgbench, bench.of_api, bench.of_allocator), strict=True))
        taken = interleaved(arms, 1 if quick else 5, say)
    about = {
        "pgbench": "one hold a statement, prepared, over TLS",
        "booking's API": "POST /holds with a bearer token and an idempotency key, one process",
        "booking's allocator": f"batches, straight to the database, pool of {POOL}",
    }
    floor, *measured = (Series(name, f"{about[name]}; {AT_A_TIME} at a time", taken[name]) for name in names)
    slowest = Series("booking's API, p99", "the slowest of a hundred of those requests", tuple(bench.p99))
    mean = Series("pgbench, mean", "the mean of its transactions", tuple(bench.latency))
    return [
        *(Comparison(series, floor, "holds/s", "higher") for series in measured),
        Comparison(slowest, mean, "ms", "lower"),
    ]


async def _allocate(url: str, ticket_type: uuid.UUID, seconds: float) -> float:
    async with database.pool(url, size=POOL) as pool:
        allocator, taken = Allocator(pool), 0
        began = time.perf_counter()

        async def buyers() -> None:
            nonlocal taken
            while time.perf_counter() < began + seconds:
                new = uuid.uuid4()
                await allocator.take(HoldRequest(new, ticket_type, f"buyer-{new}", 1))
                taken += 1

        await asyncio.gather(*(buyers() for _ in range(AT_A_TIME)))
        return taken / (time.perf_counter() - began)
