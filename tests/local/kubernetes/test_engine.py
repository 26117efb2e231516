"""The real Pulumi engine over the kubernetes provider: what a program asks for is what runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts.local.cloud.servicer import ProviderServicer, serve
from scripts.local.kubernetes.provider import KubernetesBackend
from scripts.local.processes import eventually
from tests.local.kubernetes.conftest import World
from tests.support.engine import Workspace

PROGRAM = """
import pulumi
import pulumi_kubernetes as k8s

opts = pulumi.ResourceOptions(provider=k8s.Provider("local", kubeconfig=open("{kubeconfig}").read()))
namespace = k8s.core.v1.Namespace("engine", opts=opts)
settings = k8s.core.v1.ConfigMap(
    "settings", metadata={{"namespace": namespace.metadata.name}}, data={{"ANSWER": "{answer}"}}, opts=opts
)
container = {{
    "name": "main",
    "image": "{image}",
    "command": ["python", "-m", "tiny.server"],
    "env": [{{"name": "POD_IP", "value_from": {{"field_ref": {{"field_path": "status.podIP"}}}}}}],
    "env_from": [{{"config_map_ref": {{"name": settings.metadata.name}}}}],
    "readiness_probe": {{"tcp_socket": {{"port": 8080}}, "period_seconds": 1}},
    "resources": {{"requests": {{"cpu": "0.1"}}}},
}}
labels = {{"app": "web"}}
k8s.apps.v1.Deployment(
    "web",
    metadata={{"namespace": namespace.metadata.name}},
    spec={{
        "replicas": 1,
        "selector": {{"match_labels": labels}},
        "template": {{"metadata": {{"labels": labels}}, "spec": {{"containers": [container]}}}},
    }},
    opts=opts,
)
service = k8s.core.v1.Service(
    "web",
    metadata={{"namespace": namespace.metadata.name}},
    spec={{"selector": labels, "ports": [{{"port": 8000, "target_port": 8080}}]}},
    opts=opts,
)
k8s.networking.v1.NetworkPolicy(
    "deny",
    metadata={{"namespace": namespace.metadata.name}},
    spec={{"pod_selector": {{}}, "policy_types": ["Ingress"]}},
    opts=opts,
)
pulumi.export("url", pulumi.Output.concat("http://", service.spec.cluster_ip, ":8000/"))
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A project whose kubernetes provider is ours."""
    server, port = serve(ProviderServicer(KubernetesBackend()))
    yield Workspace(tmp_path / "workspace", f"kubernetes:{port}")
    server.stop(1).wait()


def test_a_program_comes_up_stays_unchanged_rolls_and_goes(workspace: Workspace, world: World) -> None:
    def program(answer: str) -> None:
        workspace.program(PROGRAM.format(kubeconfig=world.kubeconfig, image=world.image, answer=answer))

    def answers(text: str) -> bool:
        try:
            return httpx.get(str(workspace.outputs()["url"]), timeout=5).text == text
        except httpx.TransportError:
            return False

    program("one")
    # Five objects, the provider, the stack.
    assert workspace.up().steps == {"create": 7}
    assert eventually(lambda: answers("one"), timeout=60)
    refreshed = workspace.up("--refresh")
    assert refreshed.steps == {"same": 7}, refreshed.output
    program("two")
    changed = workspace.up()
    assert changed.steps == {"update": 1, "replace": 1, "same": 5}, changed.output
    assert eventually(lambda: answers("two"), timeout=60)
    assert workspace.destroy().steps == {"delete": 7}
