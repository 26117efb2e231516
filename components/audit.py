"""What happened in the account, and how it was configured: CloudTrail and Config, kept where nobody edits them.

Both write to one bucket, under one key. The trail covers every Region and seals its files with digests, so that a
removed or changed file shows (CloudTrail User Guide, "Validating CloudTrail log file integrity"). Objects of the trail
stay as long as the environment keeps logs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_aws import cfg, cloudtrail, s3
from pulumi_aws import iam as aws_iam

from components import encryption, iam, private_bucket
from components.context import Context, Place

_TRAIL, _CONFIG = "cloudtrail.amazonaws.com", "config.amazonaws.com"


def writers(bucket_arn: str, place: Place, trail_name: str) -> Sequence[dict[str, Any]]:
    """The trail of this environment and Config of this account write below their prefixes; others write nothing."""
    for_trail = {"aws:SourceArn": place.arn("cloudtrail", f"trail/{trail_name}")}
    for_config = {"aws:SourceAccount": place.account_id}
    # Both services ask for the bucket's ACL before they write (CloudTrail User Guide and Config Developer Guide).
    return [
        statement
        for service, prefix, source in ((_TRAIL, "trail", for_trail), (_CONFIG, "config", for_config))
        for statement in (
            iam.allow(
                ("s3:GetBucketAcl", "s3:ListBucket"),
                (bucket_arn,),
                principal={"Service": service},
                condition={"StringEquals": source},
            ),
            iam.allow(
                ("s3:PutObject",),
                (f"{bucket_arn}/{prefix}/AWSLogs/{place.account_id}/*",),
                principal={"Service": service},
                condition={"StringEquals": {**source, "s3:x-amz-acl": "bucket-owner-full-control"}},
            ),
        )
    ]


class Audit(pulumi.ComponentResource):
    """A trail of every call in every Region, and a recorder of every resource's configuration."""

    bucket_name: pulumi.Output[str]

    def __init__(self, name: str, *, context: Context, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:guardrails:Audit", name, None, opts)
        self._name, self._context = name, context
        self._child = pulumi.ResourceOptions(parent=self)
        # The bucket's policy names the trail, and the trail needs the bucket: so its name is known beforehand.
        trail_name = f"{context.environment}-{name}"
        self._key = encryption.key(
            name, context=context, purpose="Trail and configurations", services=(_TRAIL, _CONFIG), opts=self._child
        )
        bucket = private_bucket.bucket(
            name,
            context=context,
            key_arn=self._key.arn,
            expires_days=context.log_retention_days,
            replaced_days=context.log_retention_days,
            opts=self._child,
        ).bucket
        policy = s3.BucketPolicy(
            name,
            bucket=bucket.bucket,
            policy=pulumi.Output.all(bucket.arn, context.place).apply(
                lambda known: private_bucket.policy(known[0], writers(known[0], known[1], trail_name))
            ),
            opts=self._child,
        )
        self.bucket_name = bucket.bucket
        after = pulumi.ResourceOptions(parent=self, depends_on=[policy])
        cloudtrail.Trail(
            name,
            name=trail_name,
            s3_bucket_name=bucket.bucket,
            s3_key_prefix="trail",
            kms_key_id=self._key.arn,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            tags=context.tags(name),
            opts=after,
        )
        self._record(bucket, after)
        self.register_outputs({"bucket_name": self.bucket_name})

    def _record(self, bucket: s3.Bucket, after: pulumi.ResourceOptions) -> None:
        """Config: what each resource looked like, and when it changed."""
        name, context = f"{self._name}-config", self._context
        role = aws_iam.Role(
            name, assume_role_policy=context.trust(_CONFIG), tags=context.tags(self._name), opts=self._child
        )
        aws_iam.RolePolicyAttachment(
            name, role=role.name, policy_arn=context.aws_policy("service-role/AWS_ConfigRole"), opts=self._child
        )
        aws_iam.RolePolicy(
            name,
            role=role.id,
            policy=pulumi.Output.all(bucket.arn, self._key.arn, context.account_id).apply(
                lambda known: iam.document(
                    iam.allow(("s3:GetBucketAcl", "s3:ListBucket"), (known[0],)),
                    iam.allow(("s3:PutObject",), (f"{known[0]}/config/AWSLogs/{known[2]}/*",)),
                    iam.allow(("kms:Decrypt", "kms:GenerateDataKey"), (known[1],)),
                )
            ),
            opts=self._child,
        )
        recorder = cfg.Recorder(
            name,
            # Config allows one recorder an account and Region, and calls it so.
            name="default",
            role_arn=role.arn,
            recording_group=cfg.RecorderRecordingGroupArgs(all_supported=True, include_global_resource_types=True),
            opts=self._child,
        )
        channel = cfg.DeliveryChannel(
            name,
            name="default",
            s3_bucket_name=bucket.bucket,
            s3_key_prefix="config",
            opts=pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(depends_on=[recorder])),
        )
        cfg.RecorderStatus(
            name,
            name=recorder.name,
            is_enabled=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[channel]),
        )
