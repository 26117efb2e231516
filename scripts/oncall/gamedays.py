"""A game day: a fault is made, its alarm rings, the runbook that the alarm names mends it, and the alarm clears."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from runbooks._kit.model import Exit
from runbooks._kit.target import Target
from scripts.local.platform import parts
from scripts.local.platform.layout import Layout
from scripts.local.processes import eventually
from scripts.oncall.faults import FAULTS, World
from scripts.oncall.lights import State
from scripts.oncall.prometheus import Prometheus
from scripts.oncall.sights import Screen

Say = Callable[[str], None]


class Missed(RuntimeError):
    """A game day did not go as it should: the message says which step, and what happened instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GameDay:
    """``alarm`` is how the name of the alarm begins; ``options`` go to the runbook.

    ``patience`` is how long the alarm may take to ring, and to clear, in seconds: alarms of the local platform are
    twelve times as fast as CloudWatch's. With ``waits`` the runbook has to say that nobody but AWS can mend it; then
    AWS does, and the runbook verifies that.
    """

    name: str
    alarm: str
    runbook: str
    options: tuple[str, ...] = ()
    patience: int = 120
    waits: bool = False

    @property
    def about(self) -> str:
        """What goes wrong, in words."""
        return (FAULTS[self.name].__doc__ or "").strip()


GAMEDAYS = (
    GameDay(
        name="connections-exhausted",
        alarm="booking-database-connections",
        runbook="database_connections_exhausted",
        options=("--service", "booking", "--older-than", "5", "--max-actions", "200"),
    ),
    # A row that was tried in vain is tried again after five minutes at most (services/common/outbox.py).
    GameDay(name="broker-down", alarm="EventsStalled", runbook="broker_partition", patience=400, waits=True),
    GameDay(name="poison-message", alarm="broker-payment-orders-dead", runbook="dead_letter_redrive"),
    GameDay(name="command-nobody-reads", alarm="saga-booking-dead-letters", runbook="dead_letter_redrive"),
    GameDay(name="tickets-refused", alarm="saga-parked", runbook="stuck_saga"),
    # Booking audits its pools every five minutes.
    GameDay(name="counters-lost", alarm="Oversold", runbook="oversell_audit", options=("--correct",), patience=400),
    GameDay(name="answers-lost", alarm="saga-parked", runbook="stuck_saga"),
    GameDay(name="bad-canary", alarm="booking-canary", runbook="canary_abort", options=("--service", "booking")),
    GameDay(
        name="secret-not-rotated",
        alarm="rotation-postgresql-errors",
        runbook="secret_rotation",
        options=("--secret", "booking-database", "--discard-pending"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a game day measured, in seconds: from the fault to its alarm, from the alarm to the end of the runbook, and
    from there until the alarm cleared. ``actions`` is how many the runbook took.
    """

    name: str
    about: str
    alarm: str
    runbook: str
    to_alarm: float
    to_mended: float
    to_clear: float
    actions: int


def play(day: GameDay, layout: Layout, say: Say) -> Result:
    """Play ``day`` on the platform that this process points to. Raises Missed; the fault is removed in any case."""
    target = Target.open(boto3.Session(), parts.ENVIRONMENT)
    screen = Screen(target, Prometheus.found(target))
    if light := _ringing(screen, day):
        raise Missed(f"{light} rings already; mend that first, or wait until it clears")
    with ExitStack() as fault:
        began = time.monotonic()
        fault.enter_context(FAULTS[day.name](World(target, layout)))
        say(f"{day.about} Waiting for {day.alarm}")
        if not eventually(lambda: bool(_ringing(screen, day)), timeout=day.patience, every=1):
            raise Missed(f"{day.alarm} did not ring within {day.patience} s")
        rang = time.monotonic()
        say(f"{_ringing(screen, day)} rings after {rang - began:.0f} s; running {day.runbook}")
        actions = _waited(day, fault.close) if day.waits else _mend(day)
        mended = time.monotonic()
        say(f"{day.runbook} took {len(actions)} actions and verified them, {mended - rang:.0f} s after the alarm")
        if not eventually(lambda: not _ringing(screen, day), timeout=day.patience, every=1):
            raise Missed(f"{day.alarm} still rings {day.patience} s after {day.runbook} was done")
        cleared = time.monotonic()
    return Result(
        name=day.name,
        about=day.about,
        alarm=day.alarm,
        runbook=day.runbook,
        to_alarm=round(rang - began, 1),
        to_mended=round(mended - rang, 1),
        to_clear=round(cleared - mended, 1),
        actions=len(actions),
    )


def _ringing(screen: Screen, day: GameDay) -> str:
    """The full name of the alarm that rings for ``day``; it must name the runbook. Empty when none does."""
    for light in (*screen.alarms(), *screen.alerts()):
        if light.state is not State.GOOD and light.name.startswith(day.alarm):
            if light.runbook != day.runbook:
                raise Missed(f"{light.name} leads to {light.runbook or 'no runbook'}, not to {day.runbook}")
            return light.name
    return ""


def _mend(day: GameDay) -> list[Mapping[str, Any]]:
    """Read the dry run, confirm it, verify; returns the actions. As somebody on call would type it."""
    shown = _run(day)
    if not shown["actions"]:
        raise Missed(f"{day.runbook} found nothing to do")
    applied = _run(day, "--apply", "--confirm", shown["id"], "--ticket", f"GAME-DAY {day.name}")
    _run(day, "--verify")
    actions: list[Mapping[str, Any]] = applied["actions"]
    return actions


def _waited(day: GameDay, over: Callable[[], None]) -> list[Mapping[str, Any]]:
    """Be told to wait, and once it is over have that verified; no action is taken."""
    done = _started(day)
    if done.returncode != Exit.REFUSED:
        raise Missed(f"{day.runbook} should say that nothing helps but to wait; {_said(done)}")
    over()
    _run(day, "--verify")
    return []


def _run(day: GameDay, *more: str) -> Any:
    done = _started(day, *more)
    if done.returncode:
        raise Missed(f"{day.runbook} {' '.join(more)}: {_said(done)}")
    return json.loads(done.stdout)


def _started(day: GameDay, *more: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("eventctl")), "runbook", "run", day.runbook, "--local", "--json"]
    return subprocess.run(
        [*command, *day.options, *more], capture_output=True, text=True, check=False, env=dict(os.environ)
    )


def _said(done: subprocess.CompletedProcess[str]) -> str:
    said = json.loads(done.stdout)["outcome"] if done.stdout.startswith("{") else done.stderr[-2000:]
    return f"it ended with {done.returncode}: {said}"
