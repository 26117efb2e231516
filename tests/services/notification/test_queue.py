"""The queue of deliveries: tickets first, nothing lost by a crash, nothing twice by a late worker, an end to trying."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, time, timedelta
from typing import Any

import asyncpg
import pytest

from services.contracts import Event
from services.notification import domain, handlers, sending
from services.notification.adapters import queue
from services.notification.adapters.limits import PostgresLimits
from services.notification.adapters.novu import NovuNotifier
from services.notification.adapters.queue import PostgresQueue
from services.notification.adapters.store import PostgresStore
from services.notification.adapters.subscribers import PostgresSubscribers
from services.notification.domain import Delivery, Status
from services.notification.ports import Message
from services.notification.preferences import Locale, Preferences
from services.notification.quiet_hours import QuietHours
from services.notification.sending import Sender
from services.notification.workflows import marketing, orders, payments, tickets
from services.notification.workflows.model import Category, Channel, Workflow
from tests.services.conftest import eventually
from tests.services.notification.conftest import Novu, all_due, event, make_sender, status

OPTED_IN = Preferences(choices={(Category.MARKETING, Channel.EMAIL): True})


class Recorder:
    """A Notifier that takes everything, or refuses as often as it is told to."""

    def __init__(self, refuse: int = 0) -> None:
        self.taken: list[Message] = []
        self.refuse = refuse

    async def trigger(self, message: Message) -> None:
        if self.refuse:
            self.refuse -= 1
            raise ConnectionError("no answer")
        self.taken.append(message)

    async def erase(self, subscriber_id: str) -> None:
        self.taken = [message for message in self.taken if message.subscriber_id != subscriber_id]


def told(workflow: Workflow, subscriber: str = "", **ids: str) -> Delivery:
    payload = {key: str(uuid.uuid4()) for key in workflow.needs} | ids
    return Delivery(workflow, subscriber or f"somebody-{uuid.uuid4()}", str(uuid.uuid4()), payload)


async def test_a_ticket_goes_before_a_thousand_marketing_messages(notification: asyncpg.Pool) -> None:
    store, recorder = PostgresStore(notification), Recorder()
    await handlers.announce(store, "spring", "event-1", [f"fan-{n}" for n in range(1_000)])
    await all_due(notification)
    await store.queue([ticket := told(tickets.COMPLETED)])
    [first, *_] = await PostgresQueue(notification).lease(sending.BATCH)
    assert first.transaction_id == ticket.transaction_id
    await all_due(notification)
    await make_sender(notification, recorder).pass_once()
    assert [message.transaction_id for message in recorder.taken] == [ticket.transaction_id]


async def test_two_senders_never_hold_the_same_delivery(notification: asyncpg.Pool) -> None:
    store, queue = PostgresStore(notification), PostgresQueue(notification)
    await store.queue([told(orders.CANCELLED) for _ in range(40)])
    leased = await asyncio.gather(*(queue.lease(10) for _ in range(6)))
    names = [each.transaction_id for batch in leased for each in batch]
    assert len(names) == len(set(names)) == 40


async def test_a_crash_between_novu_and_the_mark_repeats_the_same_transaction(
    notification: asyncpg.Pool, notifier: NovuNotifier, novu: Novu
) -> None:
    store, queue = PostgresStore(notification), PostgresQueue(notification)
    await store.queue([one := told(tickets.COMPLETED)])
    [lost] = await queue.lease(1)
    sender = make_sender(notification, notifier)
    assert await sender.pass_once() == 0, "the lease of a worker that may still live is respected"
    await all_due(notification)
    await sender.pass_once()
    assert not await queue.sent(lost, tickets.COMPLETED.channels), "a stale lease marks nothing"
    assert not await queue.later(lost, 1, "late", tried=True)
    assert not await queue.close(lost, Status.DEAD, "late")
    assert await status(notification, one.transaction_id) == "sent"
    assert await novu.transactions(one.subscriber_id) == [one.transaction_id]


async def test_an_answer_that_is_lost_leads_to_one_message(
    notification: asyncpg.Pool, sender: Sender, novu: Novu
) -> None:
    await PostgresStore(notification).queue([one := told(orders.CANCELLED)])
    await novu.fail(count=100, when="after")
    await sender.pass_once()
    assert await status(notification, one.transaction_id) == "pending"
    await novu.fail(count=0)
    await all_due(notification)
    await sender.pass_once()
    assert await status(notification, one.transaction_id) == "sent"
    assert await novu.transactions(one.subscriber_id) == [one.transaction_id]


async def test_a_failure_backs_off_and_the_last_one_is_dead_until_it_is_put_back(notification: asyncpg.Pool) -> None:
    store, recorder = PostgresStore(notification), Recorder(refuse=domain.MOST_ATTEMPTS)
    sender, one = make_sender(notification, recorder), told(orders.CANCELLED)
    await store.queue([one])
    before = sending.DELIVERIES.labels("order-cancelled", "dead")._value.get()
    for attempt in range(1, domain.MOST_ATTEMPTS + 1):
        await all_due(notification)
        assert await sender.pass_once() == 1
        assert await sender.pass_once() == 0, "it waits"
        row = await notification.fetchrow("SELECT status, reason, due_at - now() AS wait FROM deliveries")
        assert row is not None
        assert (row["status"], row["reason"]) == (
            "dead" if attempt == domain.MOST_ATTEMPTS else "pending",
            "ConnectionError",
        )
    assert sending.DELIVERIES.labels("order-cancelled", "dead")._value.get() == before + 1
    assert [dead["transaction_id"] for dead in await store.dead(10)] == [one.transaction_id]
    assert await handlers.requeue(store, one.transaction_id) is Status.PENDING
    assert await handlers.requeue(store, one.transaction_id) is Status.PENDING, "safe to repeat"
    await sender.pass_once()
    assert [message.transaction_id for message in recorder.taken] == [one.transaction_id]
    assert await handlers.requeue(store, one.transaction_id) is Status.SENT
    assert await handlers.requeue(store, "order-cancelled:nobody") is None


def test_pauses_double_up_to_an_hour_and_never_fall_together() -> None:
    assert [domain.pause(attempt, 1.0) for attempt in (1, 2, 3, 10, 11, 15)] == [5, 10, 20, 2_560, 3_600, 3_600]
    assert domain.pause(3, 0.0) == 10


async def test_quiet_hours_put_a_message_off_without_counting_as_an_attempt(notification: asyncpg.Pool) -> None:
    store, recorder, one = PostgresStore(notification), Recorder(), told(orders.CANCELLED)
    now = datetime.now(UTC)
    quiet = QuietHours((now - timedelta(hours=1)).time(), (now + timedelta(hours=2)).time())
    asleep = Preferences(time_zone="UTC", quiet_hours=quiet)
    await PostgresSubscribers(notification).save(one.subscriber_id, asleep)
    await store.queue([one, ticket := Delivery(tickets.COMPLETED, one.subscriber_id, "42", {"orderId": "42"})])
    await make_sender(notification, recorder).pass_once()
    assert [message.transaction_id for message in recorder.taken] == [ticket.transaction_id]
    row = await notification.fetchrow(
        "SELECT status, attempts, due_at FROM deliveries WHERE transaction_id = $1", one.transaction_id
    )
    assert row is not None
    assert (row["status"], row["attempts"]) == ("pending", 0)
    assert abs(row["due_at"] - now - timedelta(hours=2)) < timedelta(seconds=30)


async def test_what_was_not_asked_for_is_suppressed_and_what_was_is_sent_in_ones_language(
    notification: asyncpg.Pool,
) -> None:
    store, recorder = PostgresStore(notification), Recorder()
    fan = Preferences(locale=Locale.ENGLISH, choices={(Category.MARKETING, Channel.EMAIL): True})
    await PostgresSubscribers(notification).save("fan", fan)
    await handlers.announce(store, "spring", "event-1", ["fan", "stranger"])
    assert await handlers.announce(store, "spring", "event-1", ["fan", "stranger"]) == 0
    await all_due(notification)
    await make_sender(notification, recorder).pass_once()
    found = await notification.fetchrow(
        "SELECT transaction_id, status FROM deliveries WHERE subscriber_id = 'stranger'"
    )
    assert found["status"] == "suppressed"
    assert "stranger" not in found["transaction_id"], "the id is told to Novu and to logs: it names nobody"
    [message] = recorder.taken
    assert message.content.keys() == {Channel.EMAIL}
    assert message.content[Channel.EMAIL]["subject"] == "Events for you"


async def test_a_digest_gathers_a_window_into_one_message_and_a_crash_does_not_change_it(
    notification: asyncpg.Pool,
) -> None:
    store, queue, recorder = PostgresStore(notification), PostgresQueue(notification), Recorder()
    disputes = [told(payments.DISPUTED, "organiser-1") for _ in range(12)]
    await asyncio.gather(*(store.queue([dispute]) for dispute in disputes))
    other = told(payments.DISPUTED, "organiser-2")
    await store.queue([other])
    assert await queue.lease(10) == [], "the window is open"
    await all_due(notification)
    [first, _] = sorted(await queue.lease(10), key=lambda leased: -len(leased.payloads))
    assert len(first.payloads) == 12
    late = told(payments.DISPUTED, "organiser-1")
    await store.queue([late])
    await notification.execute("UPDATE deliveries SET lease_until = now() WHERE status = 'sending'")
    await make_sender(notification, recorder).pass_once()
    by_person = {message.subscriber_id: message for message in recorder.taken}
    assert set(by_person) == {"organiser-1", "organiser-2"}
    assert by_person["organiser-1"].transaction_id == first.transaction_id
    assert by_person["organiser-1"].content[Channel.EMAIL]["body"].count("<li>") == 12
    assert {await status(notification, each.transaction_id) for each in disputes} == {"sent"}
    assert await status(notification, late.transaction_id) == "pending", "it opened a digest of its own"


async def test_a_digest_that_was_tried_takes_nothing_more_in(notification: asyncpg.Pool) -> None:
    store, recorder = PostgresStore(notification), Recorder(refuse=1)
    sender = make_sender(notification, recorder)
    await store.queue([first := told(payments.DISPUTED, "organiser-1")])
    await all_due(notification)
    await sender.pass_once()
    assert await status(notification, first.transaction_id) == "pending", "perhaps Novu has it: it must stay the same"
    await store.queue([told(payments.DISPUTED, "organiser-1")])
    await all_due(notification)
    await sender.pass_once()
    assert [message.content[Channel.EMAIL]["body"].count("<li>") for message in recorder.taken] == [1, 1]


async def test_a_bucket_is_shared_and_refills_with_time(notification: asyncpg.Pool) -> None:
    limits = [PostgresLimits(notification, {Channel.SMS: 5.0}) for _ in range(3)]
    answers = await asyncio.gather(*(each.take([Channel.SMS]) for each in limits * 10))
    assert 5 <= sum(answers) <= 7, "five, and what came while they were taken"
    assert await limits[0].take([Channel.EMAIL]), "no limit was set"
    await eventually(lambda: limits[0].take([Channel.SMS]))


async def test_one_empty_bucket_takes_nothing_from_the_others(notification: asyncpg.Pool) -> None:
    limits = PostgresLimits(notification, {Channel.EMAIL: 100.0, Channel.SMS: 0.001})
    assert await limits.take([Channel.SMS, Channel.EMAIL])
    before = await notification.fetchval("SELECT tokens FROM rate_buckets WHERE name = 'email'")
    assert not await limits.take([Channel.SMS, Channel.EMAIL])
    assert await notification.fetchval("SELECT tokens FROM rate_buckets WHERE name = 'email'") == before


async def test_a_rate_limit_holds_up_and_costs_no_attempt(notification: asyncpg.Pool) -> None:
    store, recorder = PostgresStore(notification), Recorder()
    await store.queue([told(tickets.COMPLETED) for _ in range(3)])
    await make_sender(notification, recorder, {Channel.SMS: 0.001}).pass_once()
    assert len(recorder.taken) == 1
    waiting = await notification.fetch("SELECT attempts, reason FROM deliveries WHERE status = 'pending'")
    assert [tuple(row) for row in waiting] == [(0, "rate limit")] * 2


async def test_a_delivery_of_a_workflow_that_is_gone_is_dead_and_delays_nobody(notification: asyncpg.Pool) -> None:
    store, recorder = PostgresStore(notification), Recorder()
    await store.queue([gone := told(orders.CANCELLED), good := told(orders.CANCELLED)])
    await notification.execute("UPDATE deliveries SET workflow = 'x' WHERE transaction_id = $1", gone.transaction_id)
    await make_sender(notification, recorder).pass_once()
    assert await status(notification, gone.transaction_id) == "dead"
    assert [message.transaction_id for message in recorder.taken] == [good.transaction_id]


async def test_a_sender_outlives_its_database_and_stops_when_asked(
    notification: asyncpg.Pool, monkeypatch: Any
) -> None:
    monkeypatch.setattr(sending, "FAULT", 0.05)
    recorder, stop = Recorder(), asyncio.Event()
    running = asyncio.create_task(make_sender(notification, recorder).run(stop))
    await notification.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND datname = current_database() AND usename = current_user"
    )
    store = PostgresStore(notification)
    await handlers.on_event(store, event(Event.ORDER_CANCELLED))

    async def taken() -> bool:
        return len(recorder.taken) == 1

    await eventually(taken)
    stop.set()
    await running


async def test_what_an_earlier_release_left_pending_is_sent(notification: asyncpg.Pool) -> None:
    await notification.execute(
        """INSERT INTO deliveries (transaction_id, workflow, subscriber_id, payload)
           VALUES ('order-completed:7', 'order-completed', 'buyer-7', '{"orderId": "7"}')"""
    )
    recorder = Recorder()
    await make_sender(notification, recorder).pass_once()
    assert [message.transaction_id for message in recorder.taken] == ["order-completed:7"]


@pytest.mark.parametrize("workflow", [marketing.DIGEST, orders.CANCELLED], ids=lambda workflow: workflow.name)
async def test_settings_come_back_as_they_were_saved(notification: asyncpg.Pool, workflow: Workflow) -> None:
    subscribers = PostgresSubscribers(notification)
    assert await subscribers.preferences("nobody") == Preferences()
    saved = Preferences(
        locale=Locale.ENGLISH,
        time_zone="Europe/London",
        quiet_hours=QuietHours(time(22), time(7, 30)),
        choices={(workflow.category, channel): False for channel in workflow.channels},
    )
    for wanted in (OPTED_IN, saved, saved):
        await subscribers.save("somebody", wanted)
        assert await subscribers.preferences("somebody") == wanted


async def test_how_long_the_oldest_due_delivery_waits_is_counted(notification: asyncpg.Pool) -> None:
    waiting = PostgresQueue(notification)
    await PostgresStore(notification).queue([told(tickets.COMPLETED), told(tickets.COMPLETED)])
    await notification.execute("UPDATE deliveries SET due_at = now() + interval '1 hour'")
    await waiting.observe()
    assert queue.OLDEST_DUE._value.get() == 0, "what is not due is not late"
    await all_due(notification)
    await notification.execute("UPDATE deliveries SET due_at = now() - interval '300 seconds'")
    await waiting.observe()
    assert 300 <= queue.OLDEST_DUE._value.get() < 330
