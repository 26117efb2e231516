"""A person is erased from notification and from Novu, and is told nothing more."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg
import pytest

from services.common.problems import Problem
from services.contracts import Event, EventMessage
from services.notification import bootstrap, erasing, handlers
from services.notification.adapters.erasures import PostgresErasures
from services.notification.adapters.novu import NovuNotifier
from services.notification.adapters.store import PostgresStore
from services.notification.adapters.subscribers import PostgresSubscribers
from services.notification.preferences import Preferences
from services.notification.sending import Sender
from services.notification.workflows.model import Category, Channel
from tests.services.notification.conftest import Novu, all_due, event

PSEUDONYM = "erased:0b54ad5e-0000-4000-8000-000000000000"
TABLES = ("deliveries", "reports", "feed", "choices", "subscribers")


@pytest.fixture
def buyer() -> str:
    return f"buyer-{uuid.uuid4()}"


def erased(person: str) -> EventMessage:
    return EventMessage(
        id=str(uuid.uuid4()),
        type=Event.BUYER_ERASED,
        occurred_at=datetime.now(UTC).isoformat(),
        ids={"buyerId": person, "pseudonym": PSEUDONYM},
    )


async def naming(pool: asyncpg.Pool, person: str, tables: Sequence[str] = TABLES) -> set[str]:
    return {
        table
        for table in tables
        if await pool.fetchval(f"SELECT count(*) FROM {table} t WHERE strpos(t::text, $1) > 0", person)
    }


async def a_life(pool: asyncpg.Pool, sender: Sender, buyer: str) -> None:
    """Somebody with wishes, messages, reports, and a ticket that went to a friend."""
    wishes = Preferences(choices={(Category.MARKETING, Channel.EMAIL): True})
    await PostgresSubscribers(pool).save(buyer, wishes)
    store = PostgresStore(pool)
    for kind, ids in (
        (Event.ORDER_COMPLETED, {}),
        (Event.TICKET_TRANSFERRED, {"ticketId": "t", "recipientId": "friend"}),
    ):
        await bootstrap.on_event(pool, event(kind, buyerId=buyer, **ids))
    await handlers.announce(store, "spring", "event-1", [buyer])
    await all_due(pool)
    await sender.pass_once()
    transaction = await pool.fetchval("SELECT transaction_id FROM deliveries WHERE subscriber_id = $1 LIMIT 1", buyer)
    await pool.execute(
        "INSERT INTO reports (transaction_id, channel, report) VALUES ($1, 'email', 'sent')", transaction
    )


async def tell_novu(pool: asyncpg.Pool, notifier: NovuNotifier) -> int:
    """As if the leases of those who were sending had ended."""
    await pool.execute("UPDATE erasures SET due_at = now()")
    return await erasing.tell(PostgresErasures(pool), notifier)


async def test_everything_of_a_person_is_removed_here_and_at_novu(
    notification: asyncpg.Pool, sender: Sender, notifier: NovuNotifier, novu: Novu, buyer: str
) -> None:
    await a_life(notification, sender, buyer)
    assert await naming(notification, buyer) == set(TABLES) - {"reports"}
    told = erased(buyer)
    await asyncio.gather(*(bootstrap.on_event(notification, told) for _ in range(10)))
    assert await naming(notification, buyer) == set(), "nor in the friend's feed"
    assert await notification.fetchval("SELECT count(*) FROM reports") == 0
    assert await notification.fetchval("SELECT count(*) FROM feed WHERE subscriber_id = 'friend'") == 1
    assert await novu.delivered(buyer), "Novu waits for whoever is sending just now"
    assert await erasing.tell(PostgresErasures(notification), notifier) == 0
    assert await tell_novu(notification, notifier) == 1
    assert await novu.delivered(buyer) == []
    assert (await novu.get(f"/v2/subscribers/{buyer}"))["statusCode"] == 404
    assert await naming(notification, buyer, ("erasures", "erased_people", "inbox", "outbox")) == set()


async def test_what_comes_late_about_an_erased_person_is_dropped(
    notification: asyncpg.Pool, sender: Sender, novu: Novu, buyer: str
) -> None:
    store = PostgresStore(notification)
    await bootstrap.on_event(notification, erased(buyer))
    await bootstrap.on_event(notification, event(Event.ORDER_CANCELLED, buyerId=buyer))
    await bootstrap.on_event(notification, event(Event.ORDER_REFUNDED, buyerId=PSEUDONYM, refundId="r"))
    await bootstrap.on_event(
        notification, event(Event.TICKET_TRANSFERRED, buyerId=buyer, recipientId="friend", ticketId="t")
    )
    assert await handlers.announce(store, "spring", "event-1", [buyer, PSEUDONYM]) == 0
    with pytest.raises(Problem, match="erased"):
        await PostgresSubscribers(notification).save(buyer, Preferences())
    assert await naming(notification, buyer) == set()
    assert await naming(notification, PSEUDONYM) == set()
    assert await notification.fetchval("SELECT array_agg(DISTINCT subscriber_id) FROM deliveries") == ["friend"]
    await sender.pass_once()
    assert await novu.delivered(buyer) == []


async def test_novu_is_told_until_it_has_removed_the_person_and_a_crash_after_it_does_no_harm(
    notification: asyncpg.Pool, sender: Sender, notifier: NovuNotifier, novu: Novu, buyer: str
) -> None:
    await a_life(notification, sender, buyer)
    await bootstrap.on_event(notification, erased(buyer))
    await novu.fail(count=100, status=500)
    assert await tell_novu(notification, notifier) == 1
    assert await naming(notification, buyer, ["erasures"]) == {"erasures"}
    assert await erasing.tell(PostgresErasures(notification), notifier) == 0, "it rests"
    await novu.fail(count=0)
    # Killed after Novu's answer and before it was written down.
    await notifier.erase(buyer)
    assert await novu.delivered(buyer) == []
    assert await tell_novu(notification, notifier) == 1
    assert await naming(notification, buyer, ["erasures"]) == set()


async def test_several_workers_tell_novu_of_each_person_once(notification: asyncpg.Pool) -> None:
    people = {f"buyer-{number}" for number in range(20)}
    erasures, told = PostgresErasures(notification), list[str]()
    for person in people:
        await erasures.erase(str(uuid.uuid4()), person)
    await notification.execute("UPDATE erasures SET due_at = now()")

    class Recorder:
        async def erase(self, subscriber_id: str) -> None:
            told.append(subscriber_id)

        async def trigger(self, message: object) -> None:
            raise AssertionError("nobody is told anything")

    while any(await asyncio.gather(*(erasing.tell(erasures, Recorder()) for _ in range(4)))):
        continue
    assert sorted(told) == sorted(people)
