"""The incident role: what the person on call may do at night, which is what the runbooks say and nothing else.

It looks at everything and changes what belongs to this environment, by its tag. It refuses to hold what would let it
give itself more: no identity, no policy, no key can be changed with it. Who may take the role is decided where people
are: in IAM or Identity Center of the account. Tests hold the lists to the commands of the runbooks.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi_aws import iam as aws_iam

from components import iam
from components.context import Context, Place

# Seconds (IAM: 3,600 to 43,200): an incident that lasts longer is handed over, with a new session.
_SESSION_SECONDS = 4 * 3600
# What tells something and changes nothing.
LOOKS: tuple[str, ...] = (
    "acm:DescribeCertificate", "acm:ListCertificates", "acm:ListTagsForCertificate",
    "backup:ListBackupJobs", "backup:ListBackupPlans", "backup:ListBackupSelections", "backup:ListBackupVaults",
    "backup:ListCopyJobs", "backup:ListRecoveryPointsByBackupVault",
    "cloudfront-keyvaluestore:DescribeKeyValueStore", "cloudfront-keyvaluestore:GetKey",
    "cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus", "cloudtrail:LookupEvents",
    "cloudwatch:DescribeAlarms", "cloudwatch:GetMetricStatistics",
    "ec2:DescribeInstanceTypes", "ec2:DescribeInstances", "ec2:DescribeManagedPrefixLists", "ec2:DescribeSubnets",
    "ec2:GetManagedPrefixListEntries",
    "eks:DescribeCluster", "eks:DescribeNodegroup", "eks:ListNodegroups",
    "elasticache:DescribeEvents", "elasticache:DescribeReplicationGroups",
    "elasticache:ListAllowedNodeTypeModifications", "elasticache:ListTagsForResource",
    "elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeTargetHealth",
    "guardduty:GetFindings", "guardduty:ListDetectors",
    "health:DescribeEvents",
    "logs:DescribeLogGroups", "logs:FilterLogEvents", "logs:GetQueryResults", "logs:StartQuery",
    "mq:ListBrokers",
    "rds:DescribeDBInstanceAutomatedBackups", "rds:DescribeDBInstances", "rds:DescribeDBProxies",
    "rds:DescribeDBProxyTargets", "rds:DescribeEvents",
    "route53:ListHostedZonesByName", "route53:ListResourceRecordSets",
    "secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds",
    "servicequotas:GetServiceQuota",
    "sqs:GetQueueAttributes", "sqs:ListMessageMoveTasks",
    "ssm:GetParameter", "ssm:GetParameterHistory", "ssm:GetParametersByPath",
    "states:DescribeExecution", "states:GetExecutionHistory", "states:ListExecutions",
    "sts:GetCallerIdentity",
    "tag:GetResources",
    "wafv2:GetIPSet", "wafv2:GetSampledRequests", "wafv2:GetWebACL", "wafv2:ListIPSets",
)  # fmt: skip
# What changes something that carries the environment's tag.
MENDS: tuple[str, ...] = (
    "backup:StartBackupJob",
    "eks:UpdateNodegroupConfig",
    "elasticache:ModifyReplicationGroup", "elasticache:TestFailover",
    "elasticloadbalancing:ModifyRule",
    "kms:CancelKeyDeletion", "kms:EnableKey",
    "rds:DeregisterDBProxyTargets", "rds:ModifyDBInstance", "rds:RebootDBInstance", "rds:RegisterDBProxyTargets",
    "rds:RestoreDBInstanceToPointInTime",
    "secretsmanager:PutSecretValue", "secretsmanager:RotateSecret", "secretsmanager:UpdateSecretVersionStage",
    "sns:Subscribe",
    "sqs:CancelMessageMoveTask", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage",
    "sqs:SendMessage", "sqs:StartMessageMoveTask",
    "ssm:PutParameter",
    "wafv2:UpdateIPSet",
)  # fmt: skip
# Logins with which a runbook looks into a store, by their names; no key of a provider, no signing key.
OPENS: tuple[str, ...] = ("secretsmanager:GetSecretValue",)
_LOGINS = ("*-credentials", "*-database", "broker-*", "database-authorities")
# Locks of runbooks: parameters that come and go, so by their name.
LOCKS: tuple[str, ...] = ("ssm:DeleteParameter", "ssm:PutParameter")
# Alarms are silent while somebody is at work: mute rules that come and go, by their name.
SILENCES: tuple[str, ...] = ("cloudwatch:DeleteAlarmMuteRule", "cloudwatch:PutAlarmMuteRule")
# What is left over of previews: the one function that has the stores give it up (components/tenants.py).
CLOSES: tuple[str, ...] = ("lambda:InvokeFunction",)
# Step Functions, CloudFront and Route 53 know no tag of what these are about (Service Authorization Reference).
_ANSWERS, _POINTS, _SEES_RELEASES = "states:SendTaskSuccess", "cloudfront-keyvaluestore:PutKey", "s3:GetObject"
_PROVES = "route53:ChangeResourceRecordSets"
UNTAGGED: tuple[str, ...] = (_ANSWERS, _POINTS, _PROVES, _SEES_RELEASES)
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
        iam.allow(CLOSES, (place.arn("lambda", "function:tenants-*"),), condition=place.tagged),
        # Records of previews come and go, and have no tag of their environment.
        iam.allow(("ssm:DeleteParameter",), (place.arn("ssm", f"parameter/{place.environment}/previews/*"),)),
        iam.allow((_ANSWERS,), (place.arn("states", "stateMachine:*"),)),
        iam.allow((_POINTS,), (f"arn:{place.partition}:cloudfront::{place.account_id}:key-value-store/*",)),
        iam.allow((_SEES_RELEASES,), (f"arn:{place.partition}:s3:::site-*/*",)),
        # The records with which ACM proves a name, which start with an underscore, and no others.
        iam.allow(
            (_PROVES,),
            (f"arn:{place.partition}:route53:::hostedzone/*",),
            condition={
                "ForAllValues:StringEquals": {
                    "route53:ChangeResourceRecordSetsActions": ["UPSERT"],
                    "route53:ChangeResourceRecordSetsRecordTypes": ["CNAME"],
                },
                "ForAllValues:StringLike": {"route53:ChangeResourceRecordSetsNormalizedRecordNames": ["_*"]},
            },
        ),
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
        *_restores(place),
        iam.deny(identity, ("*",)),
    )


def _restores(place: Place) -> list[dict[str, Any]]:
    """What a restore of a database needs besides the original, which carries the environment's tag as all does that is
    mended: the instance that is made, which has no tag yet but brings it, and what RDS makes and uses for it.
    """
    restore = "rds:RestoreDBInstanceToPointInTime"
    # As runbooks/rds_point_in_time_restore.py names it: after the original and the moment.
    beside = place.arn("rds", "db:*-at-????????-??????")
    of_here = {"StringEquals": {"aws:RequestTag/Environment": place.environment}}
    through_rds = {
        "StringEquals": {**place.tagged["StringEquals"], "kms:ViaService": f"rds.{place.region}.amazonaws.com"}
    }
    return [
        iam.allow((restore, "rds:AddTagsToResource"), (beside,), condition=of_here),
        # Without tags there are: RDS's own option groups, and the target groups of proxies.
        iam.allow((restore,), (place.arn("rds", "og:default:*"),)),
        iam.allow(
            ("rds:DeregisterDBProxyTargets", "rds:RegisterDBProxyTargets"), (place.arn("rds", "target-group:*"),)
        ),
        # What RDS asks of its caller (RDS User Guide, "Password management with Amazon RDS and AWS Secrets Manager").
        iam.allow(
            ("secretsmanager:CreateSecret", "secretsmanager:TagResource"),
            (place.arn("secretsmanager", "secret:rds!*"),),
        ),
        iam.allow(("kms:CreateGrant", "kms:DescribeKey"), (place.arn("kms", "key/*"),), condition=through_rds),
    ]


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
