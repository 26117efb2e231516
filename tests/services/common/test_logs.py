"""An error's line says what kind it is, where, and by which code; what it quotes is never logged."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from typing import Any

import asyncpg
import httpx
import pydantic
import pytest
import stripe
import structlog
from botocore.exceptions import ClientError
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.common import faults, logs, runtime, telemetry
from services.common.inbox import StaleLease

MARK = "odile.marqueur@mail.example"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Logging as a process has it; what was logged since the last call, of which nothing has the mark."""
    root, hook, out, err = logging.getLogger(), sys.excepthook, io.StringIO(), io.StringIO()
    handlers, level = root.handlers, root.level

    def read() -> list[dict[str, Any]]:
        written = out.getvalue()
        assert MARK not in written + err.getvalue()
        out.truncate(0)
        out.seek(0)
        return [json.loads(line) for line in written.splitlines()]

    with redirect_stdout(out), redirect_stderr(err):
        logs.configure("test", "debug")
        structlog.configure(cache_logger_on_first_use=False)
        yield read
    root.handlers, sys.excepthook = handlers, hook
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


class Typed(pydantic.BaseModel):
    """What somebody might type."""

    model_config = pydantic.ConfigDict(extra="forbid")
    age: int


def raised(work: Callable[[], object]) -> Exception:
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def card_error() -> Exception:
    make: Callable[..., Exception] = stripe.CardError
    return make(MARK, None, "card_declined")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError(f"no number: {MARK}"), "ValueError()"),
        (KeyError(MARK), "KeyError()"),
        (
            raised(lambda: Typed.model_validate({"age": MARK, MARK: 1})),
            "ValidationError(Typed: extra_forbidden, int_",
        ),
        (
            ClientError({"Error": {"Code": "Throttling", "Message": MARK}}, "SendMessage"),
            "ClientError(Throttling of SendMessage)",
        ),
        (card_error(), "CardError(card_declined)"),
        (httpx.ConnectError(f"https://novu/{MARK}"), "ConnectError()"),
        (FileNotFoundError(2, "No such file", MARK), "FileNotFoundError(No such file)"),
        (StaleLease("execution/payment.capture: lost"), "StaleLease: execution/payment.capture: lost"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_told_by_kind_and_code(lines: Lines, error: Exception, told: str) -> None:
    logs.get("services.test").warning("it failed", error=error)
    logs.get("services.test").error("it failed", exc_info=error)
    short, long = lines()
    assert short["error"].startswith(told)
    assert told in long["exception"]


async def test_what_postgresql_quotes_of_a_row_or_an_argument_is_not_told(lines: Lines, booking: asyncpg.Pool) -> None:
    for statement, value, told in (
        ("INSERT INTO erased_people (person, erased_at) VALUES (NULL, $1::text::timestamptz)", MARK, "22007"),
        (
            "INSERT INTO idempotency_keys (principal, key, body_hash) VALUES ($1, '', '')",
            MARK,
            "23502, idempotency_keys",
        ),
        ("SELECT $1::uuid", MARK, "DataError(22000)"),
    ):
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as found:
            await booking.execute(statement, value)
        assert MARK in str(found.value), "the error itself quotes it"
        logs.get("services.test").error("it failed", error=found.value, exc_info=found.value)
        [line] = [line for line in lines() if line["event"] == "it failed"]
        assert told in line["error"]
        assert "test_logs.py" in line["exception"], "where it was is told"


def test_what_led_to_an_error_is_told_without_its_text(lines: Lines) -> None:
    def fail() -> None:
        try:
            raise ValueError(MARK)
        except ValueError as error:
            raise ExceptionGroup(MARK, [RuntimeError(MARK), OSError(MARK)]) from error

    logs.get("services.test").error("it failed", exc_info=raised(fail))
    [line] = lines()
    for told in ("ValueError()", "led to", "ExceptionGroup()", "with\n", "RuntimeError()", "in fail"):
        assert told in line["exception"], line["exception"]


async def test_asyncio_tells_of_a_lost_task_without_what_it_was_doing(lines: Lines) -> None:
    async def fail(_: str) -> None:
        raise ValueError(MARK)

    lost = asyncio.create_task(fail(MARK), name=MARK)
    await asyncio.wait([lost])
    del lost
    [line] = lines()
    assert line["event"] == "Task exception was never retrieved"
    assert "ValueError()" in line["exception"]


def test_libraries_log_warnings_alone_and_a_process_that_ends_by_an_error_says_so(lines: Lines) -> None:
    logging.getLogger("stripe").info("POST with %s", MARK)
    logging.getLogger("urllib3").debug("GET /%s", MARK)
    logs.get("services.test").debug("ours")
    error = raised(lambda: int(MARK))
    sys.excepthook(type(error), error, error.__traceback__)
    assert [line["event"] for line in lines()] == ["ours", "ended by an error"]


async def test_a_request_that_fails_is_logged_by_its_routes_template(lines: Lines) -> None:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> Any:
        yield

    app = runtime.application("test", lifespan)

    @app.get("/people/{name}")
    async def show(name: str) -> None:
        raise LookupError(name)

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        assert (await client.get(f"/people/{MARK}")).status_code == 500
    [line] = [line for line in lines() if line["event"] == "request failed"]
    assert (line["route"], line["method"]) == ("/people/{name}", "GET")
    assert "LookupError()" in line["exception"]


def test_a_span_keeps_the_kind_of_an_error_and_not_its_text() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry.install(provider)
    try:
        with pytest.raises(ValueError, match="odile"), telemetry.span("work", order="order-1"):
            raise ValueError(MARK)
    finally:
        telemetry.install(None)
    [span] = exporter.get_finished_spans()
    assert (span.status.is_ok, span.status.description) == (False, "ValueError")
    assert MARK not in span.to_json()


def test_an_errors_place_is_ours_where_it_passed_through_ours() -> None:
    error = raised(lambda: logs.configure("test", "nonsense"))
    assert faults.told(error).startswith("KeyError() at logs.py:")
