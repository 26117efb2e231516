"""The month's cost of an environment, by component, out of its state or its plan.

What costs by the hour or the piece is counted; what costs by use (traffic, requests, logs, findings, machines that
Karpenter buys) is told by name, because no program knows it. A type that is in no table is an error: what is forgotten
here is found on the bill.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.cost import prices
from scripts.cost.prices import NoPrice
from scripts.deployment import Step
from scripts.state import Resource, State

Pieces = Iterable[tuple[str, float]]
STACK = "(the stack itself)"


def _database(one: Resource) -> Pieces:
    copies = 2 if one["multiAz"] else 1
    yield f"rds:{one['instanceClass']}", copies
    yield "rds-storage", copies * float(one["allocatedStorage"] or 0)


def _broker(one: Resource) -> Pieces:
    yield f"mq:{one['hostInstanceType']}", 3 if one["deploymentMode"] == "CLUSTER_MULTI_AZ" else 1


def _cache(one: Resource) -> Pieces:
    yield f"elasticache:{one['nodeType']}", float(one["numCacheClusters"] or 1)


def _nodes(one: Resource) -> Pieces:
    for kind in (one["instanceTypes"] or [])[:1]:
        yield f"ec2:{kind}", float(one["scalingConfig"]["minSize"])
    yield "ebs-gp3", 54 * float(one["scalingConfig"]["minSize"])


def _endpoint(one: Resource) -> Pieces:
    # Gateway endpoints are free.
    if one["vpcEndpointType"] == "Interface":
        yield "vpc-endpoint", len(one["subnetIds"] or [])


def _secret(one: Resource) -> Pieces:
    yield "secret", 1 + len(one["replicas"] or [])


def _firewall(one: Resource) -> Pieces:
    yield "waf-acl", 1
    yield "waf-rule", len(one["rules"] or [])


def _one(*keys: str) -> Callable[[Resource], Pieces]:
    return lambda _: ((key, 1.0) for key in keys)


PRICED: Mapping[str, Callable[[Resource], Pieces]] = {
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": _one("alarm-composite"),
    "aws:cloudwatch/dashboard:Dashboard": _one("dashboard"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": _one("alarm"),
    "aws:ec2/eip:Eip": _one("public-ipv4"),
    "aws:ec2/natGateway:NatGateway": _one("nat-gateway"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:eks/cluster:Cluster": _one("eks"),
    "aws:eks/nodeGroup:NodeGroup": _nodes,
    "aws:elasticache/replicationGroup:ReplicationGroup": _cache,
    "aws:kms/key:Key": _one("kms-key"),
    "aws:lb/loadBalancer:LoadBalancer": _one("load-balancer"),
    "aws:mq/broker:Broker": _broker,
    "aws:rds/instance:Instance": _database,
    "aws:rds/proxy:Proxy": lambda _: [("rds-proxy", 2)],
    "aws:route53/zone:Zone": _one("route53-zone"),
    "aws:secretsmanager/secret:Secret": _secret,
    "aws:wafv2/webAcl:WebAcl": _firewall,
}
# What costs by what it does.
BY_USE = frozenset(
    {
        "aws:backup/plan:Plan",
        "aws:cfg/recorder:Recorder",
        "aws:cloudfront/distribution:Distribution",
        "aws:cloudtrail/trail:Trail",
        "aws:cloudwatch/logDelivery:LogDelivery",
        "aws:cloudwatch/logGroup:LogGroup",
        "aws:ec2/flowLog:FlowLog",
        "aws:ecr/repository:Repository",
        "aws:guardduty/detector:Detector",
        "aws:lambda/function:Function",
        "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication",
        "aws:s3/bucket:Bucket",
        "aws:sfn/stateMachine:StateMachine",
        "aws:sns/topic:Topic",
        "aws:sqs/queue:Queue",
    }
)


# What is free, or is paid for with something above: by the start of its type.
FREE = (
    "aws:accessanalyzer/", "aws:acm/", "aws:backup/", "aws:budgets/", "aws:cfg/", "aws:cloudfront/", "aws:cloudwatch/",
    "aws:ebs/", "aws:ec2/", "aws:ecr/", "aws:eks/", "aws:elasticache/", "aws:guardduty/", "aws:iam/", "aws:kms/alias:",
    "aws:lambda/", "aws:lb/", "aws:rds/", "aws:route53/record:", "aws:s3/", "aws:scheduler/", "aws:secretsmanager/",
    "aws:sfn/", "aws:sns/", "aws:sqs/", "aws:ssm/parameter:", "aws:vpc/", "aws:wafv2/",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """What some pieces of one component cost a month, in US dollars."""

    component: str
    kind: str
    piece: str
    count: float
    usd: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """The lines, and what costs by use: type → how many."""

    lines: Sequence[Line]
    by_use: Mapping[str, int]

    @property
    def total(self) -> float:
        return sum(line.usd for line in self.lines)

    def components(self) -> dict[str, float]:
        """US dollars a month by component, the dearest first."""
        found: defaultdict[str, float] = defaultdict(float)
        for line in self.lines:
            found[line.component] += line.usd
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def as_dict(self) -> dict[str, Any]:
        """For a script to read."""
        return {
            "currency": "USD",
            "read": str(prices.READ),
            "total": round(self.total, 2),
            "components": {name: round(usd, 2) for name, usd in self.components().items()},
            "pieces": [
                {"component": line.component, "piece": line.piece, "count": line.count, "usd": round(line.usd, 2)}
                for line in self.lines
            ],
            "byUse": dict(sorted(self.by_use.items())),
        }


def estimate(deployment: Mapping[str, Any]) -> Estimate:
    """What the resources of a state cost. Raises NoPrice for what costs and is in no table."""
    state, where = State(deployment), region(deployment)
    pieces: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    for one in state.resources:
        owner = state.component(one)
        name, kind = (owner.name, owner.type.rsplit(":", 1)[1]) if owner else (STACK, "")
        for key, count in _pieces(one):
            pieces[name, kind, key] += count
    lines = [
        Line(name, kind, key, count, count * prices.monthly(key, where))
        for (name, kind, key), count in sorted(pieces.items())
    ]
    return Estimate(lines, Counter(one.type for one in state.resources if one.type in BY_USE))


def _pieces(one: Resource) -> Pieces:
    if one.type in PRICED:
        return PRICED[one.type](one)
    if one.type.startswith("aws:") and one.type not in BY_USE and not one.type.startswith(FREE):
        raise NoPrice(f"{one.type} ({one.name}) is in no table; add it to scripts/cost/estimate.py, or say it is free")
    return ()


def region(deployment: Mapping[str, Any]) -> str:
    """The Region of the environment's provider. Raises NoPrice when the state has none."""
    for one in State(deployment).resources:
        if one.type == "pulumi:providers:aws" and one["region"]:
            return str(one["region"])
    raise NoPrice("the state has no AWS provider with a Region: nothing was made, or it is another program's")


def planned(deployment: Mapping[str, Any], steps: Iterable[Step]) -> dict[str, Any]:
    """The state as it will be after ``steps``, as far as costs go."""
    resources = {one["urn"]: dict(one) for one in deployment.get("resources") or []}
    for step in steps:
        if step.operation == "delete":
            resources.pop(step.urn, None)
        elif step.operation in ("create", "update", "replace", "create-replacement"):
            known = resources.get(step.urn, {})
            parent = step.parent or known.get("parent", "")
            resources[step.urn] = {"urn": step.urn, "type": step.type, "parent": parent, "inputs": dict(step.after)}
    return {"resources": list(resources.values())}
