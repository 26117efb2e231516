"""The job that brings a broker to what its topology says, before any service connects.

It runs on the cluster, because the broker has no address outside of the network. Its name carries the digest of the
document: a changed document is a new job, an unchanged one is none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
from pulumi_aws import secretsmanager

from components import pod, reach
from components.reach import Port, Surroundings
from components.secret_environment import SecretEnvironment, external_secret
from components.tenancy import BACKGROUND

_DEADLINE_SECONDS, _ATTEMPTS = 600, 5
_LOGIN = ("username", "password")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSetupArgs:
    """``image`` has the command; ``users`` are the secrets of the logins, by service."""

    image: pulumi.Input[str]
    command: Sequence[str]
    namespace: pulumi.Input[str]
    topology: Mapping[str, Any]
    administrator: secretsmanager.Secret
    users: Mapping[str, secretsmanager.Secret]
    surroundings: Surroundings

    def __post_init__(self) -> None:
        named = {permission["user"] for permission in self.topology["permissions"]}
        if strangers := sorted(named - set(self.users)):
            raise ValueError(
                f"the topology gives permissions to {', '.join(strangers)}, who have no login; users are "
                f"{', '.join(sorted(self.users))}"
            )


class BrokerSetup(pulumi.ComponentResource):
    """A Job, and the secret that it reads."""

    def __init__(self, name: str, args: BrokerSetupArgs, *, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:broker:Setup", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        document = json.dumps(args.topology, sort_keys=True)
        labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "event-platform"}

        def meta(called: str) -> k8s.meta.v1.ObjectMetaArgs:
            return k8s.meta.v1.ObjectMetaArgs(name=called, namespace=args.namespace, labels=labels)

        secret = external_secret(name, _environment(args), namespace=args.namespace, labels=labels, opts=child)
        account = k8s.core.v1.ServiceAccount(
            name, metadata=meta(name), automount_service_account_token=False, opts=child
        )
        reach.allow(
            name,
            namespace=args.namespace,
            labels=labels,
            ports=[Port.HTTPS],
            surroundings=args.surroundings,
            serves=None,
            opts=child,
        )
        k8s.batch.v1.Job(
            name,
            metadata=meta(f"{name}-{hashlib.sha256(document.encode()).hexdigest()[:10]}"),
            spec=k8s.batch.v1.JobSpecArgs(
                backoff_limit=_ATTEMPTS,
                active_deadline_seconds=_DEADLINE_SECONDS,
                template=pod.template(
                    image=args.image,
                    command=args.command,
                    labels=labels,
                    service_account=account.metadata.name.apply(lambda found: found or name),
                    environment={"BROKER_TOPOLOGY": document},
                    secret=name,
                    memory="128Mi",
                    cpu="50m",
                    priority=BACKGROUND,
                    probed=False,
                    restart="Never",
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[secret]),
        )
        self.register_outputs({})


def _environment(args: BrokerSetupArgs) -> SecretEnvironment:
    sources: dict[str, tuple[pulumi.Input[str], str]] = {
        "administrator": (args.administrator.name, "username"),
        "password": (args.administrator.name, "password"),
        "management": (args.administrator.name, "management"),
    }
    logins: dict[str, dict[str, str]] = {}
    for service, secret in args.users.items():
        sources |= {f"{service}_{field}": (secret.name, field) for field in _LOGIN}
        logins[service] = {field: f"{{{{ .{service}_{field} }}}}" for field in _LOGIN}
    return SecretEnvironment(
        sources=sources,
        variables={
            "BROKER_MANAGEMENT_URL": "{{ .management }}",
            "BROKER_ADMINISTRATOR": "{{ .administrator }}",
            "BROKER_PASSWORD": "{{ .password }}",
            "BROKER_USERS": json.dumps(logins),
        },
    )
