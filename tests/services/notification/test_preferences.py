"""Quiet hours end when they should, whatever the clocks do; nobody is without tickets; marketing is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.notification.preferences import Preferences, TicketsUnreachable
from services.notification.quiet_hours import QuietHours
from services.notification.workflows import WORKFLOWS, marketing, orders, payments, tickets
from services.notification.workflows.model import Category, Channel

PARIS = "Europe/Paris"
NIGHT = QuietHours(time(22), time(7))
# Clocks that change by an hour and by half of one, at midnight, and that do not.
ZONES = st.sampled_from([PARIS, "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu", "Pacific/Apia", "UTC"])
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2031, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
SPANS = st.tuples(st.times(), st.times()).filter(lambda span: span[0] != span[1]).map(lambda span: QuietHours(*span))


@given(SPANS, ZONES, MOMENTS)
@example(QuietHours(time(22), time(2, 30)), PARIS, datetime(2026, 3, 29, 0, 45, tzinfo=UTC))  # 2:30 does not exist
@example(QuietHours(time(22), time(2, 30)), PARIS, datetime(2026, 10, 25, 1, 10, tzinfo=UTC))  # 2:30 has passed once
@example(QuietHours(time(3), time(2, 30)), PARIS, datetime(2026, 3, 29, 0, 45, tzinfo=UTC))
def test_the_end_of_quiet_hours_is_not_quiet_not_past_and_not_later_than_it_must(
    quiet: QuietHours, zone: str, now: datetime
) -> None:
    due, local = quiet.end_after(now, ZoneInfo(zone)), ZoneInfo(zone)
    assert due >= now
    assert not quiet.contains(due.astimezone(local).time())
    assert quiet.end_after(due, local) == due
    if not quiet.contains(now.astimezone(local).time()):
        assert due == now
    # A span of a day, an hour for the clocks, and one more day where the end falls into the hour that is left out.
    assert due - now <= timedelta(hours=49)


def test_a_night_in_paris_ends_at_seven_in_summer_and_in_winter() -> None:
    for month, end in ((1, 6), (7, 5)):
        now = datetime(2030, month, 10, 22, 30, tzinfo=UTC)
        assert NIGHT.end_after(now, ZoneInfo(PARIS)) == datetime(2030, month, 11, end, tzinfo=UTC)


def test_what_is_critical_and_what_brings_a_ticket_waits_for_no_morning() -> None:
    night, asleep = datetime(2030, 1, 10, 23, 30, tzinfo=UTC), Preferences(quiet_hours=NIGHT)
    waiting = {name for name, workflow in WORKFLOWS.items() if asleep.due(workflow, night) > night}
    brings = {tickets.COMPLETED.name, tickets.TRANSFERRED.name, tickets.RECEIVED.name}
    assert waiting == set(WORKFLOWS) - brings - {payments.ACTION_REQUIRED.name}


def test_marketing_reaches_those_alone_who_asked_for_it() -> None:
    assert Preferences().channels(marketing.DIGEST) == ()
    asked = Preferences(choices={(Category.MARKETING, Channel.EMAIL): True})
    assert asked.channels(marketing.DIGEST) == (Channel.EMAIL,)


def test_a_choice_is_kept_except_for_what_is_critical() -> None:
    silent = Preferences(choices={(Category.TRANSACTIONAL, channel): False for channel in Channel})
    assert silent.channels(orders.CANCELLED) == ()
    assert silent.channels(payments.ACTION_REQUIRED) == payments.ACTION_REQUIRED.channels


@given(st.sets(st.sampled_from(list(Channel))))
def test_a_ticket_always_has_a_way(refused: set[Channel]) -> None:
    choices = {(Category.TICKETS, channel): False for channel in refused}
    if refused == set(Channel):
        with pytest.raises(TicketsUnreachable):
            Preferences(choices=choices)
    else:
        assert all(
            Preferences(choices=choices).channels(workflow) for workflow in (tickets.COMPLETED, tickets.RECEIVED)
        )
