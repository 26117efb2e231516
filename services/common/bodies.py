"""The base of request and response bodies: camelCase in JSON, unknown fields refused; and kinds of their values.

JSON's types are kept apart: `true` is no number, `1893456000` and `"1"` are no time and no number.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Strict
from pydantic.alias_generators import to_camel


class Body(BaseModel):
    """A JSON body."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True
    )


# RFC 3339, as far as it tells a time from a number or a date; the rest is pydantic's to check.
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")
# Years that every time zone and PostgreSQL can hold.
_FIRST, _LAST = 1970, 2999


def _spelt_out(value: Any) -> Any:
    if not isinstance(value, datetime) and not (isinstance(value, str) and _TIME.match(value)):
        raise ValueError("must be a date and time with its offset, like 2030-05-01T20:00:00+02:00")
    return value


def _within_reach(value: datetime) -> datetime:
    if not _FIRST <= value.year <= _LAST:
        raise ValueError(f"must be of the years {_FIRST} to {_LAST}")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_spelt_out), AfterValidator(_within_reach)]
Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
