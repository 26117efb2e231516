"""A back end that does not answer is left alone, and asked once before everybody asks again."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY

from services.common.breaker import Breaker, CircuitOpen, State


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("test", (ConnectionError,), failures=3, seconds=10, clock=clock)


async def call(breaker: Breaker, error: BaseException | None = None) -> None:
    async with breaker.watching():
        if error is not None:
            raise error


async def lose(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ConnectionError):
            await call(breaker, ConnectionError())


async def test_it_opens_after_so_many_failures_in_a_row(breaker: Breaker) -> None:
    await lose(breaker, 2)
    await call(breaker)
    await lose(breaker, 3)
    with pytest.raises(CircuitOpen):
        await call(breaker)
    assert REGISTRY.get_sample_value("circuit_breaker_state", {"backend": "test"}) == State.OPEN


async def test_a_refusal_is_an_answer(breaker: Breaker) -> None:
    await lose(breaker, 2)
    with pytest.raises(ValueError, match="no"):
        await call(breaker, ValueError("no"))
    await lose(breaker, 2)
    assert breaker.state is State.CLOSED


async def test_one_probe_finds_out_for_all(breaker: Breaker, clock: Clock) -> None:
    await lose(breaker, 3)
    clock.now = 10.0
    answer = asyncio.Event()

    async def probe() -> None:
        async with breaker.watching():
            await answer.wait()

    probing = asyncio.create_task(probe())
    await asyncio.sleep(0)
    with pytest.raises(CircuitOpen):
        await call(breaker)
    answer.set()
    await probing
    await call(breaker)


async def test_a_probe_that_fails_opens_it_again(breaker: Breaker, clock: Clock) -> None:
    await lose(breaker, 3)
    clock.now = 10.0
    await lose(breaker, 1)
    clock.now = 19.9
    with pytest.raises(CircuitOpen):
        await call(breaker)


async def test_a_probe_that_is_cancelled_makes_room_for_another(breaker: Breaker, clock: Clock) -> None:
    await lose(breaker, 3)
    clock.now = 10.0
    with pytest.raises(asyncio.CancelledError):
        await call(breaker, asyncio.CancelledError())
    await call(breaker)
    assert breaker.state is State.CLOSED
