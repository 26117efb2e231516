"""Two canaries that somebody runs, and a third service at rest, behind one balancer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbooks.canary_abort import CANARY, STABLE, CanaryAbort
from tests.runbooks.bench import Bench
from tests.runbooks.environment import REGION, Environment
from tests.runbooks.faults import Fault


@dataclass
class Canaries:
    """A balancer with a rule over two target groups for each service, and their leases."""

    environment: Environment
    known: dict[str, dict[str, str]] = field(default_factory=dict)
    _vpc: str = field(init=False)
    _listener: str = field(init=False)

    def __post_init__(self) -> None:
        ec2, self._elb = self.environment.aws("ec2"), self.environment.aws("elbv2")
        self._vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=self._vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")
            for n, zone in enumerate("ab")
        ]
        balancer = self._elb.create_load_balancer(
            Name=self.environment.name, Subnets=[each["Subnet"]["SubnetId"] for each in subnets]
        )["LoadBalancers"][0]
        self.balancer = balancer["LoadBalancerArn"].partition(":loadbalancer/")[2]
        self._listener = self._elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"],
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
        )["Listeners"][0]["ListenerArn"]

    def create(self, service: str, *, weight: int = 0) -> str:
        """A service whose canary has ``weight`` thousandths and is held by nobody; returns its name."""
        groups = {track: self._group(service, track) for track in (STABLE, CANARY)}
        rule = self._elb.create_rule(
            ListenerArn=self._listener,
            Priority=len(self.known) + 1,
            Conditions=[{"Field": "path-pattern", "Values": [f"/api/{service}/*"]}],
            Actions=[{"Type": "forward", "TargetGroupArn": groups[STABLE]}],
        )["Rules"][0]["RuleArn"]
        lease = f"/{self.environment.name}/{service}-canary/lease"
        self.known[service] = {**groups, "rule": rule, "lease": lease}
        self.weigh(service, {groups[STABLE]: 999 - weight, groups[CANARY]: weight})
        self.hold(service, {"ended": "never started"})
        self.environment.write(canaries=self.known)
        return service

    def _group(self, service: str, track: str) -> str:
        name = f"{self.environment.name}-{service}-{track}"[-32:].strip("-")
        [group] = self._elb.create_target_group(
            Name=name, Protocol="HTTP", Port=8080, VpcId=self._vpc, TargetType="ip"
        )["TargetGroups"]
        self._elb.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": "10.0.0.10"}])
        return str(group["TargetGroupArn"])

    def weigh(self, service: str, weights: Mapping[str, int]) -> None:
        """What a script does with the rule."""
        forward: Any = {
            "TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()],
            "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 600},
        }
        self._elb.modify_rule(
            RuleArn=self.known[service]["rule"], Actions=[{"Type": "forward", "ForwardConfig": forward}]
        )

    def hold(self, service: str, value: Any) -> None:
        self.environment.aws("ssm").put_parameter(
            Name=self.known[service]["lease"],
            Value=value if isinstance(value, str) else json.dumps(value),
            Type="String",
            Overwrite=True,
        )

    def held(self, service: str, *, minutes: float = 30) -> None:
        """Somebody answers for the canary for so long."""
        self.hold(
            service, {"holder": "a script", "expires": (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()}
        )

    def empty(self, service: str, track: str) -> None:
        """The pods of a release go."""
        self._elb.deregister_targets(TargetGroupArn=self.known[service][track], Targets=[{"Id": "10.0.0.10"}])

    def requests(
        self, service: str, track: str, count: int, *, metric: str = "RequestCount", minutes_ago: float = 0
    ) -> None:
        group = self.known[service][track].rpartition(":")[2]
        self.environment.aws("cloudwatch").put_metric_data(
            Namespace="AWS/ApplicationELB",
            MetricData=[
                {
                    "MetricName": metric,
                    "Dimensions": [
                        {"Name": "LoadBalancer", "Value": self.balancer},
                        {"Name": "TargetGroup", "Value": group},
                    ],
                    "Timestamp": datetime.now(UTC) - timedelta(minutes=minutes_ago),
                    "Value": count,
                }
            ],
        )

    def leads_to(self, service: str) -> dict[str, int]:
        """Which releases the rule leads to, with their weights."""
        names = {arn: track for track, arn in self.known[service].items()}
        [rule] = self._elb.describe_rules(RuleArns=[self.known[service]["rule"]])["Rules"]
        [action] = rule["Actions"]
        if "TargetGroupArn" in action:
            return {names[action["TargetGroupArn"]]: 1}
        return {names[each["TargetGroupArn"]]: each["Weight"] for each in action["ForwardConfig"]["TargetGroups"]}

    def lease(self, service: str) -> dict[str, Any]:
        value, _ = self.environment.parameters()[self.known[service]["lease"]]
        found: dict[str, Any] = json.loads(value)
        return found


@pytest.fixture
def canaries(environment: Environment) -> Canaries:
    return Canaries(environment)


@pytest.fixture
def canary_abort(environment: Environment, canaries: Canaries, tmp_path: Path) -> Fault:
    running = [canaries.create(service, weight=250) for service in ("booking", "payment")]
    canaries.create("notification")
    for service in running:
        canaries.held(service)

    def mended() -> bool:
        ended = all(
            canaries.leads_to(each) == {STABLE: 1} and canaries.lease(each)["why"] == "person on call"
            for each in running
        )
        return ended and canaries.lease("notification") == {"ended": "never started"}

    return Fault(
        Bench(CanaryAbort(patience=0), environment, tmp_path),
        state=lambda: [(canaries.leads_to(each), canaries.lease(each)) for each in canaries.known],
        mended=mended,
    )
