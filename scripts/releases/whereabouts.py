"""What runs where, as it is and not as it was meant: pods, the saga's alias, schemas, beside what the record says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kubernetes import client

from components.saga import LIVE
from runbooks._kit import Target, kubernetes, postgresql
from scripts.releases.history import Release

_NAME, _COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"


@dataclass(frozen=True, slots=True)
class Place:
    """One thing of a release: what the record says of it, what is there, and how many pods are ready, if it has any.

    ``recorded`` is empty where the record says nothing: of a canary, and of schemas.
    """

    service: str
    part: str
    recorded: str
    runs: str
    ready: str = ""

    @property
    def differs(self) -> bool:
        return bool(self.recorded) and self.recorded != self.runs


def places(target: Target, release: Release) -> Iterator[Place]:
    """Every process of every service, the saga, and each service's schema. Raises Refused without a way in."""
    yield from _processes(target, release)
    yield _saga(target, release)
    for service in release.images:
        try:
            yield Place(service, "schema", "", postgresql.revision(target, service))
        except postgresql.AWAY as error:
            yield Place(service, "schema", "", f"cannot be seen from here: {error}")


def _processes(target: Target, release: Release) -> Iterator[Place]:
    with kubernetes.connected(target) as api:
        found = client.AppsV1Api(api).list_namespaced_deployment(target.operations.namespace).items
    for each in sorted(found, key=lambda each: str(each.metadata.name)):
        service, part = (each.metadata.labels or {}).get(_NAME), (each.metadata.labels or {}).get(_COMPONENT, "")
        if service in release.images:
            digest = each.spec.template.spec.containers[0].image.rsplit("@", 1)[-1]
            recorded = "" if part.endswith("-canary") else release.images[service]
            ready = f"{each.status.ready_replicas or 0}/{each.spec.replicas}"
            yield Place(service, part, recorded, digest, ready)


def _saga(target: Target, release: Release) -> Place:
    machine = target.operations.state_machine_arn
    alias = target.client("stepfunctions").describe_state_machine_alias(stateMachineAliasArn=f"{machine}:{LIVE}")
    lives = " ".join(each["stateMachineVersionArn"] for each in alias["routingConfiguration"])
    return Place("saga", "state machine", release.saga, lives)
