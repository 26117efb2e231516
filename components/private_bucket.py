"""An S3 bucket that nobody reaches by accident: no public access, no ACLs, TLS only, versions, an end for what is old.

It refuses nothing itself; S3 does, in its name. Who may read it is said in one document, `close`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import s3

from components import iam
from components.context import Context

# Days that an unfinished upload is kept: its parts cost, and nobody sees them.
_UNFINISHED_DAYS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Private:
    """The bucket, and the resource that makes it keep versions: replication works from then on."""

    bucket: s3.Bucket
    versions: s3.BucketVersioning


def bucket(
    name: str,
    *,
    context: Context,
    key_arn: pulumi.Input[str] | None,
    expires_days: int | None,
    replaced_days: int,
    region: str | None = None,
    opts: pulumi.ResourceOptions,
) -> Private:
    """A bucket under the key ``key_arn``, or under S3's own where a service that writes to it knows no other.

    Objects go after ``expires_days``, if given; what was replaced or deleted after ``replaced_days``.
    """
    made = s3.Bucket(
        name,
        force_destroy=not context.production,
        region=region,
        tags=context.tags(name),
        opts=context.keep(opts),
    )
    s3.BucketPublicAccessBlock(
        name,
        bucket=made.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        region=region,
        opts=opts,
    )
    s3.BucketOwnershipControls(
        name, bucket=made.bucket, rule={"object_ownership": "BucketOwnerEnforced"}, region=region, opts=opts
    )
    s3.BucketServerSideEncryptionConfiguration(
        name,
        bucket=made.bucket,
        rules=[
            {
                "apply_server_side_encryption_by_default": (
                    {"sse_algorithm": "aws:kms", "kms_master_key_id": key_arn}
                    if key_arn is not None
                    else {"sse_algorithm": "AES256"}
                ),
                # One request to KMS for many objects.
                "bucket_key_enabled": key_arn is not None,
            }
        ],
        region=region,
        opts=opts,
    )
    versions = s3.BucketVersioning(
        name, bucket=made.bucket, versioning_configuration={"status": "Enabled"}, region=region, opts=opts
    )
    rule: Any = {
        "id": "tidy",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "abort_incomplete_multipart_upload": {"days_after_initiation": _UNFINISHED_DAYS},
        "noncurrent_version_expiration": {"noncurrent_days": replaced_days},
        **({"expiration": {"days": expires_days}} if expires_days else {}),
    }
    s3.BucketLifecycleConfiguration(
        name,
        bucket=made.bucket,
        rules=[rule],
        region=region,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[versions])),
    )
    return Private(bucket=made, versions=versions)


def policy(arn: str, statements: Sequence[Mapping[str, Any]]) -> str:
    """Who else may use the bucket with ``arn``, and nobody without TLS."""
    closed = {
        **iam.deny_plain_http(arn, "s3"),
        "Resource": [arn, f"{arn}/*"],
    }
    return iam.document(closed, *statements)
