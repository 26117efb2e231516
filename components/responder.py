"""The incident role: what the person on call may do at night, which is what the runbooks say and nothing else.

It looks at everything and changes what belongs to this environment, by its tag. It refuses to hold what would let it
give itself more: no identity, no policy, no key can be changed with it. Who may take the role is decided where people
are: in IAM or Identity Center of the account. Tests hold the lists to the commands of the runbooks.
"""

from __future__ import annotations

import pulumi
from pulumi_aws import iam as aws_iam

from components import iam
from components.context import Context, Place

# Seconds (IAM: 3,600 to 43,200): an incident that lasts longer is handed over, with a new session.
_SESSION_SECONDS = 4 * 3600
# What tells something and changes nothing.
LOOKS: tuple[str, ...] = (
    "acm:DescribeCertificate", "acm:ListCertificates",
    "backup:ListBackupJobs", "backup:ListBackupPlans", "backup:ListBackupSelections", "backup:ListBackupVaults",
    "backup:ListCopyJobs", "backup:ListRecoveryPointsByBackupVault",
    "cloudfront-keyvaluestore:DescribeKeyValueStore", "cloudfront-keyvaluestore:GetKey",
    "cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus", "cloudtrail:LookupEvents",
    "cloudwatch:DescribeAlarms", "cloudwatch:GetMetricStatistics",
    "ec2:DescribeInstanceTypes", "ec2:DescribeInstances", "ec2:DescribeManagedPrefixLists", "ec2:DescribeSubnets",
    "ec2:GetManagedPrefixListEntries",
    "eks:DescribeCluster", "eks:DescribeNodegroup", "eks:ListNodegroups",
    "elasticache:DescribeEvents", "elasticache:DescribeReplicationGroups", "elasticache:ListTagsForResource",
    "elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeTargetHealth",
    "guardduty:GetFindings", "guardduty:ListDetectors",
    "health:DescribeEvents",
    "logs:DescribeLogGroups", "logs:FilterLogEvents", "logs:GetQueryResults", "logs:StartQuery",
    "mq:ListBrokers",
    "rds:DescribeDBInstances", "rds:DescribeEvents",
    "secretsmanager:DescribeSecret",
    "servicequotas:GetServiceQuota",
    "sqs:GetQueueAttributes", "sqs:ListMessageMoveTasks",
    "ssm:GetParameter", "ssm:GetParameterHistory",
    "states:DescribeExecution", "states:GetExecutionHistory", "states:ListExecutions",
    "sts:GetCallerIdentity",
    "wafv2:GetIPSet", "wafv2:GetSampledRequests", "wafv2:GetWebACL", "wafv2:ListIPSets",
)  # fmt: skip
# What changes something that carries the environment's tag.
MENDS: tuple[str, ...] = (
    "backup:StartBackupJob",
    "eks:UpdateNodegroupConfig",
    "elasticache:ModifyReplicationGroup", "elasticache:TestFailover",
    "elasticloadbalancing:ModifyRule",
    "kms:CancelKeyDeletion", "kms:EnableKey",
    "rds:ModifyDBInstance", "rds:RebootDBInstance",
    "secretsmanager:PutSecretValue", "secretsmanager:RotateSecret", "secretsmanager:UpdateSecretVersionStage",
    "sns:Subscribe",
    "sqs:CancelMessageMoveTask", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage",
    "sqs:SendMessage", "sqs:StartMessageMoveTask",
    "ssm:PutParameter",
    "wafv2:UpdateIPSet",
)  # fmt: skip
# Logins with which a runbook looks into a database or the broker, by their names; no key of a provider, no signing key.
OPENS: tuple[str, ...] = ("secretsmanager:GetSecretValue",)
_LOGINS = ("*-database", "broker-*", "database-authorities")
# Locks of runbooks: parameters that come and go, so by their name.
LOCKS: tuple[str, ...] = ("ssm:DeleteParameter", "ssm:PutParameter")
# Alarms are silent while somebody is at work: mute rules that come and go, by their name.
SILENCES: tuple[str, ...] = ("cloudwatch:DeleteAlarmMuteRule", "cloudwatch:PutAlarmMuteRule")
# Step Functions and CloudFront know no tag of what these are about (Service Authorization Reference).
_ANSWERS, _POINTS, _SEES_RELEASES = "states:SendTaskSuccess", "cloudfront-keyvaluestore:PutKey", "s3:GetObject"
UNTAGGED: tuple[str, ...] = (_ANSWERS, _POINTS, _SEES_RELEASES)
# Services that decrypt or encrypt on the role's behalf.
_THROUGH = ("secretsmanager", "sqs", "s3")


def incident_policy(place: Place) -> str:
    """What the runbooks do, on this environment."""
    identity = ("iam:Add*", "iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Put*", "iam:Update*", "sts:AssumeRole")
    return iam.document(
        iam.allow(LOOKS, ("*",)),
        iam.allow(MENDS, ("*",), condition=place.tagged),
        # Secrets Manager ends the name of every secret with a dash and six characters.
        iam.allow(
            OPENS,
            tuple(place.arn("secretsmanager", f"secret:{place.environment}/{name}-??????") for name in _LOGINS),
        ),
        iam.allow(LOCKS, (place.arn("ssm", f"parameter/{place.environment}/runbooks/*"),)),
        iam.allow(SILENCES, (place.arn("cloudwatch", f"alarm-mute-rule:{place.environment}-runbook-*"),)),
        iam.allow(("cloudwatch:PutAlarmMuteRule",), (place.arn("cloudwatch", "alarm:*"),), condition=place.tagged),
        iam.allow((_ANSWERS,), (place.arn("states", "stateMachine:*"),)),
        iam.allow((_POINTS,), (f"arn:{place.partition}:cloudfront::{place.account_id}:key-value-store/*",)),
        iam.allow((_SEES_RELEASES,), (f"arn:{place.partition}:s3:::site-*/*",)),
        # A restore point is made by the role of the backups.
        iam.allow(
            ("iam:PassRole",),
            (f"arn:{place.partition}:iam::{place.account_id}:role/*",),
            condition={"StringEquals": {"iam:PassedToService": "backup.amazonaws.com"}},
        ),
        iam.allow(
            ("kms:Decrypt", "kms:GenerateDataKey"),
            (place.arn("kms", "key/*"),),
            condition={
                "StringEquals": {
                    **place.tagged["StringEquals"],
                    "kms:ViaService": [f"{service}.{place.region}.amazonaws.com" for service in _THROUGH],
                }
            },
        ),
        iam.deny(identity, ("*",)),
    )


def trust(place: Place) -> str:
    """Whoever this account lets take it; nobody from elsewhere."""
    return iam.document(
        iam.allow(("sts:AssumeRole",), (), principal={"AWS": f"arn:{place.partition}:iam::{place.account_id}:root"})
    )


class Responder(pulumi.ComponentResource):
    """The role and its policy."""

    role_arn: pulumi.Output[str]

    def __init__(self, name: str, *, context: Context, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:guardrails:Responder", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws_iam.Role(
            name,
            # People name it when they take it.
            name=f"{context.environment}-{name}",
            assume_role_policy=context.place.apply(trust),
            max_session_duration=_SESSION_SECONDS,
            tags=context.tags(name),
            opts=child,
        )
        aws_iam.RolePolicy(name, role=role.id, policy=context.place.apply(incident_policy), opts=child)
        self.role_arn = role.arn
        self.register_outputs({"role_arn": self.role_arn})
