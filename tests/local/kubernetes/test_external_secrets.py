"""ExternalSecrets become Secrets, follow their source, and restart what reads them."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any

import pytest

from scripts.local.kubernetes.external_secrets.templates import BadTemplate, render
from tests.local.kubernetes.conftest import Namespace, ready, until


@pytest.fixture
def source(secrets_manager: Any) -> str:
    """A secret in the simulated Secrets Manager."""
    name = f"test/{secrets.token_hex(4)}"
    secrets_manager.create_secret(
        Name=name, SecretString=json.dumps({"user": "booking", "password": "a/b c", "port": 5432})
    )
    return name


async def test_properties_and_templates_make_a_secret(namespace: Namespace, source: str) -> None:
    url = "postgresql://{{ .user }}:{{ .password | urlquery }}@db:{{ .port }}/booking"
    await _external(namespace, source, {"DATABASE_URL": url, "PLAIN": "{{ .user | upper }}"})
    assert await until(lambda: _content(namespace)) == {
        "DATABASE_URL": "postgresql://booking:a%2Fb+c@db:5432/booking",
        "PLAIN": "BOOKING",
    }
    condition = await until(lambda: _condition(namespace, "True"))
    assert condition["reason"] == "SecretSynced"


async def test_a_whole_secret_is_extracted(namespace: Namespace, source: str) -> None:
    await _store(namespace)
    spec = {"secretStoreRef": {"name": "aws"}, "dataFrom": [{"extract": {"key": source}}]}
    await namespace.create("externalsecrets", {**_kind("ExternalSecret"), "metadata": {"name": "synced"}, "spec": spec})
    assert await until(lambda: _content(namespace)) == {"user": "booking", "password": "a/b c", "port": "5432"}


async def test_what_cannot_be_synced_is_said_in_the_status(namespace: Namespace, source: str) -> None:
    await _external(namespace, source, {"X": "{{ range .user }}{{ end }}"})
    condition = await until(lambda: _condition(namespace, "False"))
    assert "only {{ .name }}" in condition["message"]
    assert await namespace.api.find(namespace.path("secrets", "synced")) is None


async def test_a_missing_source_is_said_and_synced_once_it_is_there(namespace: Namespace, secrets_manager: Any) -> None:
    name = f"test/{secrets.token_hex(4)}"
    await _external(namespace, name, {"USER": "{{ .user }}"})
    assert name in (await until(lambda: _condition(namespace, "False")))["message"]
    content = json.dumps({"user": "late", "password": "", "port": 1})
    secrets_manager.create_secret(Name=name, SecretString=content)
    assert await until(lambda: _content(namespace)) == {"USER": "late"}


async def test_rotation_restarts_the_deployment_that_reads_the_secret(
    namespace: Namespace, source: str, secrets_manager: Any
) -> None:
    await _external(namespace, source, {"ANSWER": "{{ .password }}"}, interval="1s")
    container = namespace.container(envFrom=[{"secretRef": {"name": "synced"}}])
    await namespace.deployment("web", container)
    metadata = {"annotations": {"reloader.stakater.com/auto": "true"}}
    await namespace.api.patch(namespace.path("deployments", "web"), {"metadata": metadata})

    async def answers(password: str) -> bool:
        pods = [pod for pod in await namespace.pods(app="web") if ready(pod)]
        return len(pods) == 1 and await _fetch(pods[0]["status"]["podIP"]) == password

    await until(lambda: answers("a/b c"))
    content = json.dumps({"user": "booking", "password": "rotated", "port": 5432})
    secrets_manager.put_secret_value(SecretId=source, SecretString=content)
    await until(lambda: answers("rotated"))


def test_an_unknown_value_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(BadTemplate, match="no value 'pasword'; known are password, user"):
        render("{{ .pasword }}", {"password": "x", "user": "y"})


def test_an_unknown_function_is_refused() -> None:
    with pytest.raises(BadTemplate, match="function 'sha256sum' is not supported"):
        render("{{ .password | sha256sum }}", {"password": "x"})


def _kind(kind: str) -> dict[str, Any]:
    return {"apiVersion": "external-secrets.io/v1", "kind": kind}


async def _store(namespace: Namespace) -> None:
    spec = {"provider": {"aws": {"service": "SecretsManager", "region": "eu-west-1"}}}
    await namespace.create("secretstores", {**_kind("SecretStore"), "metadata": {"name": "aws"}, "spec": spec})


async def _external(namespace: Namespace, key: str, data: dict[str, str], interval: str = "1h") -> None:
    await _store(namespace)
    sources = [
        {"secretKey": each, "remoteRef": {"key": key, "property": each}} for each in ("user", "password", "port")
    ]
    spec = {
        "refreshInterval": interval,
        "secretStoreRef": {"kind": "SecretStore", "name": "aws"},
        "target": {"name": "synced", "template": {"engineVersion": "v2", "data": data}},
        "data": sources,
    }
    await namespace.create("externalsecrets", {**_kind("ExternalSecret"), "metadata": {"name": "synced"}, "spec": spec})


async def _content(namespace: Namespace) -> dict[str, str]:
    data = (await namespace.get("secrets", "synced"))["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


async def _condition(namespace: Namespace, status: str) -> Any:
    conditions = (await namespace.get("externalsecrets", "synced")).get("status", {}).get("conditions") or []
    return next((each for each in conditions if each["status"] == status), None)


async def _fetch(address: str) -> str:
    import httpx

    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://{address}:8080/")).text
        except httpx.TransportError:
            return ""
