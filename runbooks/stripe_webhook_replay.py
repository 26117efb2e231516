"""`python -m runbooks.stripe_webhook_replay`: events that Stripe could not deliver, recorded as if they had arrived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel, StringConstraints, ValidationError

from runbooks import _kit as kit
from runbooks._kit import postgresql
from runbooks._kit.postgresql import Database, Row

# Ids and types of Stripe are words (Stripe API Reference, "Event object").
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.]+$", max_length=255)]
_SERVICE = "payment"
_SUBJECT = ("intent", "object")
_KNOWN = "SELECT id, processed_at IS NOT NULL AS settled FROM webhook_events WHERE id = ANY(CAST(:ids AS text[]))"
# As services/payment/adapters/webhooks.py records one that arrives.
_RECORD = """
  INSERT INTO webhook_events (id, type, intent_id, object_id) VALUES (:id, :type, :intent, :object)
  ON CONFLICT DO NOTHING RETURNING id"""


class About(BaseModel):
    """The object of an event: what it is, and nothing of what it says, which may be old by now."""

    object: str
    id: Name | None = None
    payment_intent: Name | None = None

    @property
    def subject(self) -> tuple[str | None, str | None]:
        """The intent that it is about, else the transfer or payout that it is."""
        if self.object in ("transfer", "payout"):
            return None, self.id
        return (self.id if self.object == "payment_intent" else self.payment_intent), None


class Data(BaseModel):
    """The part of an event that holds its object."""

    object: About


class Event(BaseModel):
    """An event of Stripe."""

    object: Literal["event"]
    id: Name
    type: Name
    created: datetime
    livemode: bool
    data: Data


class Events(BaseModel):
    """A list as Stripe's API and its CLI write it."""

    data: list[Event]


@dataclass(frozen=True, slots=True)
class Found:
    """The events of the files, the oldest first, and what payment knows of them."""

    events: Sequence[Event]
    known: Mapping[str, bool]

    @property
    def missing(self) -> list[Event]:
        return [event for event in self.events if event.id not in self.known]

    def tables(self) -> list[kit.Table]:
        states = {True: "settled", False: "waits", None: "missing"}
        rows = [
            (each.id, each.type, each.created.isoformat(), next(filter(None, each.data.object.subject), ""),
             "live" if each.livemode else "test", states[self.known.get(each.id)])
            for each in self.events
        ]  # fmt: skip
        return [kit.Table("events", ("event", "type", "created", "about", "mode", "state"), rows)]


@dataclass(frozen=True, kw_only=True)
class StripeWebhookReplay(kit.Runbook[Found]):
    """Record events that Stripe could not deliver, so that payment looks at what they are about, the oldest first.

    An event is only a reason to look: payment fetches the present truth with its own key. So no key of Stripe is needed
    here, and nothing that a file says of amounts or states is believed.
    """

    cap = 100

    events: Annotated[
        list[Path],
        typer.Option(
            exists=True,
            dir_okay=False,
            help="What `stripe events list --delivery-success=false` wrote; may be repeated.",
        ),
    ]

    def check(self, target: kit.Target) -> Found:
        events = {event.id: event for file in self.events for event in _read(file)}
        if len({event.livemode for event in events.values()}) > 1:
            raise kit.Refused("the files have events of Stripe's live and of its test mode: give those of one of them")
        with postgresql.connected(target, _SERVICE) as database:
            return Found(sorted(events.values(), key=lambda event: (event.created, event.id)), _known(database, events))

    def plan(self, findings: Found) -> list[kit.Action]:
        return [
            kit.Action(
                id=f"record {event.id}",
                what=f"record {event.id} of {event.created.isoformat()}: {event.type}",
                before={
                    "id": event.id,
                    "type": event.type,
                    **dict(zip(_SUBJECT, event.data.object.subject, strict=True)),
                },
                after={"recorded": True},
                no_undo="an event is only a reason to look, and is looked at once",
            )
            for event in findings.missing
        ]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        with postgresql.connected(target, _SERVICE) as database:
            new = database.rows(_RECORD, **action.before)
        return {"new": bool(new)}

    def verify(self, target: kit.Target) -> list[kit.Check]:
        found = self.check(target)
        missing = ", ".join(event.id for event in found.missing)
        waiting = sum(not settled for settled in found.known.values())
        return [kit.Check("every event is recorded", not missing, missing or f"{waiting} of them wait to be settled")]


def _known(database: Database, ids: Mapping[str, Event]) -> dict[str, bool]:
    rows: list[Row] = database.rows(_KNOWN, ids=list(ids))
    return {row["id"]: row["settled"] for row in rows}


def _read(file: Path) -> list[Event]:
    """Raises Refused for what is no list of events."""
    try:
        return Events.model_validate_json(file.read_bytes()).data
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise kit.Refused(
            f"{file} is no list of Stripe's events ({where}: {first['msg']}): write it with "
            "`stripe events list --delivery-success=false --limit 100 > FILE`"
        ) from error


app = kit.command(StripeWebhookReplay)
if __name__ == "__main__":
    app()
