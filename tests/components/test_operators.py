"""The operators' releases: pinned, restricted, bounded, and allowed in AWS what they call."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pulumi_kubernetes as k8s
import pytest
from pulumi_aws import eks, iam

from components import operator_values
from components.operator_values import Site
from components.operators import CHARTS, Chart, Operators
from components.severity import Severity
from scripts.local.kubernetes import crds
from tests.support.recording import CONTEXT, PLACE, REGION, Recording, record

PRODUCTION = Site(
    cluster_name="cluster",
    vpc_id="vpc-1",
    region=REGION,
    production=True,
    alarm_topics={severity: f"arn:aws:sns:::{severity}" for severity in Severity},
)
each_chart = pytest.mark.parametrize("name", sorted(CHARTS))


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value below ``value`` with its path."""
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, f"{path}.{key}")


@pytest.fixture(scope="module")
def made() -> Recording:
    site = replace(PRODUCTION, production=False)
    return record(lambda: Operators("operators", site, context=CONTEXT))


def test_every_chart_is_released_at_its_pinned_version_all_or_nothing(made: Recording) -> None:
    releases = made.all(k8s.helm.v3.Release)
    assert {name: found.inputs["version"] for name, found in releases.items()} == {
        name: chart.version for name, chart in CHARTS.items()
    }
    assert all(found.inputs["atomic"] and found.inputs["createNamespace"] for found in releases.values())


@each_chart
def test_every_operator_is_bounded_in_memory(name: str) -> None:
    bounds = [value for path, value in walk(CHARTS[name].values(PRODUCTION)) if path.endswith(".limits")]
    assert bounds
    assert all(limits.get("memory") for limits in bounds)


@each_chart
def test_no_value_gives_a_privilege(name: str) -> None:
    for path, value in walk(CHARTS[name].values(PRODUCTION)):
        if path.endswith((".privileged", ".allowPrivilegeEscalation", ".hostNetwork", ".hostPID")):
            assert value is False, path
        if path.endswith(".runAsNonRoot"):
            assert value is True, path


@each_chart
def test_production_runs_two_of_each_and_elsewhere_one(name: str) -> None:
    def replicas(production: bool) -> set[int]:
        site = replace(PRODUCTION, production=production)
        values = walk(CHARTS[name].values(site))
        return {
            value for path, value in values if path.endswith((".replicas", ".replicaCount")) and "grafana" not in path
        }

    assert (replicas(True), replicas(False)) == ({2}, {1})


def test_only_who_calls_aws_has_a_role(made: Recording) -> None:
    associations = made.all(eks.PodIdentityAssociation)
    assert {name: found.inputs["serviceAccount"] for name, found in associations.items()} == {
        "aws-load-balancer-controller": "aws-load-balancer-controller",
        "keda": "keda-operator",
        "kube-prometheus-stack": operator_values.ALERTMANAGER,
    }
    assert {name: found.inputs["namespace"] for name, found in associations.items()} == {
        name: made.one(k8s.helm.v3.Release, name).inputs["namespace"] for name in associations
    }
    [lengths] = made.statements(made.one(iam.RolePolicy, "keda"))
    assert lengths["Action"] == ["sqs:GetQueueAttributes"]
    assert lengths["Condition"] == {"StringEquals": {"aws:ResourceTag/Environment": "dev"}}


def test_alertmanager_publishes_to_this_environment_s_topic_alone(made: Recording) -> None:
    publish, decrypt = made.statements(made.one(iam.RolePolicy, "kube-prometheus-stack"))
    assert publish["Action"] == ["sns:Publish"]
    assert publish["Condition"] == {"StringEquals": {"aws:ResourceTag/Environment": "dev"}}
    assert decrypt["Condition"]["StringEquals"]["kms:ViaService"] == f"sns.{REGION}.amazonaws.com"
    config = operator_values.alerting(PRODUCTION)
    assert {each["name"] for each in config["receivers"]} >= {config["route"]["receiver"]}


def test_the_load_balancer_controller_makes_no_load_balancer() -> None:
    policy = operator_values.targets_policy(PLACE)
    assert "elasticloadbalancing:RegisterTargets" in policy
    assert "Create" not in policy
    assert "Delete" not in policy
    values = operator_values.load_balancer_controller(PRODUCTION)
    assert values["enableServiceMutatorWebhook"] is values["createIngressClassResource"] is False


def test_a_role_for_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="give both, or neither"):
        Chart(version="1", repository="r", values=operator_values.keda, policy=operator_values.queue_lengths_policy)


def test_a_role_that_allows_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="give both, or neither"):
        Chart(version="1", repository="r", values=operator_values.keda, service_account="keda-operator")


def test_a_local_source_names_the_kinds_that_it_installs() -> None:
    source = crds.SOURCES["kube-prometheus-stack"]
    assert source.wants({"spec": {"names": {"plural": "prometheusrules"}}})
    assert not source.wants({"spec": {"names": {"plural": "prometheuses"}}})
