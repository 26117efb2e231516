"""Every rule on a compliant resource, on violating ones, on an absent property and on one that is not known yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from pulumi_policy import ResourceValidationPolicy
from pulumi_policy.proxy import UnknownValueError

from policies.rules import compute, data
from tests.policies.support import UNKNOWN, judge

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
RULES = {rule.name: rule for rule in (*data.RULES, *compute.RULES) if isinstance(rule, ResourceValidationPolicy)}


def deployment(**container: Any) -> dict[str, Any]:
    """A Deployment with one container."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {"template": {"spec": {"containers": [{"name": "main", **container}]}}},
    }


@dataclass(frozen=True)
class Example:
    """``broken`` pairs properties with what the message must say; ``absent`` says whether leaving it out is a fault."""

    rule: str
    kind: str
    good: Mapping[str, Any]
    broken: tuple[tuple[Mapping[str, Any], str], ...]
    unknown: Mapping[str, Any]
    absent: Mapping[str, Any]
    absent_is_fine: bool


def flag(rule: str, kind: str, prop: str, *, good: bool, absent_is_fine: bool) -> Example:
    """A rule on one boolean."""
    word = str(good).lower()
    return Example(
        rule,
        kind,
        {prop: good},
        (({prop: not good}, f"it must be {word}"),),
        {prop: UNKNOWN},
        {},
        absent_is_fine,
    )


DIGEST = "registry/booking@sha256:" + "a" * 64
EXAMPLES = [
    flag("database-encrypted", "aws:rds/instance:Instance", "storageEncrypted", good=True, absent_is_fine=False),
    flag("database-private", "aws:rds/instance:Instance", "publiclyAccessible", good=False, absent_is_fine=True),
    flag(
        "database-private",
        "aws:rds/clusterInstance:ClusterInstance",
        "publiclyAccessible",
        good=False,
        absent_is_fine=True,
    ),
    flag("broker-private", "aws:mq/broker:Broker", "publiclyAccessible", good=False, absent_is_fine=True),
    flag(
        "cache-encrypted-in-transit",
        "aws:elasticache/replicationGroup:ReplicationGroup",
        "transitEncryptionEnabled",
        good=True,
        absent_is_fine=False,
    ),
    flag("key-rotates", "aws:kms/key:Key", "enableKeyRotation", good=True, absent_is_fine=False),
    Example(
        "queue-encrypted",
        "aws:sqs/queue:Queue",
        {"kmsMasterKeyId": "alias/queues"},
        (({"sqsManagedSseEnabled": False}, "sqsManagedSseEnabled is false"),),
        {"kmsMasterKeyId": UNKNOWN},
        {},
        absent_is_fine=True,
    ),
    Example(
        "image-tags-immutable",
        "aws:ecr/repository:Repository",
        {"imageTagMutability": "IMMUTABLE"},
        (({"imageTagMutability": "MUTABLE"}, "is 'MUTABLE'"),),
        {"imageTagMutability": UNKNOWN},
        {},
        absent_is_fine=False,
    ),
    Example(
        "cluster-endpoint-private",
        "aws:eks/cluster:Cluster",
        {"vpcConfig": {"endpointPublicAccess": False}},
        (({"vpcConfig": {"endpointPublicAccess": True}}, "endpointPublicAccess is True"),),
        {"vpcConfig": {"endpointPublicAccess": UNKNOWN}},
        {"vpcConfig": {}},
        absent_is_fine=False,
    ),
    Example(
        "saga-logged",
        "aws:sfn/stateMachine:StateMachine",
        {"loggingConfiguration": {"level": "ERROR"}},
        (({"loggingConfiguration": {"level": "OFF"}}, "level is 'OFF'"),),
        {"loggingConfiguration": {"level": UNKNOWN}},
        {},
        absent_is_fine=False,
    ),
    Example(
        "image-by-digest",
        DEPLOYMENT,
        deployment(image=DIGEST),
        ((deployment(image="registry/booking:latest"), "containers[0].image is 'registry/booking:latest'"),),
        deployment(image=UNKNOWN),
        deployment(),
        absent_is_fine=False,
    ),
    Example(
        "no-privilege-escalation",
        DEPLOYMENT,
        deployment(securityContext={"allowPrivilegeEscalation": False}),
        (
            (deployment(securityContext={"allowPrivilegeEscalation": True}), "allowPrivilegeEscalation is True"),
            (deployment(securityContext={"allowPrivilegeEscalation": 0}), "allowPrivilegeEscalation is 0"),
        ),
        deployment(securityContext={"allowPrivilegeEscalation": UNKNOWN}),
        deployment(),
        absent_is_fine=False,
    ),
]
each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.rule}-{example.kind}")


@each_example
def test_a_compliant_resource_passes(example: Example) -> None:
    assert judge(RULES[example.rule], example.kind, example.good) == []


@each_example
def test_a_violating_resource_is_told_property_value_and_remedy(example: Example) -> None:
    for props, says in example.broken:
        (message,) = judge(RULES[example.rule], example.kind, props)
        assert says in message
        assert str(RULES[example.rule].remediation_steps) in message


@each_example
def test_an_absent_property_is_judged_by_what_its_absence_means(example: Example) -> None:
    assert (judge(RULES[example.rule], example.kind, example.absent) == []) is example.absent_is_fine


@each_example
def test_a_value_that_is_not_known_yet_is_left_to_the_update(example: Example) -> None:
    with pytest.raises(UnknownValueError):
        judge(RULES[example.rule], example.kind, example.unknown)


@each_example
def test_a_rule_looks_at_its_own_types_only(example: Example) -> None:
    assert judge(RULES[example.rule], "aws:s3/bucket:Bucket", example.broken[0][0]) == []


def test_every_rule_on_resources_has_an_example() -> None:
    assert {example.rule for example in EXAMPLES} == set(RULES)


def test_every_rule_names_its_control_severity_remedy_and_page() -> None:
    for rule in (*data.RULES, *compute.RULES):
        assert rule.tags, rule.name
        assert rule.severity is not None, rule.name
        assert rule.remediation_steps, rule.name
        assert str(rule.url).startswith("https://"), rule.name


def test_init_containers_are_judged_like_the_others() -> None:
    pod = deployment(image=DIGEST)
    pod["spec"]["template"]["spec"]["initContainers"] = [{"name": "first", "image": "busybox"}]
    (message,) = judge(RULES["image-by-digest"], DEPLOYMENT, pod)
    assert "initContainers[0].image is 'busybox'" in message


@pytest.mark.parametrize(
    ("kind", "api_version", "path"),
    [
        ("kubernetes:core/v1:Pod", "v1", ("spec",)),
        ("kubernetes:batch/v1:CronJob", "batch/v1", ("spec", "jobTemplate", "spec", "template", "spec")),
    ],
)
def test_pods_are_found_in_every_kind_that_runs_them(kind: str, api_version: str, path: tuple[str, ...]) -> None:
    body: dict[str, Any] = {"containers": [{"name": "main", "image": "busybox"}]}
    for part in reversed(path):
        body = {part: body}
    props = {"apiVersion": api_version, "kind": kind.rsplit(":", 1)[1], **body}
    (message,) = judge(RULES["image-by-digest"], kind, props)
    assert f"{'.'.join(path)}.containers[0].image" in message
