"""A preview's life: up, extended, down. Each step can be repeated, and what failed is written down where it is seen."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from scripts.cost.estimate import estimate
from scripts.deployment import Failed, Say
from scripts.local.platform.status import NotDeployed
from scripts.previews import smoke
from scripts.previews.home import Home, NotTakenBack
from scripts.previews.records import Record, State
from scripts.purchase import NotBought


class Unknown(LookupError):
    """There is no such preview."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody asks for; without ``images`` it runs what is the home's default."""

    name: str
    hours: float
    pull_request: int | None = None
    kept: bool = False
    images: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One that is up: ``monthly`` is what it costs in US dollars if it stays for a month, ``logs`` a command."""

    name: str
    url: str
    api: str
    expires: str
    monthly: float
    logs: str
    order: str
    ticket: str


def up(home: Home, wanted: Wanted, say: Say) -> Preview:
    """Make the preview or bring it up to date, and buy a ticket from it. Its time starts anew.

    Raises ValueError, Full, Taken, NoHost; Failed and NotBought once its record says that it is broken.
    """
    function = home.offer["function"]
    fresh = wanted.name not in home.stacks()
    record = home.records.claim(
        wanted.name,
        who=getpass.getuser(),
        hours=wanted.hours,
        pull_request=wanted.pull_request,
        kept=wanted.kept,
    )
    try:
        images = wanted.images or home.images(say)
        deployment = home.open(wanted.name, say, place=record.place, images=images)
        # A plan of what is new would say what making it says.
        (deployment.make if fresh else deployment.up)(say)
        outputs = deployment.outputs()
        say("trying it out")
        api = home.api(outputs, "booking")
        bought = smoke.buy(api, home.token(), say)
    except BaseException as error:
        home.records.write(record.with_(state=State.BROKEN, reason=_reason(error)))
        raise
    done = record.with_(state=State.UP, active=datetime.now(UTC))
    home.records.write(done)
    return Preview(
        name=done.name,
        url=outputs["url"],
        api=api,
        expires=done.expires.isoformat(timespec="minutes"),
        monthly=round(estimate(deployment.export()).total, 2),
        logs=f"kubectl --namespace {outputs['namespace']} logs deploy/booking-api; the stores' part: {function}",
        order=bought.order,
        ticket=bought.ticket,
    )


def extend(home: Home, name: str, *, hours: float | None, kept: bool | None) -> Record:
    """Count its time from now, as long as before or ``hours``; ``kept`` it stays whatever happens. Raises Unknown."""
    record = home.records.find(name)
    if record is None:
        raise Unknown(f"{home.host} knows no preview {name!r}; `eventctl preview list` has those that there are")
    changed = record.with_(
        active=datetime.now(UTC),
        hours=record.hours if hours is None else hours,
        kept=record.kept if kept is None else kept,
    )
    home.records.write(changed)
    return changed


def planned(home: Home, name: str, say: Say) -> list[str]:
    """What `down` would delete: URNs of its stack. Raises Unknown when nothing says that it ever was."""
    if name not in home.stacks():
        if home.records.find(name) is None and name not in home.tagged():
            raise Unknown(f"{home.host} has nothing of a preview {name!r}; `eventctl preview list` has what there is")
        return []
    resources = home.open(name, say).export().get("resources") or []
    return [each["urn"] for each in resources]


def down(home: Home, name: str, say: Say) -> None:
    """Destroy it in order, then what is left in the stores, its stack and, last, its record; nothing to do is fine.

    Raises Failed and NotTakenBack once its record says that it is stuck: then stack and record stay, for another try.
    """
    record = home.records.find(name)
    try:
        if name in home.stacks():
            home.open(name, say).destroy(say)
        say("closing its accounts at the stores")
        home.close(name)
    except (Failed, NotTakenBack) as error:
        if record:
            home.records.write(record.with_(state=State.STUCK, reason=_reason(error)))
        raise
    if record:
        home.records.remove(record)


def _reason(error: BaseException) -> str:
    """A few lines: a parameter holds 4 KB."""
    known = isinstance(error, Failed | NotBought | NotDeployed | NotTakenBack | httpx.HTTPError | OSError)
    return (str(error) if known else type(error).__name__)[:1000]
