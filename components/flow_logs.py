"""Who talked to whom in a network, kept encrypted for as long as the environment keeps its logs."""

from __future__ import annotations

import pulumi
from pulumi_aws import cloudwatch, ec2
from pulumi_aws import iam as aws_iam

from components import encryption, iam
from components.context import Context

# Seconds over which connections are summed up: the shortest that VPC Flow Logs offers (Amazon VPC User Guide).
_INTERVAL = 60
_WRITE = ("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams")


class FlowLogs(pulumi.ComponentResource):
    """The flow logs of one VPC in CloudWatch: a log group with a key of its own, and the role that writes it."""

    def __init__(
        self, name: str, vpc_id: pulumi.Input[str], *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:network:FlowLogs", name, None, opts)
        child, tags = pulumi.ResourceOptions(parent=self), context.tags(name)
        key = encryption.key(
            name, context=context, purpose="Flow logs", services=(f"logs.{context.region}.amazonaws.com",), opts=child
        )
        group = cloudwatch.LogGroup(
            name, kms_key_id=key.arn, retention_in_days=context.log_retention_days, tags=tags, opts=child
        )
        role = aws_iam.Role(
            name,
            assume_role_policy=context.trust("vpc-flow-logs.amazonaws.com"),
            tags=tags,
            opts=child,
        )
        policy = aws_iam.RolePolicy(
            name,
            role=role.id,
            policy=group.arn.apply(lambda arn: iam.document(iam.allow(_WRITE, (arn, f"{arn}:*")))),
            opts=child,
        )
        ec2.FlowLog(
            name,
            vpc_id=vpc_id,
            traffic_type="ALL",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=_INTERVAL,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.register_outputs({})
