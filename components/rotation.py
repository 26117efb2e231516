"""Rotation of the secrets that this platform makes itself: a function for each engine, and a schedule for each secret.

RDS rotates the masters of its databases; the rest is here: the services' roles in PostgreSQL, the users of RabbitMQ,
the users of the caches, and keys that only their holders know. It refuses a secret without a function and an interval
that Secrets Manager does not take. Logins take turns (or have two passwords), so that pods which still use the old one
go on working until external-secrets has brought the new one and they were restarted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pulumi
from pulumi_aws import ec2, secretsmanager

from components import iam
from components.context import Context, Place
from components.function import Function, FunctionArgs
from components.function_package import sources

_FUNCTIONS = Path(__file__).parent / "functions"
# Days. Secrets Manager takes 1 to 1000 (Secrets Manager API Reference, "RotationRulesType").
_INTERVAL = range(1, 1001)
_SECONDS = 300


class Rotator(StrEnum):
    """Who knows the login: the name of a module in ``functions/``."""

    POSTGRESQL = "rotation_postgresql"
    RABBITMQ = "rotation_rabbitmq"
    VALKEY = "rotation_valkey"
    KEY = "rotation_key"


# What a function needs besides what Lambda brings with boto3.
_LIBRARIES: Mapping[Rotator, Sequence[str]] = {Rotator.POSTGRESQL: ("pg8000", "scramp", "asn1crypto")}


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationArgs:
    """The functions run in ``subnet_ids``; ``interval_days`` is how often each secret changes."""

    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    secrets_key_arn: pulumi.Input[str]
    interval_days: int

    def __post_init__(self) -> None:
        if self.interval_days not in _INTERVAL:
            raise ValueError(
                f"rotation interval is {self.interval_days} days; Secrets Manager takes {_INTERVAL.start} to "
                f"{_INTERVAL.stop - 1}: set secrets.rotation_days"
            )


class Rotation(pulumi.ComponentResource):
    """A function for each engine, the security group in which they run, and the schedules of the secrets."""

    security_group_id: pulumi.Output[str]
    """Stores let it in: a function that rotates a login has to log in."""
    function_names: dict[str, pulumi.Output[str]]

    def __init__(
        self, name: str, args: RotationArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:secrets:Rotation", name, None, opts)
        self._name, self._args, self._context = name, args, context
        self._child = pulumi.ResourceOptions(parent=self)
        group = ec2.SecurityGroup(
            name,
            description="Functions that rotate secrets: out to stores and AWS, nothing in",
            vpc_id=args.vpc_id,
            egress=[
                ec2.SecurityGroupEgressArgs(
                    description=about, protocol="tcp", from_port=port, to_port=port, cidr_blocks=["0.0.0.0/0"]
                )
                for about, port in (("AWS and RabbitMQ's management", 443), ("PostgreSQL", 5432), ("Valkey", 6379))
            ],
            tags=context.tags(name),
            opts=self._child,
        )
        self.security_group_id = group.id
        self._functions = {rotator: self._function(rotator) for rotator in Rotator}
        self.function_names = {rotator.value: function.name for rotator, function in self._functions.items()}
        for function in self._functions.values():
            function.callable_by("secrets-manager", "secretsmanager.amazonaws.com")
        self.register_outputs({})

    def schedule(
        self, name: str, secret: secretsmanager.Secret, rotator: Rotator, *, after: Sequence[pulumi.Resource] = ()
    ) -> None:
        """Rotate ``secret`` every interval, for the first time when the first interval is over.

        ``after`` are what must exist before: the value, above all.
        """
        secretsmanager.SecretRotation(
            name,
            secret_id=secret.id,
            rotation_lambda_arn=self._functions[rotator].arn,
            rotate_immediately=False,
            rotation_rules=secretsmanager.SecretRotationRotationRulesArgs(
                automatically_after_days=self._args.interval_days
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*self._functions.values(), *after]),
        )

    def _function(self, rotator: Rotator) -> Function:
        shipped = ("rotation", rotator.value)
        files = {f"components/functions/{module}.py": _FUNCTIONS / f"{module}.py" for module in shipped}
        files |= {f"components/{init}": _FUNCTIONS.parent / init for init in ("__init__.py", "functions/__init__.py")}
        files |= {library: sources(library) for library in _LIBRARIES.get(rotator, ())}
        context = self._context
        return Function(
            f"{self._name}-{rotator.value.removeprefix('rotation_')}",
            FunctionArgs(
                about=f"Rotates secrets of {rotator.name.title()}",
                files=files,
                handler=f"components.functions.{rotator.value}.handler",
                runbook="secret_rotation",
                # Rotations of different secrets fall together; the stores do not need more at a time.
                concurrency=5,
                timeout_seconds=_SECONDS,
                permissions=[
                    pulumi.Output.all(context.place, self._args.secrets_key_arn).apply(
                        lambda known: permissions(rotator, known[0], key_arn=known[1])
                    )
                ],
                subnet_ids=self._args.subnet_ids,
                security_group_ids=[self.security_group_id],
            ),
            context=context,
            opts=self._child,
        )


def permissions(rotator: Rotator, place: Place, *, key_arn: str) -> list[dict[str, object]]:
    """What the function of one engine may do: turn over the environment's own secrets, and what its engine asks for."""
    through = {"StringEquals": {"kms:ViaService": f"secretsmanager.{place.region}.amazonaws.com"}}
    statements = [
        iam.allow(
            (
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetSecretValue",
                "secretsmanager:PutSecretValue",
                "secretsmanager:UpdateSecretVersionStage",
            ),
            (place.arn("secretsmanager", f"secret:{place.environment}/*"),),
        ),
        # It names no secret.
        iam.allow(("secretsmanager:GetRandomPassword",), ("*",)),
        iam.allow(("kms:Decrypt", "kms:GenerateDataKey"), (key_arn,), condition=through),
    ]
    if rotator is Rotator.POSTGRESQL:
        # The owner's secret is RDS's own, under the key of its database.
        statements.append(iam.allow(("secretsmanager:GetSecretValue",), (place.arn("secretsmanager", "secret:rds!*"),)))
        statements.append(iam.allow(("kms:Decrypt",), ("*",), condition=through))
    if rotator is Rotator.VALKEY:
        users = place.arn("elasticache", f"user:{place.environment}-*")
        statements.append(iam.allow(("elasticache:DescribeUsers", "elasticache:ModifyUser"), (users,)))
    return statements
