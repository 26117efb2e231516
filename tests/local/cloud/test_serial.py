"""Moto is asked one thing at a time, and says what went wrong inside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from scripts.local.cloud.serial import one_at_a_time

POLL = {"HTTP_X_AMZ_TARGET": "AmazonSQS.ReceiveMessage"}


class Crowd:
    """An application that waits to be two: it answers whether it was."""

    def __init__(self) -> None:
        self._both = threading.Barrier(2)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            self._both.wait(timeout=0.3)
        except threading.BrokenBarrierError:
            return [b"alone"]
        return [b"together"]


def both(first: dict[str, Any], second: dict[str, Any]) -> list[Any]:
    application = one_at_a_time(Crowd())
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda environ: application(environ, print), [first, second]))


def test_two_requests_are_never_inside_moto_together() -> None:
    assert both({}, {}) == [[b"alone"], [b"alone"]]


def test_a_long_poll_keeps_nobody_waiting() -> None:
    assert both(POLL, {}) == [[b"together"], [b"together"]]


def test_a_mistake_of_motos_is_answered_with_what_it_was_and_lets_the_next_request_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def mistaken(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise RuntimeError("dictionary changed size during iteration")

    application, told = one_at_a_time(mistaken), []
    for _ in range(2):
        body = b"".join(application({}, lambda status, headers: told.append(status)))
        assert body == b"RuntimeError: dictionary changed size during iteration"
    assert told == ["500 Internal Server Error"] * 2
    assert "Traceback" in capsys.readouterr().err
