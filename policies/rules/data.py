"""Rules for what holds data: encrypted, private, spoken to over TLS."""

from __future__ import annotations

from collections.abc import Sequence

from pulumi_aws import ec2, elasticache, kms, mq, rds, sqs
from pulumi_policy import PolicyResource, Severity

from policies.kit import Check, Control, Properties, resource_rule, stack_rule, token

_FSBP = "https://docs.aws.amazon.com/securityhub/latest/userguide"


def is_true(prop: str) -> Check:
    """The property must be stated and true."""
    return lambda props: None if props.get(prop) is True else f"{prop} is {props.get(prop)!r}, it must be true"


def is_not_true(prop: str) -> Check:
    """The property must be false or absent."""
    return lambda props: f"{prop} is true, it must be false" if props.get(prop) is True else None


def queue_is_encrypted(props: Properties) -> str | None:
    """A key of ours, or SQS's own, which is on unless it is switched off."""
    if props.get("kmsMasterKeyId") or props.get("sqsManagedSseEnabled") is not False:
        return None
    return "sqsManagedSseEnabled is false and kmsMasterKeyId is absent, one must protect the messages"


def default_groups_closed(resources: Sequence[PolicyResource]) -> dict[str, str]:
    """Every VPC has a DefaultSecurityGroup without a rule."""
    adopted = {
        depended.urn
        for group in resources
        if group.resource_type == token(ec2.DefaultSecurityGroup)
        and not group.props.get("ingress")
        and not group.props.get("egress")
        for depended in group.property_dependencies.get("vpcId", [])
    }
    return {
        vpc.urn: f"{vpc.name}: its default security group is not emptied by a DefaultSecurityGroup resource"
        for vpc in resources
        if vpc.resource_type == token(ec2.Vpc) and vpc.urn not in adopted
    }


RULES = [
    resource_rule(
        "database-encrypted",
        Control(
            ids=("FSBP RDS.3",),
            title="Databases are encrypted at rest",
            severity=Severity.MEDIUM,
            remedy="Set storageEncrypted to true; an existing database is restored from an encrypted snapshot copy",
            link=f"{_FSBP}/rds-controls.html#rds-3",
        ),
        [token(rds.Instance)],
        is_true("storageEncrypted"),
    ),
    resource_rule(
        "database-private",
        Control(
            ids=("FSBP RDS.2",),
            title="Databases are not reachable from the internet",
            severity=Severity.CRITICAL,
            remedy="Set publiclyAccessible to false and place the database in data subnets",
            link=f"{_FSBP}/rds-controls.html#rds-2",
        ),
        [token(rds.Instance), token(rds.ClusterInstance)],
        is_not_true("publiclyAccessible"),
    ),
    resource_rule(
        "broker-private",
        Control(
            ids=("CKV CKV_AWS_69",),
            title="Brokers are not reachable from the internet",
            severity=Severity.HIGH,
            remedy="Set publiclyAccessible to false and place the broker in data subnets",
            link="https://docs.aws.amazon.com/amazon-mq/latest/developer-guide/using-amazon-mq-securely.html",
        ),
        [token(mq.Broker)],
        is_not_true("publiclyAccessible"),
    ),
    resource_rule(
        "cache-encrypted-in-transit",
        Control(
            ids=("FSBP ElastiCache.5",),
            title="Caches are spoken to over TLS",
            severity=Severity.MEDIUM,
            remedy="Set transitEncryptionEnabled to true",
            link=f"{_FSBP}/elasticache-controls.html#elasticache-5",
        ),
        [token(elasticache.ReplicationGroup)],
        is_true("transitEncryptionEnabled"),
    ),
    resource_rule(
        "queue-encrypted",
        Control(
            ids=("FSBP SQS.1",),
            title="Queues are encrypted",
            severity=Severity.MEDIUM,
            remedy="Set kmsMasterKeyId to a customer-managed key",
            link=f"{_FSBP}/sqs-controls.html#sqs-1",
        ),
        [token(sqs.Queue)],
        queue_is_encrypted,
    ),
    resource_rule(
        "key-rotates",
        Control(
            ids=("FSBP KMS.4",),
            title="Customer-managed keys rotate",
            severity=Severity.MEDIUM,
            remedy="Set enableKeyRotation to true",
            link=f"{_FSBP}/kms-controls.html#kms-4",
        ),
        [token(kms.Key)],
        is_true("enableKeyRotation"),
    ),
    stack_rule(
        "default-security-group-closed",
        Control(
            ids=("FSBP EC2.2",),
            title="Default security groups let nothing in or out",
            severity=Severity.HIGH,
            remedy="Adopt it: a DefaultSecurityGroup for this VPC with empty ingress and egress",
            link=f"{_FSBP}/ec2-controls.html#ec2-2",
        ),
        default_groups_closed,
    ),
]
