"""The load generator, a process of its own: `python -m scripts.bench.load URL TICKET_TYPE`, one token a line on stdin.

Each token is a buyer; over connections that stay open they ask for a hold each, in turn. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import time
import uuid
from collections import Counter

import aiohttp
import uvloop


async def hold(
    url: str, ticket_type: str, tokens: list[str], *, seconds: float, most: int, at_a_time: int
) -> dict[str, object]:
    """Ask for holds during ``seconds``, ``most`` at the most; returns what `booking.Loaded` holds."""
    statuses: Counter[int] = Counter()
    body = {"ticketTypeId": ticket_type, "quantity": 1}
    asked, taken = 0, []
    deadline = time.perf_counter() + seconds

    buyers = itertools.cycle(tokens)

    async def connection(session: aiohttp.ClientSession) -> None:
        nonlocal asked
        while time.perf_counter() < deadline and asked < most:
            asked += 1
            sent = time.perf_counter()
            headers = {"Authorization": f"Bearer {next(buyers)}", "Idempotency-Key": uuid.uuid4().hex}
            async with session.post(url, json=body, headers=headers) as answer:
                await answer.read()
                statuses[answer.status] += 1
                taken.append(time.perf_counter() - sent)

    timeout = aiohttp.ClientTimeout(total=seconds + 30)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_a_time), timeout=timeout) as session:
        began = time.perf_counter()
        await asyncio.gather(*(connection(session) for _ in range(at_a_time)))
        took = time.perf_counter() - began
    return {
        "statuses": {str(status): count for status, count in statuses.items()},
        "seconds": took,
        "p99": 1000 * statistics.quantiles(taken, n=100)[-1],
    }


def main() -> None:
    """Read the command line and stdin, generate the load, print the counts."""
    parser = argparse.ArgumentParser(prog="scripts.bench.load", description="Ask for holds on loopback.")
    parser.add_argument("url")
    parser.add_argument("ticket_type")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long (default 5)")
    parser.add_argument("--most", type=int, default=200_000, help="requests at the most (default 200000)")
    parser.add_argument("--at-a-time", type=int, default=64, help="connections (default 64)")
    arguments = parser.parse_args()
    tokens = sys.stdin.read().split()
    found = hold(
        arguments.url,
        arguments.ticket_type,
        tokens,
        seconds=arguments.seconds,
        most=arguments.most,
        at_a_time=arguments.at_a_time,
    )
    print(json.dumps(uvloop.run(found)))


if __name__ == "__main__":
    main()
