"""`eventctl canary`: try a release on a few visitors, and have it promoted or taken back by what it does."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import boto3
import httpx
import typer
from botocore.exceptions import BotoCoreError, ClientError
from kubernetes.client import ApiException

from components.canary_spec import Step
from runbooks._kit.model import Refused
from runbooks._kit.target import Target
from scripts.canary.driver import SETTLES, Outcome, Say
from scripts.canary.lease import State
from scripts.canary.world import Release, World
from scripts.cli import console
from scripts.cli.here import Environment, Local
from scripts.cli.update import opened
from scripts.deployment import Failed
from scripts.guard import Refused as Unsafe
from scripts.local.monitoring.prometheus import SPEED
from scripts.local.platform import lifecycle
from scripts.local.platform.layout import Busy, Layout
from scripts.releases.deploy import deploy
from scripts.toolchain import pulumi
from scripts.toolchain.cache import CannotObtain

app = typer.Typer(no_args_is_help=True, help="Try a release on a few visitors; promote it or take it back.")
TAKEN_BACK = 3
_AWAY = (ApiException, BotoCoreError, ClientError, httpx.HTTPError)

Service = Annotated[str, typer.Argument(help="booking, payment or notification.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]


@app.command()
def start(
    service: Service,
    image: Annotated[str, typer.Option(help="The release: the digest of its image, sha256:…")],
    environment: Environment = "local",
    local: Local = False,
    step: Annotated[
        list[str] | None,
        typer.Option(
            help="Thousandths of the visitors, and for how many seconds: 50:300. Repeat it; default: the spec's."
        ),
    ] = None,
    deadline: Annotated[
        float | None, typer.Option(min=1, help="Seconds of a step without enough requests to be judged by.")
    ] = None,
    pace: Annotated[
        float | None, typer.Option(min=1, help="How many times as fast as said; on this machine 12, else 1.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start a canary and run it to its end. Ctrl-C takes it back; so does the stack when this machine dies.

    Exit 0 promoted, 1 failed, 2 refused, 3 taken back.
    """
    with _explained():
        world = _world(environment, service)
        steps = [_step(each) for each in step] if step else world.spec.steps
        spec = dataclasses.replace(world.spec, steps=steps)
        state = world.begin(
            image,
            spec.steps,
            pace=pace or (SPEED if local else 1.0),
            deadline=deadline or spec.deadline_seconds,
        )
        _run(world, state, local, as_json)


@app.command()
def resume(
    service: Service,
    environment: Environment = "local",
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Go on with a canary: one that is paused, by whoever runs it; else here, with whatever another machine left.

    Exit as `start`.
    """
    with _explained():
        world = _world(environment, service)
        state = _under_way(world)
        lease = world.lease(state.pace)
        if state.paused and state.held:
            lease.wish("resume")
            console.err.print("whoever runs the canary is told to go on")
            return
        _run(world, lease.take(state), local, as_json)


@app.command()
def pause(service: Service, environment: Environment = "local", local: Local = False) -> None:
    """Stay at the step that the canary is in; it is judged all the same."""
    _wish("pause", environment, service)


@app.command()
def promote(service: Service, environment: Environment = "local", local: Local = False) -> None:
    """Leave out the steps that are left, and make the canary everybody's."""
    _wish("promote", environment, service)


@app.command()
def abort(service: Service, environment: Environment = "local", local: Local = False, as_json: AsJson = False) -> None:
    """Lead everybody back to the stable release, end the lease, and take the canary's pods away; safe to repeat."""
    with _explained():
        world = _world(environment, service)
        lease = world.lease()
        if (state := lease.state()) and state.held:
            lease.end("a person aborted it")
        world.route.stable_alone()
        time.sleep(SETTLES)
        world.pods.delete()
        _show(world, as_json)


@app.command()
def status(service: Service, environment: Environment = "local", local: Local = False, as_json: AsJson = False) -> None:
    """Show who gets which release, how its pods are, and who answers for it."""
    with _explained():
        _show(_world(environment, service), as_json)


def _world(environment: str, service: str) -> World:
    return World.of(Target.open(boto3.Session(), os.environ.get("ENVIRONMENT", environment)), service)


def _under_way(world: World) -> State:
    state = world.lease().state()
    if state is None:
        raise Refused(f"no canary of {world.service} is under way: {world.lease().text()}")
    return state


def _wish(what: str, environment: str, service: str) -> None:
    with _explained():
        world = _world(environment, service)
        if not _under_way(world).held:
            raise Refused(f"nobody runs the canary of {service} any more: `eventctl canary resume {service}` does")
        world.lease().wish(what)
        console.err.print(f"whoever runs the canary is told to {what}")


def _step(text: str) -> Step:
    weight, _, seconds = text.partition(":")
    try:
        return Step(weight=int(weight), seconds=int(seconds))
    except ValueError as error:
        raise Refused(f"--step {text}: thousandths and seconds, like 50:300; {error}") from error


def _run(world: World, state: State, local: bool, as_json: bool) -> None:
    with console.progress() as progress:
        release = _on_this_machine(world) if local else _by_the_stack(world, progress)
        outcome, why = world.driver(state, release, progress.say).run(state)
    if as_json:
        console.as_json({"run": state.run, "outcome": outcome, "why": why})
    else:
        console.out.print(f"{outcome}: {why}")
    if outcome is Outcome.TAKEN_BACK:
        raise typer.Exit(TAKEN_BACK)


def _by_the_stack(world: World, progress: console.Progress) -> Release:
    """As any release is deployed; the stack's file in the checkout names the new image from now on: commit it."""
    deployment = opened(world.target.identity.environment, progress)

    def release(digest: str, say: Say) -> None:
        deploy(deployment, {world.service: digest}, say, apply=True)

    return release


def _on_this_machine(world: World) -> Release:
    def release(digest: str, say: Say) -> None:
        layout = Layout.default()
        with layout.locked():
            stack = lifecycle.running_stack(layout, pulumi.obtain(say))
            stack.use_images({world.service: digest})
            stack.up(say)

    return release


def _show(world: World, as_json: bool) -> None:
    shown = world.shown()
    if as_json:
        console.as_json(shown)
    else:
        console.table(["canary", world.service], [[name, _plain(value)] for name, value in shown.items()])


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    return "" if value is None else str(value)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what can go wrong into one clear line and an exit code."""
    try:
        yield
    except typer.Exit:
        # One of these, too, is a RuntimeError.
        raise
    except (Refused, Unsafe, Busy) as error:
        console.fail(str(error), code=2)
    except (*_AWAY, CannotObtain, Failed, RuntimeError, ValueError) as error:
        console.fail(str(error))
    except KeyboardInterrupt:
        console.fail("interrupted", code=130)
