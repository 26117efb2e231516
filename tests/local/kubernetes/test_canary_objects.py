"""What a canary makes is what the definitions of Argo Rollouts, Gateway API and the balancer's controller take."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from components.canary_rollout import analysis_template, http_route, strategy
from components.canary_spec import Step
from scripts.local.kubernetes import crds
from scripts.local.kubernetes.api import ApiError
from stacks.objectives import canary_spec
from tests.local.kubernetes.conftest import Namespace, World

SPEC = replace(canary_spec("booking"), steps=(Step(weight=10, seconds=60), Step(weight=500, seconds=600)))
PLURALS = {"Rollout": "rollouts", "AnalysisTemplate": "analysistemplates", "HTTPRoute": "httproutes",
           "TargetGroupBinding": "targetgroupbindings"}  # fmt: skip


@pytest.fixture(scope="module")
def defined(world: World) -> World:
    """The cluster with the definitions that the operators bring."""
    crds.install(world.kubeconfig, ["argo-rollouts", "gateway-api", "aws-load-balancer-controller"])
    return world


async def create(namespace: Namespace, body: dict[str, Any]) -> None:
    path = f"/apis/{body['apiVersion']}/namespaces/{namespace.name}/{PLURALS[body['kind']]}"
    await namespace.api.create(path, body, fieldValidation="Strict")


def rollout(namespace: Namespace) -> dict[str, Any]:
    labels = {"app": "booking"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [namespace.container()]}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "booking"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": template,
            "strategy": strategy(SPEC, namespace=namespace.name),
        },
    }


@pytest.mark.usefixtures("defined")
async def test_the_rollout_its_analysis_and_its_route_are_accepted(namespace: Namespace) -> None:
    await create(namespace, rollout(namespace))
    canary, stable = (
        {"LoadBalancer": "app/balancer/1", "TargetGroup": f"targetgroup/{track}/1"} for track in ("canary", "stable")
    )
    await create(namespace, analysis_template(SPEC, namespace=namespace.name, canary=canary, stable=stable))
    await create(
        namespace, http_route(SPEC, namespace=namespace.name, gateway="edge", prefix="/api/booking", canary=100)
    )


@pytest.mark.usefixtures("defined")
async def test_a_binding_as_the_canary_makes_it_is_accepted(namespace: Namespace) -> None:
    group = "arn:aws:elasticloadbalancing:eu-west-3:123456789012:targetgroup/booking-stable/1"
    await create(
        namespace,
        {
            "apiVersion": "elbv2.k8s.aws/v1beta1",
            "kind": "TargetGroupBinding",
            "metadata": {"name": "booking-stable"},
            "spec": {
                "targetGroupARN": group,
                "targetType": "ip",
                "serviceRef": {"name": "booking", "port": 8080},
            },
        },
    )


@pytest.mark.usefixtures("defined")
async def test_a_field_that_argo_does_not_know_is_refused(namespace: Namespace) -> None:
    wrong = rollout(namespace)
    wrong["spec"]["strategy"]["canary"]["stepz"] = []
    with pytest.raises(ApiError, match="stepz"):
        await asyncio.wait_for(create(namespace, wrong), 30)
