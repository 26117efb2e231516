"""The job that brings a broker to what its topology says, before any service connects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import secretsmanager

from components.reach import Port, Surroundings
from components.secret_environment import SecretEnvironment
from components.setup_job import SetupJob, SetupJobArgs

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
        SetupJob(
            name,
            SetupJobArgs(
                image=args.image,
                command=args.command,
                namespace=args.namespace,
                documents={"BROKER_TOPOLOGY": json.dumps(args.topology, sort_keys=True)},
                secrets=_environment(args),
                surroundings=args.surroundings,
                reaches=[Port.HTTPS],
            ),
            opts=pulumi.ResourceOptions(parent=self),
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
