"""Rules for brokers and caches: private, over TLS, with keys of ours, patched."""

from __future__ import annotations

from policies.checks import at_least, count, is_false, is_true, none_of, not_false, not_true, one_of, present
from policies.kit import rule

GROUP = "aws:elasticache/replicationGroup:ReplicationGroup"
USER = "aws:elasticache/user:User"

RULES = [
    rule("broker-audited", "FSBP MQ.2", is_true("logs.audit").only_when("engineType", "ActiveMQ")),
    rule("broker-patched", "FSBP MQ.3", is_true("autoMinorVersionUpgrade"), mends=True),
    rule(
        "broker-clustered",
        "SH MQ.6",
        one_of("deploymentMode", "CLUSTER_MULTI_AZ").only_when("engineType", "RabbitMQ"),
        resilience=True,
    ),
    rule("broker-logged", "CKV CKV_AWS_48", is_true("logs.general")),
    rule(
        "broker-private",
        "CKV CKV_AWS_69",
        not_true("publiclyAccessible"),
        remedy="Set publiclyAccessible to false and place the broker in data subnets",
    ),
    rule("broker-version", "CKV CKV_AWS_208", at_least("engineVersion", 4).only_when("engineType", "RabbitMQ")),
    rule("broker-own-key", "CKV CKV_AWS_209", is_false("encryptionOptions.useAwsOwnedKey")),
    rule("broker-key-named", "CKV CKV_AWS_209", present("encryptionOptions.kmsKeyId")),
    rule("broker-users-named", "HOUSE MQ-users", none_of("users[].username", "guest", "admin")),
    rule(
        "cache-backed-up", "FSBP ElastiCache.1", at_least("snapshotRetentionLimit", 1), types=(GROUP,), resilience=True
    ),
    rule("cache-patched", "FSBP ElastiCache.2", not_false("autoMinorVersionUpgrade"), mends=True),
    rule("cache-fails-over", "FSBP ElastiCache.3", is_true("automaticFailoverEnabled"), resilience=True),
    rule("cache-encrypted", "FSBP ElastiCache.4", is_true("atRestEncryptionEnabled")),
    rule("cache-encrypted-in-transit", "FSBP ElastiCache.5", is_true("transitEncryptionEnabled")),
    rule("cache-refuses-plain-text", "FSBP ElastiCache.5", none_of("transitEncryptionMode", "preferred")),
    rule("cache-users-named", ("FSBP ElastiCache.6", "CKV CKV_AWS_31"), count("userGroupIds", 1)),
    rule("cache-users-have-passwords", "CKV CKV_AWS_31", not_true("noPasswordRequired"), types=(USER,)),
    rule("cache-subnets-chosen", "FSBP ElastiCache.7", none_of("subnetGroupName", "default", absent_is_fine=False)),
    rule("cache-multi-az", "CKV CKV2_AWS_50", is_true("multiAzEnabled"), resilience=True),
    rule("cache-own-key", "CKV CKV_AWS_191", present("kmsKeyId")),
]
