"""A canary's surroundings: found by the environment's name on AWS, and by the same variables on this machine."""

from __future__ import annotations

import getpass
import json
import re
import socket
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from components.canary_spec import CANARY, STABLE, CanarySpec, Step
from runbooks._kit import evidence, kubernetes, postgresql
from runbooks._kit.model import Refused
from runbooks._kit.target import Target
from scripts.canary import figures
from scripts.canary.driver import Driver, Say
from scripts.canary.lease import Lease, State
from scripts.canary.pods import Pods
from scripts.canary.route import Route
from scripts.canary.verdict import Figures
from scripts.deployment import ROOT
from scripts.oncall.prometheus import Prometheus
from stacks.objectives import canary_spec
from stacks.settings import SERVICES, ServiceName

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# How long whoever runs a canary may be silent; shorter at a faster pace, and never shorter than a machine's hiccup.
_TTL, _LEAST_TTL = 90.0, 20.0
Release = Callable[[str, Say], None]


@dataclass(frozen=True, slots=True)
class World:
    """One service's canary in one environment."""

    target: Target
    service: ServiceName
    spec: CanarySpec
    route: Route
    pods: Pods
    prometheus: Prometheus

    @classmethod
    def of(cls, target: Target, service: str) -> World:
        """Raises Refused for a service that has no canary."""
        known = target.operations.canaries
        found = next((each for each in SERVICES if each == service and each in known), None)
        if found is None:
            raise Refused(f"no canary is of {service!r}; services with one are {', '.join(sorted(known))}")
        spec = canary_spec(found)
        pods = Pods(kubernetes.connected(target), target.operations.namespace, service)
        route = Route(target.client("elbv2"), known[service], spec)
        return cls(target, found, spec, route, pods, Prometheus.found(target))

    def lease(self, pace: float = 1.0) -> Lease:
        known, environment = self.target.operations.canaries[self.service], self.target.identity.environment
        return Lease(self.target.client("ssm"), known["lease"], environment, _ttl(pace))

    def figures(self, since: datetime) -> dict[str, Figures]:
        """What both releases did since then, by track."""
        known = self.target.operations.canaries[self.service]
        return figures.read(self.target, self.prometheus, self.spec, known, since)

    def begin(self, image: str, steps: Sequence[Step], *, pace: float, deadline: float) -> State:
        """Take the lease for a new canary. Raises Refused when it may not start now."""
        if not _DIGEST.fullmatch(image):
            raise Refused(f"--image {image}: an image is named by its digest, sha256: and 64 hexadecimal digits")
        stable = self.pods.image()
        if image == stable:
            raise Refused(f"{self.service} runs {image} already: build the new release, and take its digest")
        self._image_exists(image)
        self._schema_is_ready()
        healthy, known = self.route.healthy(STABLE)
        if not healthy or healthy < known:
            raise Refused(
                f"{healthy} of {known} pods of the stable release are healthy: there is nothing to go back to"
            )
        state = State(
            run=uuid.uuid4().hex[:12],
            holder="",
            who=f"{getpass.getuser()}@{socket.gethostname()}",
            service=self.service,
            image=image,
            stable=stable,
            began=datetime.now(UTC).isoformat(timespec="seconds"),
            steps=tuple((step.weight, step.seconds) for step in steps),
            pace=pace,
            deadline=deadline,
        )
        return self.lease(pace).take(state)

    def driver(self, state: State, release: Release, say: Say) -> Driver:
        """What runs ``state`` to its end."""
        return Driver(
            self.spec,
            lease=self.lease(state.pace),
            route=self.route,
            pods=self.pods,
            figures=self.figures,
            release=release,
            audit=Trail(self.target, state),
            say=say,
            ttl=_ttl(state.pace),
        )

    def shown(self) -> dict[str, Any]:
        """How the canary is, for a person or a script."""
        lease, weights = self.lease(), self.route.weights()
        state = lease.state()
        return {
            "service": self.service,
            "under_way": bool(state and state.held),
            "image": state.image if state else None,
            "step": state.step + 1 if state else None,
            "steps": len(state.steps) if state else None,
            "paused": bool(state and state.paused),
            "promoting": bool(state and state.promoting),
            "who": state.who if state else None,
            "held_until": state.expires if state else None,
            "last": None if state else json.loads(lease.text()),
            "weights": weights,
            "healthy": {track: "{} of {}".format(*self.route.healthy(track)) for track in (STABLE, CANARY)},
        }

    def _image_exists(self, image: str) -> None:
        ecr, name = self.target.client("ecr"), f"{self.target.identity.environment}/{self.service}"
        try:
            ecr.describe_images(repositoryName=name, imageIds=[{"imageDigest": image}])
        except (ecr.exceptions.ImageNotFoundException, ecr.exceptions.RepositoryNotFoundException) as error:
            raise Refused(f"--image {image}: the repository {name} has no such image: push it first") from error

    def _schema_is_ready(self) -> None:
        """A canary and the stable release share a database: it has what this checkout's release needs already."""
        # Half a second that no other command waits for.
        from alembic.script import ScriptDirectory

        from services.common import migrations

        folder = ROOT / "services" / self.service / "migrations"
        newest = ScriptDirectory.from_config(migrations.configuration(folder)).get_current_head()
        if (revision := postgresql.revision(self.target, self.service)) != newest:
            raise Refused(
                f"the database of {self.service} is at migration {revision}, and this needs {newest}: "
                "expand the schema first, in a release of its own (docs/migrations.md)"
            )


class Trail:
    """The audit of one canary: a line for each step, on the disk before anything else happens."""

    def __init__(self, target: Target, state: State) -> None:
        folder = evidence.default_root().parent / "canaries" / target.identity.environment / state.service
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        self.file: Path = folder / f"{state.run}.jsonl"
        self._common = {"run": state.run, "who": state.who, "service": state.service}

    def __call__(self, event: str, **more: Any) -> None:
        """Keep a line."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        evidence.append(self.file, evidence.canonical({"at": now, **self._common, "event": event, **more}))


def _ttl(pace: float) -> timedelta:
    return timedelta(seconds=max(_LEAST_TTL, _TTL / pace))
