"""Errors in a log: what kind, where, and by which code, but not what they say.

An error's text quotes what it is about: PostgreSQL shows the row that failed, asyncpg the argument, pydantic the input,
an HTTP client the address. Only errors of our own classes are told whole: their texts are ours, and name ids of things.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from types import TracebackType

import asyncpg
from botocore.exceptions import ClientError
from pydantic import ValidationError

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def told(error: BaseException) -> str:
    """An error in one line."""
    kind = type(error)
    if kind.__module__.startswith("services."):
        return f"{kind.__name__}: {error}"
    known = ", ".join(_known(error))
    return f"{kind.__name__}({known}){_place(error.__traceback__)}"


def _known(error: BaseException) -> Iterator[str]:
    if isinstance(error, asyncpg.PostgresError):
        yield from filter(None, (error.sqlstate, error.table_name, error.column_name, error.constraint_name))
    elif isinstance(error, ClientError):
        yield f"{error.response.get('Error', {}).get('Code')} of {error.operation_name}"
    elif isinstance(error, ValidationError):
        yield f"{error.title}: {', '.join(sorted({fault['type'] for fault in error.errors(include_input=False)}))}"
    elif isinstance(error, OSError) and error.strerror:
        yield error.strerror
    # Providers' own names for what is wrong: Stripe's and Novu's clients have them.
    for name in ("code", "status_code"):
        code = getattr(error, name, None)
        if isinstance(code, (str, int)) and _CODE.fullmatch(str(code)):
            yield str(code)


def _place(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    ours = [frame for frame in frames if "/services/" in frame.filename] or frames
    return f" at {ours[-1].filename.rpartition('/')[2]}:{ours[-1].lineno}" if ours else ""


def rendered(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """A traceback with what led to it, outermost error last, as Python prints it but for the texts."""
    return "\n".join(_chain(exc_info[1]))


def _chain(error: BaseException) -> Iterator[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _chain(before)
        yield "led to"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip()
    yield told(error)
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield "with"
            yield from _chain(each)
