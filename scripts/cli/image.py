"""`eventctl image`: build the services' images, push them signed and with their bill of materials, copy them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter, ValidationError

from scripts.cli import console
from scripts.cli.here import Environment
from scripts.cli.update import AsJson, StackName, explained, opened
from scripts.images import registry
from scripts.images.build import CannotBuild, Commit, Recipe, build, push
from scripts.releases.history import NoRelease, history
from stacks.settings import SERVICES, ServiceName

app = typer.Typer(no_args_is_help=True, help="Images of the services, by digest: built, signed, copied.")
Images = dict[ServiceName, str]
FLAWED = 3
_FILE = TypeAdapter(Images)
ImagesFile = Annotated[
    Path, typer.Argument(help="What `eventctl image push --json` printed: service → URL@digest.", dir_okay=False)
]


@app.command("build")
def build_(
    service: Annotated[list[str] | None, typer.Argument(help="Services; all of them without.")] = None,
    base: Annotated[str, typer.Option(help="Another base image than the one that services/Dockerfile names.")] = "",
    authorities: Annotated[str, typer.Option(help="A file below services/ instead of RDS's certificates.")] = "",
    as_json: AsJson = False,
) -> None:
    """Build images for this machine, with docker or buildah; the same commit gives the same layers."""
    given = {name: value for name, value in (("PYTHON", base), ("AUTHORITIES", authorities)) if value}
    with _explained(), console.progress() as progress:
        commit = Commit.of(exactly=False)
        built = {
            name: build(Recipe(service=name, commit=commit, arguments=given), progress.say) for name in _known(service)
        }
    _tell(built, as_json)


@app.command("push")
def push_(
    stack: StackName,
    service: Annotated[list[str] | None, typer.Option(help="A service; repeatable; all of them without.")] = None,
    as_json: AsJson = False,
) -> None:
    """Build with docker's buildx, push to the repositories of STACK and sign; a commit that was pushed is not again."""
    with _explained(), explained(), console.progress() as progress:
        commit, (ecr, repositories) = Commit.of(), _registry(stack, progress)
        pushed = {}
        for name in _known(service):
            repository = repositories[name]
            digest = registry.digest(ecr, repository, commit.tag)
            if digest is None:
                digest = push(Recipe(service=name, commit=commit), repository, progress.say)
                registry.sign(repository, digest)
            pushed[name] = f"{repository}@{digest}"
            progress.done(f"{name} {digest}")
    _tell(pushed, as_json)


@app.command()
def login(stack: StackName) -> None:
    """Sign docker in to the registry of STACK's account, for 12 hours: whoever copies reads one and writes another."""
    with _explained(), explained(), console.progress() as progress:
        _registry(stack, progress)
        progress.done(f"signed in to the registry of {stack}")


@app.command()
def copy(images: ImagesFile, stack: StackName, as_json: AsJson = False) -> None:
    """Bring images from another account to the repositories of STACK, with their signatures; digests stay."""
    found = read(images)
    with _explained(), explained(), console.progress() as progress:
        _, repositories = _registry(stack, progress)
        digests = registry.copy(found, repositories, Commit.of().tag)
    _tell({name: f"{repositories[name]}@{digest}" for name, digest in digests.items()}, as_json)


@app.command()
def verify(
    images: ImagesFile,
    repository: Annotated[str, typer.Option(help="owner/name on GitHub, whose workflows sign.")],
) -> None:
    """Refuse images that no workflow on the main branch of a repository has signed."""
    with _explained(), console.progress() as progress:
        for image in read(images).values():
            registry.verify(image, repository)
            progress.done(f"signed: {image}")


@app.command()
def flaws(
    environment: Environment,
    as_json: AsJson = False,
) -> None:
    """List the grave flaws that are known of the images that run. Exit 0 none, 3 some."""
    make: Any = boto3.client
    with _explained():
        released = history(make("ssm"), environment)[0].images
        found = [each for name in released for each in registry.flaws(make("ecr"), environment, name, released[name])]
    if as_json:
        console.as_json([asdict(each) for each in found])
    elif found:
        rows = [[each.service, each.severity, each.name, each.package] for each in found]
        console.table(["service", "severity", "flaw", "package"], rows)
    else:
        console.out.print(f"no grave flaw is known of the images of {environment}")
    if found:
        raise typer.Exit(FLAWED)


def read(file: Path) -> Images:
    """Service → URL@digest from ``file``; ends the command where it says something else."""
    try:
        return _FILE.validate_python(json.loads(file.read_text()))
    except (OSError, ValueError, ValidationError) as error:
        console.fail(f"{file}: {error}; it holds what `eventctl image push --json` prints", code=2)


def _known(names: list[str] | None) -> tuple[ServiceName, ...]:
    if unknown := sorted(set(names or ()) - set(SERVICES)):
        console.fail(f"there is no service {', '.join(unknown)}; services are {', '.join(SERVICES)}", code=2)
    return tuple(name for name in SERVICES if not names or name in names)


def _registry(stack: str, progress: console.Progress) -> tuple[Any, dict[str, str]]:
    """A client of the stack's registry, into which docker is now signed, and its repositories' URLs."""
    outputs = opened(stack, progress).outputs()
    if "repositoryUrls" not in outputs:
        console.fail(f"{stack} has no repositories yet: `eventctl up {stack} --apply` makes them")
    make: Any = boto3.client
    ecr = make("ecr", region_name=outputs["region"])
    registry.sign_in(ecr)
    return ecr, outputs["repositoryUrls"]


def _tell(images: Mapping[ServiceName, str], as_json: bool) -> None:
    if as_json:
        console.as_json(images)
    else:
        console.table(["service", "image"], [[name, image] for name, image in images.items()])


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (CannotBuild, NoRelease) as error:
        console.fail(str(error))
    except (BotoCoreError, ClientError) as error:
        console.fail(f"AWS refuses: {error}")
