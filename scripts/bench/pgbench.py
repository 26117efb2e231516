"""pgbench: what PostgreSQL itself does with the hold statement, one transaction for each hold."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scripts.local.servers import binaries
from services.booking.domain.holds import HOLD_SECONDS

# Seconds: ten times what a busy machine takes.
_TIMEOUT = 300
_RATE = re.compile(r"^tps = ([0-9.]+) \(without initial connection time\)", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: (\d+)", re.MULTILINE)


class Unreadable(RuntimeError):
    """pgbench failed, or said something else than expected; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Transactions per second without the time to connect, and how many failed."""

    rate: float
    failed: int


# What a service would do that opens no transaction of its own: take from the pool and write the hold, in one statement.
_HOLD = """
    WITH taken AS (UPDATE pools SET held = held + 1
                   WHERE id = (SELECT pool_id FROM ticket_types WHERE id = {ticket_type})
                     AND held + sold + 1 <= capacity RETURNING id)
    INSERT INTO holds (id, pool_id, ticket_type_id, buyer_id, quantity, unit_price, expires_at)
    SELECT gen_random_uuid(), taken.id, {ticket_type}, 'buyer-' || :client_id, 1,
           (SELECT price FROM price_tiers WHERE ticket_type_id = {ticket_type} AND until > now()
            ORDER BY until LIMIT 1),
           now() + {seconds} * interval '1 second'
    FROM taken RETURNING id, expires_at"""


def script(ticket_type: uuid.UUID) -> str:
    """The naive way to hold, as a pgbench script."""
    statement = _HOLD.format(ticket_type=f"'{ticket_type}'::uuid", seconds=HOLD_SECONDS)
    return f"{' '.join(statement.split())};\n"


def run(url: str, ca: Path, ticket_type: uuid.UUID, *, clients: int, each: int) -> Outcome:
    """Take ``each`` holds on each of ``clients`` connections at a time. Raises Unreadable.

    A number, not a time: pgbench's clock runs while it connects, which can take all of a short time.
    """
    target = urlsplit(url)
    env = {
        **os.environ,
        "PGHOST": target.hostname or "",
        "PGPORT": str(target.port or 5432),
        "PGUSER": unquote(target.username or ""),
        "PGPASSWORD": unquote(target.password or ""),
        "PGDATABASE": target.path.lstrip("/"),
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": str(ca),
    }
    pgbench = binaries.find("postgres").with_name("pgbench")
    options = ["--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--transactions={each}", "--file=-"]
    try:
        done = subprocess.run(
            [str(pgbench), *options],
            input=script(ticket_type),
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise Unreadable(f"pgbench did not take {clients * each} holds in {_TIMEOUT} s: free the machine") from error
    if done.returncode:
        raise Unreadable(f"pgbench ended with {done.returncode}:\n{done.stderr.strip()[-2000:]}")
    return parse(done.stdout)


def parse(said: str) -> Outcome:
    """Read pgbench's summary. Raises Unreadable when it has no rate."""
    rate, failed = _RATE.search(said), _FAILED.search(said)
    if rate is None:
        raise Unreadable(f"pgbench printed no rate:\n{said.strip()[-2000:]}")
    return Outcome(float(rate[1]), int(failed[1]) if failed else 0)
