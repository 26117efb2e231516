"""CloudFront's access log (standard logging v2), encrypted, in CloudWatch, where the firewall's log is too.

It leaves out cookies and query strings, which hold what identifies a visitor or opens a session.
"""

from __future__ import annotations

import pulumi
from pulumi_aws import cloudwatch

from components import aws_facts, encryption, iam
from components.context import Context, Place

_REGION = aws_facts.CLOUDFRONT_REGION
# CloudFront Developer Guide, "Standard logging (access logs)": the fields of a real-time question at night.
FIELDS = (
    "timestamp", "x-edge-location", "sc-bytes", "c-ip", "cs-method", "cs(Host)", "cs-uri-stem", "sc-status",
    "cs(Referer)", "cs(User-Agent)", "x-edge-result-type", "x-edge-request-id", "x-host-header", "cs-protocol",
    "time-taken", "ssl-protocol", "x-edge-response-result-type", "cs-protocol-version", "time-to-first-byte",
    "x-edge-detailed-result-type", "sc-content-type",
)  # fmt: skip


def log_policy(place: Place, group_arn: str) -> str:
    """AWS's log delivery may write to the group, for this account's sources."""
    return iam.document(
        iam.allow(
            ("logs:CreateLogStream", "logs:PutLogEvents"),
            (f"{group_arn}:*",),
            principal={"Service": "delivery.logs.amazonaws.com"},
            condition={"StringEquals": {"aws:SourceAccount": place.account_id}},
        )
    )


def make(
    name: str, distribution_arn: pulumi.Input[str], *, context: Context, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """Log what the distribution answers; returns the name of the log group in us-east-1."""
    tags = context.tags(name)
    key = encryption.key(
        name,
        context=context,
        purpose="Access log of CloudFront",
        services=(f"logs.{_REGION}.amazonaws.com",),
        region=_REGION,
        opts=opts,
    )
    group = cloudwatch.LogGroup(
        name,
        kms_key_id=key.arn,
        retention_in_days=context.log_retention_days,
        region=_REGION,
        tags=tags,
        opts=opts,
    )
    allowed = cloudwatch.LogResourcePolicy(
        name,
        policy_name=f"{context.environment}-{name}",
        policy_document=pulumi.Output.all(context.place, group.arn).apply(lambda known: log_policy(*known)),
        region=_REGION,
        opts=opts,
    )
    source = cloudwatch.LogDeliverySource(
        name, resource_arn=distribution_arn, log_type="ACCESS_LOGS", region=_REGION, tags=tags, opts=opts
    )
    destination = cloudwatch.LogDeliveryDestination(
        name,
        output_format="json",
        delivery_destination_configuration={"destination_resource_arn": group.arn},
        region=_REGION,
        tags=tags,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[allowed])),
    )
    cloudwatch.LogDelivery(
        name,
        delivery_source_name=source.name,
        delivery_destination_arn=destination.arn,
        record_fields=list(FIELDS),
        region=_REGION,
        tags=tags,
        opts=opts,
    )
    return group.name
