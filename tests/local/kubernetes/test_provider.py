"""The kubernetes provider against the real control plane."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scripts.local.cloud.backend import UNKNOWN, Change, Checked, NotFound, PartiallyCreated, Refused, Resource
from scripts.local.kubernetes.provider import KubernetesBackend
from tests.local.kubernetes.conftest import Namespace, World

STACK = "urn:pulumi:dev::event-platform"


def _resource(type: str, name: str = "thing") -> Resource:
    return Resource(f"{STACK}::{type}::{name}", type, name)


CONFIG_MAP = _resource("kubernetes:core/v1:ConfigMap", "settings")
DEPLOYMENT = _resource("kubernetes:apps/v1:Deployment", "web")
JOB = _resource("kubernetes:batch/v1:Job", "once")
RELEASE = _resource("kubernetes:helm.sh/v3:Release", "external-secrets")


@pytest.fixture
def provider(world: World) -> KubernetesBackend:
    """As a program configures it: the kubeconfig's content."""
    return KubernetesBackend().configured({"kubeconfig": world.kubeconfig.read_text()})


class Engine:
    """What the engine does with a provider, in a thread as gRPC does."""

    def __init__(self, provider: KubernetesBackend) -> None:
        self.provider = provider

    async def check(self, resource: Resource, inputs: Any, old: Any = None) -> Checked:
        return await asyncio.to_thread(self.provider.check, resource, inputs, old or {}, b"seed")

    async def create(self, resource: Resource, inputs: Any, timeout: float = 120) -> tuple[str, Any, Any]:
        checked = await self.check(resource, inputs)
        assert checked.refusals == () or not checked.refusals, checked.refusals
        work = self.provider.create
        created = await asyncio.to_thread(work, resource, checked.inputs, preview=False, timeout=timeout)
        return created.id, created.state, checked.inputs

    async def update(self, resource: Resource, id: str, state: Any, old: Any, new: Any, timeout: float = 120) -> Any:
        arguments = {"preview": False, "timeout": timeout, "ignore": []}
        return await asyncio.to_thread(self.provider.update, resource, id, state, old, new, **arguments)  # type: ignore[arg-type]

    async def read(self, resource: Resource, id: str, state: Any, inputs: Any) -> Any:
        return await asyncio.to_thread(self.provider.read, resource, id, state, inputs)

    async def delete(self, resource: Resource, id: str, state: Any) -> None:
        await asyncio.to_thread(self.provider.delete, resource, id, state, timeout=120)

    def changes(self, resource: Resource, id: str, state: Any, old: Any, new: Any) -> Any:
        return self.provider.diff(resource, id, state, old, new, [])


@pytest.fixture
def engine(provider: KubernetesBackend) -> Engine:
    return Engine(provider)


def _config_map(namespace: Namespace, **data: str) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace.name}, "data": data}


