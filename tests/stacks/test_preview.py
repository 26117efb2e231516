"""A preview's program: everything of its own, once, and nothing that another one or its environment has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi_aws as aws
import pulumi_kubernetes as k8s
import pytest

from components.preview_names import Names
from stacks import preview
from stacks.edge import GUESTS, serving
from stacks.processes import PROCESSES
from stacks.settings import PROJECT, SERVICES, InvalidSettings, PreviewSettings, preview_from_config
from tests.support.recording import ACCOUNT, REGION, Recording, record

DIGEST = f"sha256:{'1' * 64}"
OFFER: Mapping[str, Any] = {
    "function": "tenants-1",
    "owner": "platform-team",
    "costCenter": "tickets",
    "issuer": "https://tickets.dev.example.com/realms/platform",
    "stripeApi": "https://api.stripe.com",
    "novuApi": "https://eu.api.novu.co",
    "listener": "arn:aws:elasticloadbalancing:listener",
    "secretsKey": "arn:aws:kms:secrets",
    "sagaKey": "arn:aws:kms:saga",
    "databases": {name: {"host": f"{name}.example", "port": "5432"} for name in SERVICES},
    "broker": "broker.example:5671",
    "cache": {"host": "cache.example", "port": "6379", "userGroup": "dev-admission"},
    "providers": {
        "booking": "dev/booking-signing",
        "payment": "dev/payment-stripe",
        "notification": "dev/notification-novu",
    },
    "subnets": {"data": ["10.20.132.0/24"], "balancer": ["10.20.136.0/24"]},
}
DEV: Mapping[str, Any] = {
    "tenancy": OFFER,
    "kubeconfig": "{}",
    "domain": "tickets.dev.example.com",
    "clusterName": "dev-cluster",
    "vpcId": "vpc-1",
    "repositoryUrls": {name: f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/dev/{name}" for name in SERVICES},
}


def made(name: str = "pr-12", place: int = 0, host: Mapping[str, Any] = DEV) -> Recording:
    settings = PreviewSettings(name=name, host="dev", place=place, images=dict.fromkeys(SERVICES, DIGEST))
    return record(
        lambda: preview.build(settings, region=REGION),
        looked_up={
            f"organization/{PROJECT}/dev": host,
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": ACCOUNT},
            "aws:index/getPartition:getPartition": {"partition": "aws"},
        },
    )


@pytest.fixture(scope="module")
def program() -> Recording:
    return made()


def test_it_has_every_process_of_every_service_once(program: Recording) -> None:
    deployments = program.all(k8s.apps.v1.Deployment)
    assert set(deployments) == {f"{name}-{entry.name}" for name in SERVICES for entry in PROCESSES[name]}
    assert {one.inputs["spec"]["replicas"] for one in deployments.values()} == {1}
    assert {one.inputs["metadata"]["namespace"] for one in deployments.values()} == {"preview-pr-12"}
    assert not program.all(k8s.policy.v1.PodDisruptionBudget)
    assert not program.all(k8s.scheduling.v1.PriorityClass)


def test_its_namespace_is_bounded_and_closed(program: Recording) -> None:
    assert program.one(k8s.core.v1.ResourceQuota, "quota").inputs["spec"]["hard"]["pods"] == "30"
    closed = program.one(k8s.networking.v1.NetworkPolicy, "default-deny").inputs["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    api = program.one(k8s.networking.v1.NetworkPolicy, "booking-api-reach").inputs["spec"]
    assert api["ingress"][0]["from"] == [{"ipBlock": {"cidr": "10.20.136.0/24"}}]


def test_nobody_is_woken_for_it_and_no_key_outlives_it(program: Recording) -> None:
    assert not program.all(aws.cloudwatch.MetricAlarm)
    assert not program.all(aws.kms.Key)
    secrets = program.all(aws.secretsmanager.Secret).values()
    assert {one.inputs["recoveryWindowInDays"] for one in secrets} == {0}
    assert all(one.inputs["name"].startswith("dev/previews/pr-12/") for one in secrets)
    assert not any(one.protect for one in program.resources)


def test_its_user_of_the_cache_sees_its_own_keys_alone(program: Recording) -> None:
    user = program.one(aws.elasticache.User, "tenant").inputs
    assert user["accessString"] == "on ~preview:pr-12:* resetchannels +@all -@dangerous"
    assert program.one(aws.elasticache.UserGroupAssociation, "tenant").inputs["userGroupId"] == "dev-admission"
    api = program.one(k8s.apps.v1.Deployment, "booking-api").inputs["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "REDIS_KEY_PREFIX", "value": "preview:pr-12:"} in api["env"]


def test_it_tells_the_environments_function_a_name_and_no_secret(program: Recording) -> None:
    asked = program.one(aws.lambda_.Invocation, "tenant").inputs
    assert (asked["functionName"], asked["lifecycleScope"]) == ("tenants-1", "CRUD")
    event = json.loads(asked["input"])
    assert set(event) == {"preview", "topology"}
    assert {one["vhost"] for one in event["topology"]["queues"]} == {Names("pr-12").virtual_host}


def test_two_previews_share_no_host_and_no_rule_of_the_balancer() -> None:
    first, second = made("pr-1", 0), made("pr-2", 1)

    def rules(program: Recording) -> dict[int, str]:
        found = [one.inputs for one in program.all(aws.lb.ListenerRule).values()]
        hosts = [
            condition["hostHeader"]["values"][0]
            for one in found
            for condition in one["conditions"]
            if "hostHeader" in condition
        ]
        assert len(hosts) == len(found) == len(serving())
        return {one["priority"]: host for one, host in zip(found, hosts, strict=True)}

    assert set(rules(first).values()) == {"pr-1.tickets.dev.example.com"}
    assert set(rules(second).values()) == {"pr-2.tickets.dev.example.com"}
    assert not set(rules(first)) & set(rules(second))
    assert set(rules(first)) | set(rules(second)) <= set(GUESTS)


def test_what_two_previews_call_by_name_is_never_the_same() -> None:
    first, second = (made(name) for name in ("pr-1", "pr-1-booking"))

    def names(program: Recording) -> set[tuple[str, str]]:
        chosen = ("name", "userId", "userName")
        return {
            (one.type, str(one.inputs[key])) for one in program.resources for key in chosen if key in one.inputs
        } - {("aws:sfn/alias:Alias", "live")}

    assert names(first)
    assert not names(first) & names(second)


def test_an_environment_that_offers_nothing_is_refused() -> None:
    with pytest.raises(Exception, match="dev takes no previews"):
        made(host={**DEV, "tenancy": None})


def test_a_place_that_there_is_not_is_refused() -> None:
    with pytest.raises(Exception, match=f"place is {preview.PLACES}; the balancer has places 0 to"):
        made(place=preview.PLACES)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"name": "PR-12"}, "event-platform:preview.name is 'PR-12'"),
        ({"images": {"booking": DIGEST}}, "images lacks notification, payment"),
        ({"replicas": 3}, "event-platform:preview.replicas is not a setting"),
    ],
    ids=["name", "images", "unknown"],
)
def test_a_mistake_in_its_settings_is_told_with_its_path(changed: dict[str, Any], says: str) -> None:
    given = {"name": "pr-12", "host": "dev", "place": 0, "images": dict.fromkeys(SERVICES, DIGEST), **changed}
    with pytest.raises(InvalidSettings, match=says):
        preview_from_config({f"{PROJECT}:preview": json.dumps(given)}, "Pulumi.dev.pr-12.yaml")


def test_a_stack_without_the_setting_is_an_environments() -> None:
    assert preview_from_config({f"{PROJECT}:environment": "dev"}, "Pulumi.dev.yaml") is None
