"""Build a service's image with docker's buildx or with buildah, whichever is there.

buildx pushes as it builds, with a bill of materials (SBOM) and a provenance; buildah builds for this machine. Both set
the times of files to those of the commit, so that the same sources give the same layers.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
_DOCKERFILE = Path("services", "Dockerfile")
Say = Callable[[str], None]
# The commit and its time, in seconds since 1970.
_COMMIT = ("git", "log", "-1", "--format=%H %ct")


class CannotBuild(RuntimeError):
    """There is nothing to build with, or it failed; the message has its last lines."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What is built: its digest and its time."""

    digest: str
    seconds: int

    @property
    def tag(self) -> str:
        """The name under which a build is pushed; for people, deployments take the digest."""
        return f"build-{self.digest[:12]}"

    @classmethod
    def of(cls, root: Path = ROOT, *, exactly: bool = True) -> Commit:
        """The commit of the checkout in ``root``; ``exactly``: raises CannotBuild where the sources differ from it."""
        digest, seconds = run(_COMMIT, cwd=root).split()
        if exactly and (changed := run(("git", "status", "--porcelain", "--", "services"), cwd=root).strip()):
            raise CannotBuild(
                f"services/ is not as in {digest[:12]}, which the image would be called by:\n{changed}\ncommit it first"
            )
        return cls(digest, int(seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One build; ``arguments`` are of the Dockerfile (PYTHON, AUTHORITIES)."""

    service: str
    commit: Commit
    arguments: Mapping[str, str] = field(default_factory=dict)

    def options(self) -> list[str]:
        """What both builders take."""
        given = {"SERVICE": self.service, **self.arguments}
        return [
            *("--file", str(_DOCKERFILE)),
            *(part for name, value in given.items() for part in ("--build-arg", f"{name}={value}")),
            *("--label", f"org.opencontainers.image.revision={self.commit.digest}"),
        ]


def build(recipe: Recipe, say: Say, *, root: Path = ROOT) -> str:
    """Build for this machine; returns the image's digest as the builder knows it. Raises CannotBuild."""
    name = f"localhost/{recipe.service}:{recipe.commit.tag}"
    with TemporaryDirectory() as folder:
        written = Path(folder, "digest")
        if builder := _buildx():
            command = [builder, "buildx", "build", "--load", "--iidfile", str(written), *_epoch(recipe)]
        elif builder := shutil.which("buildah"):
            times = ("--timestamp", str(recipe.commit.seconds), "--ignorefile", f"{_DOCKERFILE}.dockerignore")
            command = [builder, "bud", "--iidfile", str(written), *times]
        else:
            raise CannotBuild("neither docker with its buildx nor buildah is on PATH: install one of them")
        say(f"building {name} with {Path(builder).name}")
        run([*command, *recipe.options(), "--tag", name, "."], cwd=root)
        return written.read_text().strip()


def push(recipe: Recipe, repository: str, say: Say, *, root: Path = ROOT) -> str:
    """Build with buildx and push to ``repository``; returns the digest of what the registry has. Raises CannotBuild."""
    docker = _buildx()
    if docker is None:
        raise CannotBuild("docker's buildx is not there, and only it pushes an image with its bill of materials")
    name = f"{repository}:{recipe.commit.tag}"
    say(f"building and pushing {name}")
    with TemporaryDirectory() as folder:
        told = Path(folder, "metadata.json")
        attested = ("--provenance=mode=max", "--sbom=true", "--output=type=image,push=true,rewrite-timestamp=true")
        command = [docker, "buildx", "build", *attested, "--metadata-file", str(told), *_epoch(recipe)]
        run([*command, *recipe.options(), "--tag", name, "."], cwd=root)
        digest: str = json.loads(told.read_text())["containerimage.digest"]
    return digest


def _buildx() -> str | None:
    """Docker, where it has buildx."""
    docker = shutil.which("docker")
    has = docker and not subprocess.run([docker, "buildx", "version"], capture_output=True, check=False).returncode
    return docker if has else None


def _epoch(recipe: Recipe) -> tuple[str, str]:
    return "--build-arg", f"SOURCE_DATE_EPOCH={recipe.commit.seconds}"


def run(command: Sequence[str], *, cwd: Path = ROOT, told: str | None = None) -> str:
    """What ``command`` prints, given ``told`` to read. Raises CannotBuild with its last lines when it fails."""
    done = subprocess.run(command, cwd=cwd, input=told, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise CannotBuild(f"{' '.join(command[:3])} … ended with {done.returncode}:\n{last}")
    return done.stdout
