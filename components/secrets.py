"""Secrets in Secrets Manager, encrypted with a key of the environment, closed to plain HTTP and to other accounts.

Two kinds: a secret whose value the stack makes (a generated password with where to use it), and one that a person fills
in (an API key of a provider): its value never passes through Pulumi, and a change made by hand is not undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_random as random
from pulumi_aws import secretsmanager

from components import encryption, iam
from components.context import Context

# Days in which a deleted secret can be brought back; Secrets Manager allows 7 to 30 (0 deletes at once).
_RECOVERY_DAYS = {True: 30, False: 7}
_PASSWORD_LENGTH = 32


def generated_password(name: str, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """A password of letters and digits: it needs no escaping in a URL, and Amazon MQ refuses some punctuation."""
    return random.RandomPassword(name, length=_PASSWORD_LENGTH, special=False, opts=opts).result


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A part of another environment's secrets: below ``name``, under that one's key, gone at once when deleted."""

    name: str
    key_arn: pulumi.Output[str]


class Secrets(pulumi.ComponentResource):
    """The key and the rules under which an environment keeps its secrets."""

    key_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        folder: Folder | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """With ``folder`` the secrets are a guest's, and have no key of their own."""
        super().__init__("platform:secrets:Secrets", name, None, opts)
        self._context = context
        self._child = pulumi.ResourceOptions(parent=self)
        self._folder = folder.name if folder else context.environment
        # A guest stays for days, and its logins go with it: no schedule would come round.
        self._tags = {"Rotation": "external"} if folder else {}
        self._recovery_days = 0 if folder else _RECOVERY_DAYS[context.production]
        self.key_arn = (
            folder.key_arn if folder else encryption.key(name, context=context, purpose="Secrets", opts=self._child).arn
        )
        # Without its secrets a restored environment opens nothing.
        self._replicas = (
            [
                secretsmanager.SecretReplicaArgs(
                    region=context.recovery_region,
                    kms_key_id=encryption.key(
                        f"{name}-abroad",
                        context=context,
                        purpose="Copies of secrets",
                        region=context.recovery_region,
                        opts=self._child,
                    ).arn,
                )
            ]
            if context.production
            else None
        )
        self.register_outputs({"key_arn": self.key_arn})

    def keep(self, name: str, values: Mapping[str, pulumi.Input[str]], *, about: str) -> secretsmanager.Secret:
        """A secret with ``values``, stored as one JSON object. The stack's state holds them, encrypted."""
        secret = self.declare(name, about=about)
        self.fill(name, secret, values)
        return secret

    def fill(self, name: str, secret: secretsmanager.Secret, values: Mapping[str, pulumi.Input[str]]) -> None:
        """Give a declared secret its first value: for one whose value names something that needs the secret."""
        secretsmanager.SecretVersion(
            name,
            secret_id=secret.id,
            secret_string=_secret_json(values),
            # Rotation writes new versions; the next `up` must not bring the first one back.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["secretString"]),
        )

    def key(self, name: str, *, about: str, **values: pulumi.Input[str]) -> secretsmanager.Secret:
        """A generated key with the one that follows it, {key, next, previous}: ``Rotator.KEY`` moves them up."""
        drawn = {part: generated_password(f"{name}-{part}", self._child) for part in ("key", "next")}
        return self.keep(name, {**drawn, "previous": "", **values}, about=about)

    def external(self, name: str, *, about: str) -> secretsmanager.Secret:
        """A secret whose value an operator sets, with ``aws secretsmanager put-secret-value``."""
        return self.declare(name, about=about)

    def declare(self, name: str, *, about: str) -> secretsmanager.Secret:
        """A secret without a value, and the policy that closes it."""
        context = self._context
        secret = secretsmanager.Secret(
            name,
            # People, external-secrets and runbooks refer to it by name.
            name=f"{self._folder}/{name}",
            description=about,
            kms_key_id=self.key_arn,
            recovery_window_in_days=self._recovery_days,
            replicas=self._replicas,
            tags={**context.tags(name), **self._tags},
            opts=context.keep(self._child),
        )
        secretsmanager.SecretPolicy(
            name,
            secret_arn=secret.arn,
            block_public_policy=True,
            policy=pulumi.Output.all(secret.arn, context.account_id).apply(
                lambda known: secret_policy(arn=known[0], account_id=known[1])
            ),
            opts=self._child,
        )
        return secret


def secret_policy(*, arn: str, account_id: str) -> str:
    """Nobody from another account and nobody without TLS, whatever their own permissions say."""
    return iam.document(
        iam.deny_plain_http(arn, "secretsmanager"),
        iam.deny(
            ("secretsmanager:*",),
            (arn,),
            principal="*",
            condition={"StringNotEquals": {"aws:PrincipalAccount": account_id}},
        ),
    )


def _secret_json(values: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    as_text: pulumi.Output[str] = pulumi.Output.json_dumps(dict(values), sort_keys=True)
    return pulumi.Output.secret(as_text)
