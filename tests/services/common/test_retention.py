"""Retention removes what is old enough and nothing else, a little at a time, in nobody's way."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import pytest
from pydantic import SecretStr, ValidationError

from services.booking import retention as of_booking
from services.booking.settings import BookingWorkerSettings
from services.common import database
from services.common.retention import DAY, REMOVED, Kept, Retention, Rule
from services.notification import retention as of_notification
from services.payment import retention as of_payment
from tests.services.common.aged import LIVE, Fill, filler
from tests.support.databases import Databases

TABLES: dict[str, tuple[tuple[Rule, ...], tuple[Kept, ...]]] = {
    "booking": (of_booking.RULES, of_booking.KEPT),
    "payment": (of_payment.RULES, of_payment.KEPT),
    "notification": (of_notification.RULES, of_notification.KEPT),
}
BIT = timedelta(minutes=1)


@dataclass(frozen=True)
class Case:
    """A rule, carried out on a database of its service."""

    pool: asyncpg.Pool
    owner: str
    rule: Rule
    fill: Fill

    @property
    def of_a_pool(self) -> bool:
        """Whether the rule works on one capacity pool at a time, under its lock."""
        return self.rule.name == "waiting_list_missed"

    async def removed(self, **terms: int) -> int:
        return (await Retention(self.pool, [self.rule], {}).pass_once(**terms))[self.rule.name]


@pytest.fixture(params=TABLES)
async def cases(request: pytest.FixtureRequest, databases: Databases) -> AsyncIterator[list[Case]]:
    """Every rule of a service, one after the other on one database."""
    service: str = request.param
    async with database.pool(await databases.create(service), size=4) as pool:
        owner = databases.owner(service)
        yield [Case(pool, owner, rule, filler(service, rule.name, pool)) for rule in TABLES[service][0]]


async def test_what_is_just_older_goes_and_what_is_just_younger_stays(cases: list[Case]) -> None:
    for case in cases:
        await case.fill(case.rule.age + BIT, 3)
        await case.fill(case.rule.age - BIT, 2)
        before = await case.pool.fetchval(f"SELECT count(*) FROM {case.rule.table}")
        counter = REMOVED.labels(case.rule.table, case.rule.name)
        seen = counter._value.get()
        assert await case.removed() == 3, case.rule.name
        assert await case.removed() == 0, case.rule.name
        assert counter._value.get() - seen == 3, f"the metric tells of {case.rule.name}"
        left = await case.pool.fetchval(f"SELECT count(*) FROM {case.rule.table}")
        assert before - left == (0 if case.rule.name == "saga_tokens" else 3), "and nothing else has gone"


async def test_a_pass_removes_a_batch_at_most_and_two_workers_share(cases: list[Case]) -> None:
    for case in cases:
        await case.fill(2 * case.rule.age, 25)
        assert await case.removed(batch=10) == 10, case.rule.name
        async with case.pool.acquire() as other, other.transaction():
            # A worker that is in the middle of its batch: its rows are locked.
            assert await other.fetchval(case.rule.statement, case.rule.age, 10) == 10, case.rule.name
            async with asyncio.timeout(5):
                beside = await case.removed(batch=100)
            assert beside == (0 if case.of_a_pool else 5), case.rule.name
        assert beside + await case.removed(batch=100) == 5, case.rule.name


async def test_what_is_old_is_found_by_an_index(cases: list[Case]) -> None:
    for case in cases:
        await case.fill(case.rule.age / 2, 10 if case.of_a_pool else 3_000)
        await case.fill(case.rule.age * 2, 20)
        if case.of_a_pool:
            await case.pool.execute(
                """INSERT INTO pools (id, event_id, name, capacity) SELECT gen_random_uuid(), event_id, 'other', 1
                   FROM (SELECT event_id FROM pools LIMIT 1) e, generate_series(1, 3000)"""
            )
        async with database.pool(case.owner, size=1) as owner:
            await owner.execute("ANALYZE")
        asked = case.rule.statement.replace("$1", f"'{case.rule.age.days} days'").replace("$2", "1000")
        plan = "\n".join(row[0] for row in await case.pool.fetch(f"EXPLAIN {asked}"))
        by_index = rf"Index (Only )?Scan using {case.rule.index}\b|Bitmap Index Scan on {case.rule.index}\b"
        assert re.search(by_index, plan), plan


@pytest.mark.parametrize(("service", "name"), LIVE, ids=str)
async def test_what_is_not_over_stays_however_old_it_is(service: str, name: str, databases: Databases) -> None:
    [rule] = [rule for rule in TABLES[service][0] if rule.name == name]
    async with database.pool(await databases.create(service), size=2) as pool:
        await filler(service, name, pool)(timedelta(), 0)
        await pool.execute(LIVE[service, name], 10 * 365 * DAY, 3)
        removed = await Retention(pool, [rule], {}).pass_once()
    assert removed == {name: 0}


async def test_a_hold_with_an_order_or_of_a_place_on_a_list_stays(booking: asyncpg.Pool) -> None:
    await filler("booking", "holds", booking)(365 * DAY, 1)
    await booking.execute(
        """INSERT INTO waiting_list (id, pool_id, ticket_type_id, buyer_id, quantity, status, hold_id)
           SELECT gen_random_uuid(), pool_id, ticket_type_id, 'b', 1, 'offered', id FROM holds WHERE order_id IS NULL"""
    )
    removed = await Retention(booking, of_booking.RULES, {}).pass_once()
    assert removed["holds"] == 0
    assert await booking.fetchval("SELECT count(*) FROM holds") == 2


async def test_a_missed_place_is_counted_no_more(booking: asyncpg.Pool) -> None:
    await filler("booking", "waiting_list_missed", booking)(30 * DAY, 7)
    await Retention(booking, of_booking.RULES, {}).pass_once(batch=5)
    assert await booking.fetchval("SELECT waiting FROM pools") == 2
    assert await booking.fetchval("SELECT count(*) FROM waiting_list") == 2


async def test_a_delivery_goes_with_its_reports_and_with_what_its_digest_gathered(notification: asyncpg.Pool) -> None:
    await filler("notification", "deliveries", notification)(365 * DAY, 1)
    await notification.execute(
        """WITH led AS (INSERT INTO deliveries (transaction_id, workflow, subscriber_id, payload, status, digest_id)
                        SELECT 'member', 'w', 'b', '{}', 'sent', transaction_id FROM deliveries)
           INSERT INTO reports (transaction_id, channel, report)
           SELECT transaction_id, 'email', 'sent' FROM deliveries"""
    )
    removed = await Retention(notification, of_notification.RULES, {}).pass_once()
    assert removed["deliveries"] == 1
    assert await notification.fetchval("SELECT count(*) FROM deliveries") == 0
    assert await notification.fetchval("SELECT count(*) FROM reports") == 0


@pytest.mark.parametrize("service", TABLES)
async def test_every_table_has_a_rule_or_a_reason_to_be_kept(service: str, databases: Databases) -> None:
    rules, kept = TABLES[service]
    async with database.pool(await databases.create(service), size=1) as pool:
        rows = await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    named = [*{rule.table for rule in rules}, *(table for each in kept for table in each.tables)]
    assert sorted(named) == sorted(row["tablename"] for row in rows)


@pytest.mark.parametrize(
    ("ages", "message"),
    [
        ('{"idempotency_keys": "PT23H"}', "must be kept for 1 day, 0:00:00 at least"),
        ('{"orders": "P30D"}', "'orders' is no rule"),
    ],
)
def test_an_age_that_would_break_something_is_refused(ages: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(ages)


async def test_an_age_can_be_set(booking: asyncpg.Pool) -> None:
    ages = settings('{"idempotency_keys": "P5D"}').retention_ages
    await filler("booking", "idempotency_keys", booking)(3 * DAY, 2)
    assert (await Retention(booking, of_booking.RULES, ages).pass_once())["idempotency_keys"] == 0
    assert (await Retention(booking, of_booking.RULES, {}).pass_once())["idempotency_keys"] == 2


def settings(ages: str) -> BookingWorkerSettings:
    """Those of a worker whose environment has RETENTION_AGES."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETENTION_AGES", ages)
        return BookingWorkerSettings(
            database_url=SecretStr("postgresql://somebody@127.0.0.1/none"),
            aws_region="eu-west-3",
            saga_queue_url="http://127.0.0.1/queue",
            ticket_signing_key=SecretStr("none"),
        )
