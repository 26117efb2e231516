"""What an environment keeps for its previews: the function that gives each its part of the stores, and takes it back.

Previews are guests of environments that are not production. The function alone has the administrators' logins; a
preview's stack may call it and tells it nothing but a name. It runs beside the functions that rotate secrets, because
it needs to reach the same stores and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_aws import secretsmanager

from components import iam
from components.context import Context, Place
from components.function import Function, FunctionArgs
from components.function_package import sources
from components.severity import Severity

_COMPONENTS = Path(__file__).parent
_MODULES = (
    *("__init__", "preview_names", "functions/__init__", "functions/tenant", "functions/tenant_postgresql"),
    *("functions/tenant_rabbitmq", "functions/tenant_valkey", "functions/rotation", "functions/rotation_postgresql"),
    "functions/rotation_rabbitmq",
)
_LIBRARIES = ("pg8000", "scramp", "asn1crypto")
# Seconds: a database with open sessions takes a moment to drop.
SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantsArgs:
    """Secrets: the login of each service's database, the broker's administrator, the cache's user.

    The function runs in ``subnet_ids``, as one of ``security_group_id``.
    """

    databases: Mapping[str, secretsmanager.Secret]
    broker: secretsmanager.Secret
    cache: secretsmanager.Secret
    secrets_key_arn: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]


class Tenants(pulumi.ComponentResource):
    """The function."""

    function_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: TenantsArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Raises ValueError in production, which has no guests."""
        if context.production:
            raise ValueError(f"{context.environment} is production, which has no previews: let another environment")
        super().__init__("platform:preview:Tenants", name, None, opts)
        files = {f"components/{module}.py": _COMPONENTS / f"{module}.py" for module in _MODULES}
        self.function_name = Function(
            name,
            FunctionArgs(
                about="Gives previews their part of the stores",
                files={**files, **{library: sources(library) for library in _LIBRARIES}},
                handler="components.functions.tenant.handler",
                runbook="orphan_previews",
                # Each of a few previews, made or gone.
                concurrency=5,
                timeout_seconds=SECONDS,
                environment={
                    "ENVIRONMENT": context.environment,
                    "DATABASES": pulumi.Output.json_dumps({name: each.name for name, each in args.databases.items()}),
                    "BROKER": args.broker.name,
                    "CACHE": args.cache.name,
                },
                permissions=[
                    pulumi.Output.all(context.place, args.secrets_key_arn).apply(
                        lambda known: permissions(known[0], key_arn=known[1])
                    )
                ],
                subnet_ids=args.subnet_ids,
                security_group_ids=[args.security_group_id],
                # Nobody is woken for a preview.
                severity=Severity.TICKET,
            ),
            context=context,
            opts=pulumi.ResourceOptions(parent=self),
        ).name
        self.register_outputs({"function_name": self.function_name})


def permissions(place: Place, *, key_arn: str) -> list[dict[str, object]]:
    """Read the environment's secrets, its guests' among them, and those of the databases' owners, which RDS keeps."""
    through = {"StringEquals": {"kms:ViaService": f"secretsmanager.{place.region}.amazonaws.com"}}
    mine, owners = (place.arn("secretsmanager", f"secret:{name}") for name in (f"{place.environment}/*", "rds!*"))
    return [
        iam.allow(("secretsmanager:GetSecretValue",), (mine, owners)),
        iam.allow(("kms:Decrypt",), (key_arn,), condition=through),
        # Each database's owner is under the key of that database.
        iam.allow(("kms:Decrypt",), ("*",), condition=through),
    ]
