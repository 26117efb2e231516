"""A customer-managed key for one concern: its own key means its own audit trail and its own blast radius."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_aws import kms

from components import iam
from components.context import Context

# Days between the request to delete a key and its end; AWS allows 7 to 30, and a lost key is lost data.
_DELETION_WINDOW_DAYS = 30
# What a service does with a key on behalf of its caller.
_USE = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey", "kms:CreateGrant")


def key_policy(account_id: str, partition: str, services: Sequence[str]) -> str:
    """The account administers the key through IAM; ``services`` may use it for this account's resources only."""
    root = {"AWS": f"arn:{partition}:iam::{account_id}:root"}
    statements = [iam.allow(("kms:*",), ("*",), principal=root)]
    statements += [
        iam.allow(
            _USE,
            ("*",),
            principal={"Service": service},
            condition=_on_behalf_of(account_id, partition, service),
        )
        for service in services
    ]
    return iam.document(*statements)


def _on_behalf_of(account_id: str, partition: str, service: str) -> dict[str, dict[str, str]]:
    """How a service says for which account it uses a key: the context of the encryption, the source, or its account."""
    if service.startswith("logs."):
        return {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:{partition}:logs:*:{account_id}:*"}}
    if service.startswith("cloudfront."):
        # The distribution reads a bucket that needs the key first, so it cannot be named (CloudFront Developer Guide,
        # "Restrict access to an Amazon S3 origin", SSE-KMS).
        return {"ArnLike": {"aws:SourceArn": f"arn:{partition}:cloudfront::{account_id}:distribution/*"}}
    return {"StringEquals": {"aws:SourceAccount": account_id}}


def key(
    name: str,
    *,
    context: Context,
    purpose: str,
    services: Sequence[str] = (),
    region: str | None = None,
    opts: pulumi.ResourceOptions,
) -> kms.Key:
    """A key named ``name``, rotated every year by AWS, with an alias, usable by ``services`` (service principals).

    It is made in ``region``, or in the environment's own.
    """
    made = kms.Key(
        name,
        description=purpose,
        enable_key_rotation=True,
        deletion_window_in_days=_DELETION_WINDOW_DAYS,
        policy=pulumi.Output.all(context.account_id, context.partition).apply(
            lambda known: key_policy(known[0], known[1], services)
        ),
        region=region,
        tags=context.tags(name),
        opts=context.keep(opts),
    )
    kms.Alias(name, name=f"alias/{context.environment}/{name}", target_key_id=made.key_id, region=region, opts=opts)
    return made