def _deployment(namespace: Namespace, **container: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [namespace.container(**container)]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {"metadata": {"namespace": namespace.name, "name": "web"}, "spec": spec}


async def test_an_object_without_a_name_gets_one_and_keeps_it(engine: Engine, namespace: Namespace) -> None:
    id, state, inputs = await engine.create(CONFIG_MAP, _config_map(namespace, colour="green"))
    assert id.startswith(f"{namespace.name}/settings-")
    assert state["metadata"]["uid"]
    again = await engine.check(CONFIG_MAP, _config_map(namespace, colour="green"), inputs)
    assert again.inputs["metadata"]["name"] == inputs["metadata"]["name"]
    assert not engine.changes(CONFIG_MAP, id, state, inputs, again.inputs).changes


async def test_an_unknown_property_is_refused_by_the_sdk_types(engine: Engine, namespace: Namespace) -> None:
    inputs = _deployment(namespace)
    inputs["spec"]["replica"] = 3
    checked = await engine.check(DEPLOYMENT, inputs)
    assert [each.property for each in checked.refusals] == ["spec.replica"]


async def test_what_the_api_server_would_refuse_is_refused_before_anything_is_created(
    engine: Engine, namespace: Namespace
) -> None:
    inputs = _deployment(namespace)
    inputs["spec"]["selector"]["matchLabels"]["app"] = "other"
    checked = await engine.check(DEPLOYMENT, inputs)
    assert "spec.template.metadata.labels" in checked.refusals[0].property


async def test_a_deployment_is_created_when_it_has_rolled_out(engine: Engine, namespace: Namespace) -> None:
    id, state, inputs = await engine.create(DEPLOYMENT, _deployment(namespace))
    assert id == f"{namespace.name}/web"
    assert state["status"]["availableReplicas"] == 1
    new = (
        await engine.check(DEPLOYMENT, _deployment(namespace, env=[{"name": "ANSWER", "value": "new"}]), inputs)
    ).inputs
    changes = engine.changes(DEPLOYMENT, id, state, inputs, new).changes
    assert set(changes.values()) <= {Change.ADD, Change.UPDATE}
    updated = await engine.update(DEPLOYMENT, id, state, inputs, new)
    assert updated["status"]["observedGeneration"] == 2
    await engine.delete(DEPLOYMENT, id, updated)
    with pytest.raises(NotFound):
        await engine.read(DEPLOYMENT, id, updated, new)
    assert await namespace.pods(app="web") == []


async def test_a_deployment_that_never_is_ready_says_why(engine: Engine, namespace: Namespace) -> None:
    broken = _deployment(namespace, readinessProbe={"tcpSocket": {"port": 8080}})
    broken["spec"]["template"]["spec"]["containers"][0]["command"] = ["python", "-c", "raise SystemExit('no database')"]
    with pytest.raises(PartiallyCreated) as failure:
        await engine.create(DEPLOYMENT, broken, timeout=8)
    assert failure.value.id == f"{namespace.name}/web"
    assert "0 of 1 replicas available" in failure.value.reason
    assert "no database" in failure.value.reason


async def test_a_failed_job_shows_the_end_of_its_log(engine: Engine, namespace: Namespace) -> None:
    container = namespace.container("python", "-c", "raise SystemExit('migration 7 failed')")
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    inputs = {"metadata": {"namespace": namespace.name}, "spec": {"backoffLimit": 0, "template": template}}
    with pytest.raises(PartiallyCreated, match="migration 7 failed"):
        await engine.create(JOB, inputs)


async def test_a_foreign_image_does_not_hold_the_update_up(
    engine: Engine, namespace: Namespace, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = _deployment(namespace)
    inputs["spec"]["template"]["spec"]["containers"][0]["image"] = "docker.io/metabase/metabase:v0.50"
    await engine.create(DEPLOYMENT, inputs)
    assert "Deployment web is not run here" in caplog.text


async def test_immutable_fields_force_a_replacement(engine: Engine, namespace: Namespace) -> None:
    id, state, inputs = await engine.create(CONFIG_MAP, _config_map(namespace, colour="green"))
    changed = (await engine.check(CONFIG_MAP, _config_map(namespace, colour="red"), inputs)).inputs
    difference = engine.changes(CONFIG_MAP, id, state, inputs, changed)
    assert difference.changes == {"data.colour": Change.REPLACE}
    named = {**inputs, "metadata": {"name": "fixed", "namespace": namespace.name}}
    before, after = {**named, "data": {"colour": "green"}}, {**named, "data": {"colour": "red"}}
    assert engine.changes(CONFIG_MAP, "x/fixed", {}, before, after).delete_before_replace


async def test_drift_is_seen_by_a_refresh(engine: Engine, namespace: Namespace) -> None:
    id, state, inputs = await engine.create(CONFIG_MAP, _config_map(namespace, colour="green"))
    name = id.partition("/")[2]
    await namespace.api.patch(namespace.path("configmaps", name), {"data": {"colour": "blue"}})
    found = await engine.read(CONFIG_MAP, id, state, inputs)
    assert found.inputs["data"] == {"colour": "blue"}
    assert engine.changes(CONFIG_MAP, id, found.state, found.inputs, inputs).changes


async def test_an_existing_object_is_imported_and_never_taken_over(engine: Engine, namespace: Namespace) -> None:
    await namespace.create("configmaps", {"metadata": {"name": "there"}, "data": {"a": "b"}})
    inputs = _config_map(namespace, a="b")
    inputs["metadata"]["name"] = "there"
    with pytest.raises(Refused, match="exists already; import it"):
        await engine.create(CONFIG_MAP, inputs)
    found = await engine.read(CONFIG_MAP, f"{namespace.name}/there", {}, {})
    assert found.inputs["data"] == {"a": "b"}
    assert "uid" not in found.inputs["metadata"]


async def test_a_custom_resource_is_checked_strictly(engine: Engine, namespace: Namespace) -> None:
    kind = {"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret"}
    resource = _resource("kubernetes:external-secrets.io/v1:ExternalSecret", "environment")
    spec = {"secretStoreRef": {"name": "aws"}, "refreshIntervall": "1m"}
    metadata = {"namespace": namespace.name, "name": "environment"}
    checked = await engine.check(resource, {**kind, "metadata": metadata, "spec": spec})
    assert ".spec.refreshIntervall: field not declared in schema" in checked.refusals[0].reason


async def test_a_release_is_recorded_with_its_values_and_brings_its_definitions(
    engine: Engine, namespace: Namespace
) -> None:
    inputs = {
        **{"chart": "external-secrets", "version": "1.3.2", "namespace": namespace.name, "name": "external-secrets"},
        "values": {"installCRDs": True},
    }
    id, state, recorded = await engine.create(RELEASE, inputs)
    assert state["status"]["status"] == "deployed"
    assert await namespace.api.find(namespace.path("secrets", "sh.helm.release.local.v1.external-secrets"))
    newer = {**recorded, "version": "1.3.3"}
    assert engine.changes(RELEASE, id, state, recorded, newer).changes == {"version": Change.UPDATE}
    assert (await engine.update(RELEASE, id, state, recorded, newer))["status"]["revision"] == 2
    await engine.delete(RELEASE, id, state)
    with pytest.raises(NotFound):
        await engine.read(RELEASE, id, state, recorded)


async def test_a_release_without_a_version_is_refused(engine: Engine, namespace: Namespace) -> None:
    checked = await engine.check(RELEASE, {"chart": "external-secrets", "namespace": namespace.name})
    assert [each.property for each in checked.refusals] == ["version"]


def test_a_preview_without_a_cluster_checks_types_alone() -> None:
    provider = KubernetesBackend().configured({"kubeconfig": UNKNOWN})
    inputs = {"metadata": {"namespace": UNKNOWN, "name": "x"}, "data": {"a": UNKNOWN}}
    checked = provider.check(CONFIG_MAP, inputs, {}, b"seed")
    assert not checked.refusals
    preview = provider.create(CONFIG_MAP, checked.inputs, preview=True, timeout=0)
    assert preview.state["data"] == {"a": UNKNOWN}
    with pytest.raises(Refused, match="has no kubeconfig"):
        provider.create(CONFIG_MAP, checked.inputs, preview=False, timeout=0)


def test_a_kubeconfig_that_leads_off_this_machine_is_never_used() -> None:
    kubeconfig = (
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'https://prod.example.com'}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {token: x}}]\n"
    )
    provider = KubernetesBackend().configured({"kubeconfig": kubeconfig})
    inputs = provider.check(CONFIG_MAP, {"data": {"a": "b"}}, {}, b"seed").inputs
    with pytest.raises(Refused, match="is not on loopback"):
        provider.create(CONFIG_MAP, inputs, preview=False, timeout=0)


def test_an_unknown_provider_setting_is_refused() -> None:
    with pytest.raises(Refused, match="kubeconfg"):
        KubernetesBackend().configured({"kubeconfg": "x"})
