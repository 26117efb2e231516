"""`eventctl release`: what ran when, what runs where, bringing an environment to other images, and going back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError

from runbooks._kit import Refused
from scripts.cli import canary, console, image
from scripts.cli.here import Environment, Local, looked_at
from scripts.cli.update import AsJson, StackName, explained, opened
from scripts.deployment import Deployment
from scripts.images import registry
from scripts.images.build import CannotBuild
from scripts.local.platform import lifecycle
from scripts.local.platform.layout import Layout
from scripts.releases.deploy import deploy
from scripts.releases.history import NoRelease, Release, history, to_go_back_to
from scripts.releases.whereabouts import places
from scripts.toolchain import pulumi

app = typer.Typer(no_args_is_help=True, help="Releases: the images and the saga that belong together.")
Apply = Annotated[bool, typer.Option("--apply", help="Make the changes; without it they are only planned.")]


@app.command("list")
def show_all(environment: Environment = "", _local: Local = False, as_json: AsJson = False) -> None:
    """List the releases of an environment, the newest first; the first line is what runs."""
    with _explained():
        found = history(looked_at(environment).client("ssm"), environment)
    if as_json:
        console.as_json([asdict(each) for each in found])
        return
    services = sorted({service for each in found for service in each.images})
    console.table(
        ["release", "at", "by", *services, "saga"],
        [
            [
                *(str(each.number), f"{each.at:%Y-%m-%d %H:%M}", each.by),
                *(short(each.images.get(service, "")) for service in services),
                short(each.saga),
            ]
            for each in found
        ],
    )


@app.command()
def show(environment: Environment = "", _local: Local = False, as_json: AsJson = False) -> None:
    """Show what runs where: processes, saga and schemas, as they are. Exit 1 when something is not as released."""
    with _explained():
        target = looked_at(environment)
        release = history(target.client("ssm"), environment)[0]
        found = list(places(target, release))
    if as_json:
        console.as_json([{**asdict(each), "differs": each.differs} for each in found])
    else:
        console.out.print(f"release {release.number} of {environment}, {release.at:%Y-%m-%d %H:%M}", highlight=False)
        console.table(
            ["service", "part", "runs", "ready", "released"],
            [
                [each.service, each.part, short(each.runs), each.ready, short(each.recorded) if each.differs else ""]
                for each in found
            ],
        )
    if any(each.differs for each in found):
        raise typer.Exit(1)


@app.command("deploy")
def deploy_(
    images: image.ImagesFile,
    stack: StackName,
    allow_replace: Annotated[
        list[str] | None, typer.Option(help="URN of a stateful resource that may be replaced or deleted; repeatable.")
    ] = None,
    apply: Apply = False,
    _local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Bring STACK to the images of a file, under every policy; the stack file says so in the end: commit it.

    `eventctl image verify` asks whether they were signed. Exit 0 done, 1 failed, 2 refused.
    """
    found: dict[str, str] = {service: url.rsplit("@", 1)[1] for service, url in image.read(images).items()}
    _bring(stack, found, local=_local, apply=apply, allowed=allow_replace or [], as_json=as_json)


@app.command()
def rollback(
    stack: StackName,
    to: Annotated[int | None, typer.Option(help="A release's number; the one before this one without.")] = None,
    apply: Apply = False,
    _local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Bring STACK back to the images of a release before. A schema that has lost what they use refuses them.

    Exit 0 done, 1 failed, 2 refused.
    """
    with _explained():
        release = to_go_back_to(history(looked_at(stack).client("ssm"), stack), to)
    _say(release)
    _bring(stack, release.images, local=_local, apply=apply, allowed=[], as_json=as_json)


@app.command("canary")
def canary_(images: image.ImagesFile, stack: StackName, apply: Apply = False, as_json: AsJson = False) -> None:
    """Bring STACK to the images of a file service by service, each tried on a few visitors first, which promotes it.

    The first that is taken back ends it. Exit 0 done, 1 failed, 2 refused, 3 taken back.
    """
    with _explained():
        released = history(looked_at(stack).client("ssm"), stack)[0].images
    found = {service: url.rsplit("@", 1) for service, url in image.read(images).items()}
    new = {service: place for service, place in found.items() if released.get(service) != place[1]}
    if not apply:
        what = ", ".join(f"{service} {short(place[1])}" for service, place in new.items()) or "nothing"
        console.out.print(f"{stack}: a canary of {what}; nothing was changed, --apply starts them", highlight=False)
        return
    for service, (repository, digest) in new.items():
        canary.start(service, digest, environment=stack, as_json=as_json)
        with _explained():
            make: Any = boto3.client
            registry.keep(make("ecr"), repository, digest)


def _say(release: Release) -> None:
    images = ", ".join(f"{service} {short(digest)}" for service, digest in sorted(release.images.items()))
    console.err.print(f"back to release {release.number} of {release.at:%Y-%m-%d %H:%M}: {images}", highlight=False)


def _bring(
    stack: str, images: Mapping[str, str], *, local: bool, apply: bool, allowed: list[str], as_json: bool
) -> None:
    with explained(), _explained(), console.progress() as progress:
        deployment = _deployment(stack, progress, local=local)
        changes = deploy(deployment, images, progress.say, apply=apply, allowed=allowed)
        if apply:
            outputs = deployment.outputs()
            make: Any = boto3.client
            ecr = make("ecr", region_name=outputs["region"])
            for service, digest in images.items():
                registry.keep(ecr, outputs["repositoryUrls"][service], digest)
    if as_json:
        console.as_json(changes)
    else:
        what = f"{stack}: {console.counts(changes) or 'no changes'}"
        done = f"; commit {deployment.file.name}" if not local else ""
        console.out.print(what + (done if apply else "; nothing was changed, --apply makes it so"), highlight=False)


def _deployment(stack: str, progress: console.Progress, *, local: bool) -> Deployment:
    if local:
        return lifecycle.running_stack(Layout.default(), pulumi.obtain(progress.say))
    return opened(stack, progress)


def short(name: str) -> str:
    """The first characters of a digest, the last part of an ARN."""
    return name.removeprefix("sha256:")[:12] if name.startswith("sha256:") else name.rsplit(":", 1)[-1]


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (NoRelease, Refused) as error:
        console.fail(str(error), code=2)
    except CannotBuild as error:
        console.fail(str(error))
    except (BotoCoreError, ClientError) as error:
        console.fail(f"AWS refuses: {error}")
