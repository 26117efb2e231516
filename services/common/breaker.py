"""A circuit breaker: a back end that does not answer is left alone for a while, and then asked once.

Written here because the published ones for asyncio let every caller through at once when a circuit is half open, where
one should find out: aiobreaker 1.2.0, circuitbreaker 2.1.3 and purgatory 3.0.1 were read.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import IntEnum

from prometheus_client import Gauge

STATE = Gauge("circuit_breaker_state", "0 closed, 1 half open, 2 open", ["backend"])


class State(IntEnum):
    """CLOSED lets calls through, OPEN none, HALF_OPEN the one that finds out."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class CircuitOpen(Exception):
    """The call was not made."""


class Breaker:
    """Opens after ``failures`` in a row of the exceptions in ``lost``, and probes after ``seconds``."""

    def __init__(
        self,
        backend: str,
        lost: tuple[type[Exception], ...],
        *,
        failures: int = 10,
        seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend, self._lost, self._failures, self._seconds = backend, lost, failures, seconds
        self._clock, self._failed, self._opened_at = clock, 0, 0.0
        self._become(State.CLOSED)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Around one call. Raises CircuitOpen instead of letting it begin; any answer, also a refusal, is a success."""
        probing = self._enter()
        try:
            yield
        except self._lost:
            self._failed += 1
            if probing or self._failed >= self._failures:
                self._open()
            raise
        except Exception:
            self._become(State.CLOSED)
            raise
        except BaseException:  # cancelled: nothing is known, and a probe must not stay out for ever
            if probing:
                self._become(State.OPEN)
            raise
        else:
            self._become(State.CLOSED)

    def _enter(self) -> bool:
        """Whether the call that begins is the probe."""
        if self.state is State.CLOSED:
            return False
        if self.state is State.HALF_OPEN or self._clock() - self._opened_at < self._seconds:
            raise CircuitOpen(f"{self._backend} has not been answering; it is asked again soon")
        self._become(State.HALF_OPEN)
        return True

    def _open(self) -> None:
        self._opened_at = self._clock()
        self._become(State.OPEN)

    def _become(self, state: State) -> None:
        self.state = state
        if state is State.CLOSED:
            self._failed = 0
        STATE.labels(self._backend).set(state.value)
