"""The way into the cluster: the one that is meant or none, and where it is written how many pods there are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from kubernetes import client

from runbooks import _kit as kit
from runbooks._kit.kubernetes import Cluster, connected
from tests.runbooks.clusters import Workloads


def test_a_context_that_leads_to_another_cluster_is_refused(workloads: Workloads) -> None:
    workloads.environment.answers["eks:DescribeCluster"] = lambda _: {
        "cluster": {"endpoint": "https://0123456789ABCDEF.gr7.eu-west-3.eks.amazonaws.com"}
    }
    says = rf"leads to {workloads.plane.url}, .* is at https://0123456789ABCDEF\S+; `aws eks update-kubeconfig --name"
    with pytest.raises(kit.Refused, match=says):
        connected(workloads.environment.target())


def test_without_a_context_it_is_refused_with_the_command_that_makes_one(
    workloads: Workloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    with pytest.raises(kit.Refused, match=r"`aws eks update-kubeconfig --name test-.*-cluster` makes"):
        connected(workloads.environment.target())


def test_the_scaler_says_how_many_pods_a_deployment_has_else_it_does_itself(workloads: Workloads) -> None:
    workloads.deployment("relay", 2)
    workloads.autoscaler("api", 3, 20)
    workloads.scaled_object("worker", 4, 9)
    # KEDA makes this one of its own.
    workloads.autoscaler("keda-hpa-worker", 4, 9, target="worker")
    found = {name: (size.kind, size.name, size.least, size.most) for name, size in workloads.sizes().items()}
    assert found == {
        "relay": ("Deployment", "relay", 2, None),
        "api": ("HorizontalPodAutoscaler", "api", 3, 20),
        "worker": ("ScaledObject", "worker", 4, 9),
    }


def test_a_number_is_written_where_it_is_said(workloads: Workloads) -> None:
    workloads.scaled_object("worker", 4, 9)
    with Cluster.connected(workloads.environment.target()) as cluster:
        cluster.resize({**cluster.sizes()["worker"].told, "least": 6})
        assert cluster.sizes()["worker"].least == 6
    deployment = client.AppsV1Api(workloads.api).read_namespaced_deployment("worker", workloads.namespace)
    assert deployment.metadata.generation == 1, "KEDA would undo what is written there"


def test_what_a_runbook_remembers_is_its_own_until_it_forgets(workloads: Workloads) -> None:
    with Cluster.connected(workloads.environment.target()) as cluster:
        cluster.remember({"worker": {"least": 4}}, by="one")
        assert (cluster.remembered("one"), cluster.remembered("another")) == ({"worker": {"least": 4}}, {})
        cluster.remember({}, by="one")
    namespace = client.CoreV1Api(workloads.api).read_namespace(workloads.namespace)
    assert namespace.metadata.annotations is None


def test_a_restart_changes_the_template_and_is_noted_where_kubectl_notes_it(workloads: Workloads) -> None:
    workloads.deployment("relay", 2)
    workloads.deployment("other", 2)
    at = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)
    with Cluster.connected(workloads.environment.target()) as cluster:
        cluster.restart("relay", at)
        assert cluster.restarts() == {"relay": at}
    deployment = client.AppsV1Api(workloads.api).read_namespaced_deployment("relay", workloads.namespace)
    noted = {"kubectl.kubernetes.io/restartedAt": "2026-11-28T03:00:00+00:00"}
    assert (deployment.metadata.generation, deployment.spec.template.metadata.annotations) == (2, noted)
