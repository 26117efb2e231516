"""Whatever is asked of a pool at once: never more than it has, never more than a buyer may, and no wish without need
refused.
"""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.booking.domain.holds import (
    Asked,
    Capacity,
    Existing,
    HoldRequest,
    LimitReached,
    SoldOut,
    Terms,
    fitting,
    judge,
)
from services.booking.domain.orders import shares
from services.booking.domain.vouchers import LEAST_AMOUNT, Voucher

TYPES = [uuid.UUID(int=number) for number in range(2)]
EXPIRY = datetime(2030, 1, 1, tzinfo=UTC)


@st.composite
def asked(draw: st.DrawFn) -> list[Asked]:
    """Requests of a few buyers for two ticket types, with the same limit for both."""
    most = draw(st.integers(1, 6))
    found = []
    for number in range(draw(st.integers(0, 12))):
        request = HoldRequest(
            uuid.UUID(int=1000 + number),
            draw(st.sampled_from(TYPES)),
            draw(st.sampled_from(["ann", "bob", "cid"])),
            draw(st.integers(1, 4)),
        )
        held = draw(st.booleans()) and draw(st.booleans())
        existing = Existing(request.ticket_type_id, request.quantity, EXPIRY) if held else None
        found.append(Asked(request, existing, Terms(100, True, most), 0))
    return found


@given(asked(), st.integers(0, 15))
def test_a_batch_takes_what_fits_and_nothing_more(batch: list[Asked], available: int) -> None:
    verdicts = judge(Capacity(available, 0, False), batch)
    granted = [each.request for each in batch if isinstance(verdicts[each.request.id], Terms)]
    left = available - sum(request.quantity for request in granted)
    assert left >= 0
    per_buyer: Counter[tuple[uuid.UUID, str]] = Counter()
    for request in granted:
        per_buyer[request.ticket_type_id, request.buyer_id] += request.quantity
    for each in batch:
        request, terms, verdict = each.request, each.terms, verdicts[each.request.id]
        assert terms is not None
        has = per_buyer[request.ticket_type_id, request.buyer_id]
        assert has <= terms.max_per_buyer
        if each.existing:
            assert verdict == EXPIRY
        elif isinstance(verdict, SoldOut):
            assert request.quantity > left
        elif isinstance(verdict, LimitReached):
            assert has + request.quantity > terms.max_per_buyer


@given(asked(), st.integers(0, 15))
def test_nobody_new_is_served_while_others_wait(batch: list[Asked], available: int) -> None:
    verdicts = judge(Capacity(available, 1, False), batch)
    assert not any(isinstance(verdict, Terms) for verdict in verdicts.values())


@given(st.lists(st.integers(1, 10), max_size=30), st.integers(0, 60))
def test_offers_fit_and_whoever_is_passed_over_would_not(quantities: list[int], available: int) -> None:
    chosen = fitting(quantities, available)
    left = available - sum(quantities[place] for place in chosen)
    assert left >= 0
    assert all(quantities[place] > left for place in range(len(quantities)) if place not in chosen)


@given(st.integers(1, 10**9), st.integers(1, 10))
def test_the_tickets_of_an_order_are_worth_the_order_together(amount: int, quantity: int) -> None:
    values = shares(amount, quantity)
    assert sum(values) == amount
    assert max(values) - min(values) <= 1


@given(st.integers(1, 10**7), st.integers(1, 100) | st.none(), st.integers(1, 10**7))
def test_a_voucher_never_adds_and_never_leaves_less_than_can_be_charged(
    amount: int, percent: int | None, off: int
) -> None:
    voucher = Voucher(uuid.UUID(int=0), percent, None if percent else off)
    left = voucher.off(amount)
    assert left <= amount
    assert left >= min(amount, LEAST_AMOUNT)
