"""The files of the web front end: a private bucket of immutable releases, a copy abroad, and a pointer to one of them.

A release is a folder, ``releases/<name>/``, that is written once: S3 refuses to overwrite what is in it. Which one
visitors get is a single value, the key ``current`` of a CloudFront KeyValueStore, so that a release appears, and is
taken back, whole and at once. The pointer belongs to whoever releases; the stack makes the store and no value, and
until there is one the function answers 503 (docs/decisions/edge.md has the commands).

The copy in the recovery Region is the second member of CloudFront's origin group: reading goes on without S3 here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
from pulumi_aws import cloudfront, kms, s3
from pulumi_aws import iam as aws_iam

from components import encryption, iam, private_bucket
from components.context import Context
from components.private_bucket import Private

RELEASES = "releases/"
_FUNCTION = Path(__file__).parent / "functions" / "current_release.js"
_RUNTIME = "cloudfront-js-2.0"
# Days in which a release that was deleted can be brought back.
_REPLACED_DAYS = 30


def reader(bucket_arn: str, distribution_arn: str) -> list[dict[str, Any]]:
    """One distribution may read. It may list, too: without that S3 answers 403 for what is not there, and not 404."""
    principal = {"Service": "cloudfront.amazonaws.com"}
    only = {"StringEquals": {"aws:SourceArn": distribution_arn}}
    return [
        iam.allow(("s3:GetObject",), (f"{bucket_arn}/{RELEASES}*",), principal=principal, condition=only),
        iam.allow(("s3:ListBucket",), (bucket_arn,), principal=principal, condition=only),
    ]


def written_once(bucket_arn: str) -> dict[str, Any]:
    """A file of a release is created or not: never replaced (S3 User Guide, "Enforce conditional writes")."""
    return iam.deny(
        ("s3:PutObject",),
        (f"{bucket_arn}/{RELEASES}*",),
        principal="*",
        condition={"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}},
    )


def copying(home: str, copy: str, home_key: str, copy_key: str) -> str:
    """What S3 needs to copy objects under one key to a bucket under another (S3 User Guide, "Replicating encrypted
    objects").
    """
    return iam.document(
        iam.allow(("s3:GetReplicationConfiguration", "s3:ListBucket"), (home,)),
        iam.allow(
            (
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionTagging",
            ),
            (f"{home}/*",),
        ),
        iam.allow(("s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"), (f"{copy}/*",)),
        iam.allow(("kms:Decrypt",), (home_key,)),
        iam.allow(("kms:Encrypt", "kms:GenerateDataKey"), (copy_key,)),
    )


class StaticSite(pulumi.ComponentResource):
    """Both buckets with their keys, the replication between them, the pointer and the function that follows it."""

    bucket: pulumi.Output[str]
    domain_names: dict[str, pulumi.Output[str]]
    """Of the bucket (``home``) and of its copy (``copy``), as origins."""
    function_arn: pulumi.Output[str]
    function_name: pulumi.Output[str]
    pointer_arn: pulumi.Output[str]

    def __init__(self, name: str, *, context: Context, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:edge:StaticSite", name, None, opts)
        self._name, self._context = name, context
        self._child = pulumi.ResourceOptions(parent=self)
        (home, home_key), (copy, copy_key) = self._bucket("home"), self._bucket("copy")
        self._buckets = {"home": home.bucket, "copy": copy.bucket}
        self._copy(home, copy, home_key, copy_key)
        self.bucket = home.bucket.bucket
        self.domain_names = {role: made.bucket_regional_domain_name for role, made in self._buckets.items()}
        pointer = cloudfront.KeyValueStore(name, comment="Which release visitors get", opts=self._child)
        function = cloudfront.Function(
            name,
            runtime=_RUNTIME,
            comment="Leads to the files of the current release",
            code=_FUNCTION.read_text(),
            key_value_store_associations=[pointer.arn],
            publish=True,
            opts=self._child,
        )
        self.function_arn, self.function_name, self.pointer_arn = function.arn, function.name, pointer.arn
        self.register_outputs({"bucket": self.bucket, "pointer_arn": self.pointer_arn})

    def serve_to(self, distribution_arn: pulumi.Input[str]) -> None:
        """Let one distribution read both buckets, and nobody else."""
        for role, made in self._buckets.items():
            s3.BucketPolicy(
                f"{self._name}-{role}",
                bucket=made.bucket,
                policy=pulumi.Output.all(made.arn, distribution_arn).apply(
                    lambda arns: private_bucket.policy(arns[0], [*reader(*arns), written_once(arns[0])])
                ),
                region=self._region(role),
                opts=self._child,
            )

    def _region(self, role: str) -> str | None:
        return self._context.recovery_region if role == "copy" else None

    def _bucket(self, role: str) -> tuple[Private, kms.Key]:
        name, region = f"{self._name}-{role}", self._region(role)
        key = encryption.key(
            name,
            context=self._context,
            purpose="Files of the web front end",
            services=("cloudfront.amazonaws.com",),
            region=region,
            opts=self._child,
        )
        made = private_bucket.bucket(
            name,
            context=self._context,
            key_arn=key.arn,
            expires_days=None,
            replaced_days=_REPLACED_DAYS,
            region=region,
            opts=self._child,
        )
        return made, key

    def _copy(self, home: Private, copy: Private, home_key: kms.Key, copy_key: kms.Key) -> None:
        name = f"{self._name}-copying"
        role = aws_iam.Role(
            name,
            assume_role_policy=self._context.trust("s3.amazonaws.com"),
            tags=self._context.tags(self._name),
            opts=self._child,
        )
        granted = aws_iam.RolePolicy(
            name,
            role=role.id,
            policy=pulumi.Output.all(home.bucket.arn, copy.bucket.arn, home_key.arn, copy_key.arn).apply(
                lambda arns: copying(*arns)
            ),
            opts=self._child,
        )
        s3.BucketReplicationConfig(
            name,
            bucket=home.bucket.bucket,
            role=role.arn,
            rules=[
                {
                    "id": "abroad",
                    "status": "Enabled",
                    "priority": 1,
                    "filter": {"prefix": RELEASES},
                    "delete_marker_replication": {"status": "Enabled"},
                    "source_selection_criteria": {"sse_kms_encrypted_objects": {"status": "Enabled"}},
                    "destination": {
                        "bucket": copy.bucket.arn,
                        "storage_class": "STANDARD",
                        "encryption_configuration": {"replica_kms_key_id": copy_key.arn},
                    },
                }
            ],
            # S3 copies between buckets that keep versions alone.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[granted, home.versions, copy.versions]),
        )
