"""A bucket that nobody outside the account can reach: encrypted, versioned, without ACLs, TLS only, emptied by age."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pulumi
from pulumi_aws import s3

from components import iam
from components.context import Context

# Days after which the pieces of an upload that was never finished are removed; nobody sees them, and they cost.
_PIECES_DAYS = 7
Statements = Callable[[str], Sequence[dict[str, Any]]]


def bucket_policy(arn: str, *statements: dict[str, Any]) -> str:
    """Nothing without TLS, and what ``statements`` allow."""
    return iam.document(
        iam.deny(("s3:*",), (arn, f"{arn}/*"), principal="*", condition={"Bool": {"aws:SecureTransport": "false"}}),
        *statements,
    )


def private_bucket(
    name: str,
    *,
    context: Context,
    key_arn: pulumi.Input[str],
    allow: pulumi.Output[Statements] | None = None,
    expire_days: int | None = None,
    opts: pulumi.ResourceOptions,
) -> tuple[s3.Bucket, s3.BucketPolicy]:
    """The bucket and its policy: what writes to it must wait for the policy.

    ``allow`` maps the bucket's ARN to the statements that let others in. Objects go after ``expire_days``; without it
    only their replaced versions do.
    """
    bucket = s3.Bucket(name, force_destroy=not context.production, tags=context.tags(name), opts=context.keep(opts))
    under = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(parent=bucket))
    s3.BucketPublicAccessBlock(
        name,
        bucket=bucket.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=under,
    )
    s3.BucketOwnershipControls(
        name,
        bucket=bucket.bucket,
        rule=s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
        opts=under,
    )
    versioning = s3.BucketVersioning(
        name,
        bucket=bucket.bucket,
        versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
        opts=under,
    )
    s3.BucketServerSideEncryptionConfiguration(
        name,
        bucket=bucket.bucket,
        rules=[
            s3.BucketServerSideEncryptionConfigurationRuleArgs(
                # One call of KMS for many objects.
                bucket_key_enabled=True,
                apply_server_side_encryption_by_default=(
                    s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                        sse_algorithm="aws:kms", kms_master_key_id=key_arn
                    )
                ),
            )
        ],
        opts=under,
    )
    s3.BucketLifecycleConfiguration(
        name,
        bucket=bucket.bucket,
        rules=[_by_age(expire_days, context.log_retention_days)],
        # S3 refuses a rule about versions where there are none yet.
        opts=pulumi.ResourceOptions.merge(under, pulumi.ResourceOptions(depends_on=[versioning])),
    )
    policy = s3.BucketPolicy(
        name,
        bucket=bucket.bucket,
        policy=pulumi.Output.all(bucket.arn, allow).apply(
            lambda known: bucket_policy(known[0], *(known[1](known[0]) if known[1] else ()))
        ),
        opts=under,
    )
    return bucket, policy


def _by_age(expire_days: int | None, keep_versions_days: int) -> s3.BucketLifecycleConfigurationRuleArgs:
    return s3.BucketLifecycleConfigurationRuleArgs(
        id="by-age",
        status="Enabled",
        filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
        expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(days=expire_days) if expire_days else None,
        noncurrent_version_expiration=s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
            noncurrent_days=keep_versions_days
        ),
        abort_incomplete_multipart_upload=s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
            days_after_initiation=_PIECES_DAYS
        ),
    )
