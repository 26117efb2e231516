"""Environment variables made from Secrets Manager: an ExternalSecret that keeps a Kubernetes Secret true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.secret_sync import STORE


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretEnvironment:
    """Environment variables made from secrets.

    ``sources`` gives each value an alias: alias → (secret name or ARN, property of its JSON). ``variables`` are
    templates over the aliases, like ``redis://{{ .user }}:{{ .password }}@…``.
    """

    sources: Mapping[str, tuple[pulumi.Input[str], str]]
    variables: Mapping[str, str]


def as_json(names: Iterable[str], *, prefix: str = "") -> str:
    """A template of one JSON object, name → value of its alias: for values that people wrote, whatever is in them."""
    return "{" + ", ".join(f'"{name}": {{{{ .{prefix}{name} | toJson }}}}' for name in names) + "}"


def external_secret(
    name: str,
    secrets: SecretEnvironment,
    *,
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> k8s.apiextensions.CustomResource:
    """Keeps the Kubernetes Secret ``name`` as ``secrets`` say, within a minute of a change."""
    return k8s.apiextensions.CustomResource(
        f"{name}-environment",
        api_version="external-secrets.io/v1",
        kind="ExternalSecret",
        metadata=k8s.meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=dict(labels), annotations={}),
        spec={
            "refreshInterval": "1m",
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": STORE},
            "target": {
                "name": name,
                "template": {"engineVersion": "v2", "data": dict(secrets.variables)},
            },
            "data": [
                {"secretKey": alias, "remoteRef": {"key": key, "property": prop}}
                for alias, (key, prop) in sorted(secrets.sources.items())
            ],
        },
        opts=opts,
    )
