"""What is known of each preview, in Parameter Store: it outlives a stack that is half made or half gone.

A record is at once the claim to a place at the environment's balancer: Parameter Store lets one of two writers have a
new name, so two previews never meet there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from components.preview_names import check
from stacks.preview import PLACES

TAG = "Preview"


class State(StrEnum):
    """How a preview is. ``STUCK``: a destroy did not end; nothing but another one takes it away."""

    MAKING = "making"
    UP = "up"
    BROKEN = "broken"
    STUCK = "stuck"


class Record(BaseModel):
    """One preview. Its time counts from ``active``, when somebody last brought it up, or extended it."""

    model_config = ConfigDict(frozen=True)

    name: str
    place: int
    pull_request: int | None = None
    who: str
    created: datetime
    active: datetime
    hours: float = Field(gt=0)
    kept: bool = False
    state: State = State.MAKING
    reason: str = ""
    """Why it is broken or stuck."""

    @property
    def expires(self) -> datetime:
        return self.active + timedelta(hours=self.hours)

    def with_(self, **changed: Any) -> Record:
        """The same but for ``changed``."""
        return self.model_copy(update=changed)


class Full(RuntimeError):
    """Every place is taken."""


class Taken(RuntimeError):
    """Somebody else is making the same preview at this moment."""


class Records:
    """The previews of one environment; ``ssm`` is a client of Systems Manager."""

    def __init__(self, ssm: Any, host: str) -> None:
        self._ssm, self._folder = ssm, f"/{host}/previews"

    def all(self) -> list[Record]:
        """Every record, by place."""
        pages = self._ssm.get_paginator("get_parameters_by_path").paginate(Path=self._folder, Recursive=True)
        found = [Record.model_validate_json(one["Value"]) for page in pages for one in page["Parameters"]]
        return sorted(found, key=lambda one: one.place)

    def find(self, name: str) -> Record | None:
        """The record of that preview."""
        return next((one for one in self.all() if one.name == name), None)

    def claim(self, name: str, *, who: str, hours: float, pull_request: int | None, kept: bool) -> Record:
        """The preview's record, as being made from now on, with the lowest place that is free if it is new.

        Raises ValueError for a name that none may have, Full, and Taken.
        """
        check(name)
        now, known = datetime.now(UTC), self.all()
        before = next((one for one in known if one.name == name), None)
        if before is not None:
            again = before.with_(active=now, hours=hours, kept=kept, who=who, state=State.MAKING, reason="")
            self.write(again)
            return again
        taken = {one.place for one in known}
        for place in (place for place in range(PLACES) if place not in taken):
            made = Record(
                name=name, place=place, who=who, hours=hours, pull_request=pull_request, kept=kept,
                created=now, active=now,
            )  # fmt: skip
            try:
                self._ssm.put_parameter(
                    Name=self._name(place),
                    Description="A preview: who has it, and until when",
                    Type="String",
                    Value=made.model_dump_json(),
                    Tags=[{"Key": TAG, "Value": name}],
                )
            except self._ssm.exceptions.ParameterAlreadyExists:
                continue
            return self._alone(made)
        raise Full(
            f"all {PLACES} places for previews are taken ({', '.join(one.name for one in known)}): take one down with "
            "`eventctl preview down`, or the due ones with `eventctl preview reap`"
        )

    def write(self, record: Record) -> None:
        """Replace what is known of it."""
        value = record.model_dump_json()
        self._ssm.put_parameter(Name=self._name(record.place), Type="String", Value=value, Overwrite=True)

    def remove(self, record: Record) -> None:
        """Forget it; its place is free."""
        self._ssm.delete_parameter(Name=self._name(record.place))

    def _alone(self, made: Record) -> Record:
        """Of two that claim one name at once, the lower place has it."""
        same: Sequence[int] = [one.place for one in self.all() if one.name == made.name]
        if min(same, default=made.place) < made.place:
            self.remove(made)
            raise Taken(f"somebody else is making {made.name} at this moment; look at `eventctl preview list`")
        return made

    def _name(self, place: int) -> str:
        return f"{self._folder}/{place:02}"
