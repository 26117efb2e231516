"""Build components without an engine and see what they asked for: types, inputs and options of every resource."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc, settings, stack
from pulumi.runtime.proto import resource_pb2

from components.context import Context, Place
from components.severity import Severity

ACCOUNT, REGION = "123456789012", "eu-west-3"
CONTEXT = Context(
    environment="dev",
    region=REGION,
    recovery_region="eu-west-1",
    account_id=ACCOUNT,
    partition="aws",
    production=False,
    protected=False,
    log_retention_days=7,
    alarm_topics={severity: f"arn:aws:sns:{REGION}:{ACCOUNT}:on-call-{severity}" for severity in Severity},
)

PLACE = Place(environment=CONTEXT.environment, region=REGION, account_id=ACCOUNT, partition="aws")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One resource as it was registered."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    protect: bool
    ignore_changes: tuple[str, ...]
    parent: str

    def json(self, name: str) -> Any:
        """An input that holds JSON, such as a policy."""
        return json.loads(self.inputs[name])


class Recording:
    """Every resource that a program registered."""

    def __init__(self, resources: list[Recorded]) -> None:
        self.resources = resources

    def all(self, resource: type[pulumi.Resource]) -> dict[str, Recorded]:
        """The resources of an SDK class by logical name."""
        token = str(vars(resource)["pulumi_type"])
        return {found.name: found for found in self.resources if found.type == token}

    def one(self, resource: type[pulumi.Resource], name: str) -> Recorded:
        """The resource of that class and name; the message of a failure lists those that there are."""
        found = self.all(resource)
        assert name in found, f"{name} is not among {sorted(found)}"
        return found[name]

    def statements(self, policy: Recorded) -> list[dict[str, Any]]:
        """The statements of an IAM document in the input ``policy``."""
        statements: list[dict[str, Any]] = policy.json("policy")["Statement"]
        return statements


STACK_REFERENCE = "pulumi:pulumi:StackReference"
# Outputs that only AWS makes and that components build on, by type.
_TOLD: Mapping[str, Mapping[str, Any]] = {
    "aws:acm/certificate:Certificate": {
        "domainValidationOptions": [
            {
                "domainName": "example.com",
                "resourceRecordName": "_proof.example.com",
                "resourceRecordType": "CNAME",
                "resourceRecordValue": "_proof.acm",
            }
        ]
    },
    "aws:lb/loadBalancer:LoadBalancer": {"arnSuffix": "app/balancer/1", "dnsName": "internal-balancer.example"},
    "aws:route53/zone:Zone": {"zoneId": "Z1", "nameServers": ["ns-1.example", "ns-2.example"]},
    "aws:rds/instance:Instance": {
        "address": "database.example.com",
        "port": 5432,
        "masterUserSecrets": [{"secretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:rds!master"}],
    },
}


class _Answers(mocks.Mocks):
    def __init__(self, looked_up: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._looked_up = looked_up or {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        if args.typ == STACK_REFERENCE:
            return args.name, {"name": args.name, "outputs": dict(self._looked_up[args.name])}
        state = {"arn": f"arn:aws:{args.typ.split(':')[1].split('/')[0]}:{REGION}:{ACCOUNT}:{args.name}"}
        own = {"name": args.name, "url": f"https://{args.name}", "arnSuffix": f"{args.name}/1"}
        return f"{args.name}-id", {**state, **own, **_TOLD.get(args.typ, {}), **args.inputs}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        if args.token in self._looked_up:
            return dict(self._looked_up[args.token]), []
        raise AssertionError(f"{args.token} is looked up: a component looks up nothing")


class _Monitor(mocks.MockMonitor):
    def __init__(self, answers: _Answers) -> None:
        super().__init__(answers)
        self.recorded: list[Recorded] = []

    # gRPC names the method, and pulumi leaves it without types.
    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> Any:  # noqa: N802
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            self.recorded.append(
                Recorded(
                    request.type,
                    request.name,
                    rpc.deserialize_properties(request.object),
                    request.protect,
                    tuple(request.ignoreChanges),
                    request.parent.rsplit("::", 1)[-1],
                )
            )
        return answer


def record(program: Callable[[], Any], *, looked_up: Mapping[str, Mapping[str, Any]] | None = None) -> Recording:
    """Run ``program`` and wait for everything that it started, so that what is not there was not asked for.

    ``looked_up`` answers a program that asks: functions by token, outputs of other stacks by their full name.
    """
    answers = _Answers(looked_up)
    monitor = _Monitor(answers)
    # What a refused program left undone would be awaited for ever: its loop is no more. And what a program said of its
    # outermost resources is kept with the root that they had.
    settings.SETTINGS.outputs.clear()
    # Its type has no word for what there is before the first one.
    settings.set_root_resource(None)  # type: ignore[arg-type]
    asyncio.set_event_loop(asyncio.new_event_loop())
    mocks.set_mocks(answers, project="event-platform", stack="test", monitor=monitor, organization="organization")

    async def run() -> None:
        await stack.run_pulumi_func(program)

    asyncio.get_event_loop().run_until_complete(run())
    return Recording(monitor.recorded)
