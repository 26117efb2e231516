"""Rules for relational databases: encrypted, private, backed up, hard to lose."""

from __future__ import annotations

from policies.checks import (
    ABSENT,
    absent,
    at_least,
    count,
    includes,
    is_false,
    is_true,
    none_of,
    not_false,
    not_true,
    one_of,
    present,
)
from policies.kit import rule, stack_rule
from policies.stacks import Exists, Resources, known, linked, of

INSTANCE = "aws:rds/instance:Instance"
CLUSTER = "aws:rds/cluster:Cluster"
MEMBER = "aws:rds/clusterInstance:ClusterInstance"
PARAMETERS = "aws:rds/parameterGroup:ParameterGroup"
EVENTS = "aws:rds/eventSubscription:EventSubscription"
_AUTHORITIES = ("rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1")


def clusters_span_zones(resources: Resources) -> dict[str, str]:
    """Two members each, or a cluster that AWS spreads itself."""
    members = [named.urn for one in of(resources, MEMBER) for named in linked(one, "clusterIdentifier")]
    return {
        one.urn: f"{one.name}: has {members.count(one.urn)} members, it must have 2 or a dbClusterInstanceClass"
        for one in of(resources, CLUSTER)
        if members.count(one.urn) < 2 and not isinstance(known(one, "dbClusterInstanceClass", "?"), str)
    }


def parameters_set(*names: str) -> _Parameters:
    """Each PostgreSQL instance has a parameter group that sets ``names``."""
    return _Parameters(names)


class _Parameters:
    types = (INSTANCE, PARAMETERS)

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def __call__(self, resources: Resources) -> dict[str, str]:
        wrong = {}
        for one in of(resources, INSTANCE):
            if known(one, "engine", "?") != "postgres":
                continue
            groups = [group for group in linked(one, "parameterGroupName") if group.resource_type == PARAMETERS]
            given = {each["name"]: each.get("value") for group in groups for each in known(group, "parameters", ())}
            lacking = [name for name in self.names if str(given.get(name, "")) in ("", "0", "-1", "none")]
            if lacking and not isinstance(known(one, "replicateSourceDb"), str):
                wrong[one.urn] = f"{one.name}: {', '.join(lacking)} is off or absent in its parameters, it must be set"
        return wrong


RULES = [
    stack_rule(
        "database-cluster-events-told",
        "FSBP RDS.19",
        Exists(
            beside=(CLUSTER,),
            of=(EVENTS,),
            checks=(one_of("sourceType", "db-cluster"),),
            says="no event subscription of sourceType db-cluster tells of it, one must",
        ),
        types=(CLUSTER, EVENTS),
        remedy="Declare an EventSubscription for clusters",
        resilience=True,
    ),
    rule("snapshot-private", "FSBP RDS.1", none_of("sharedAccounts[]", "all")),
    rule(
        "database-private",
        "FSBP RDS.2",
        not_true("publiclyAccessible"),
        remedy="Set publiclyAccessible to false and place the database in data subnets",
    ),
    rule(
        "database-encrypted",
        "FSBP RDS.3",
        is_true("storageEncrypted"),
        remedy="Set storageEncrypted to true; an existing database is restored from an encrypted snapshot copy",
    ),
    rule(
        "database-multi-az",
        "FSBP RDS.5",
        is_true("multiAz").only_when("replicateSourceDb", ABSENT, None),
        resilience=True,
    ),
    rule("database-monitored", "FSBP RDS.6", at_least("monitoringInterval", 1)),
    rule("database-cluster-kept", "FSBP RDS.7", is_true("deletionProtection"), resilience=True),
    rule(
        "database-kept",
        "FSBP RDS.8",
        is_true("deletionProtection").only_when("replicateSourceDb", ABSENT, None),
        resilience=True,
    ),
    rule("database-logged", "FSBP RDS.9", count("enabledCloudwatchLogsExports", 1)),
    rule("database-iam", "FSBP RDS.10", is_true("iamDatabaseAuthenticationEnabled")),
    rule(
        "database-backed-up",
        "FSBP RDS.11",
        at_least("backupRetentionPeriod", 7).only_when("replicateSourceDb", ABSENT, None),
        resilience=True,
    ),
    rule("database-cluster-iam", "FSBP RDS.12", is_true("iamDatabaseAuthenticationEnabled")),
    rule("database-patched", "FSBP RDS.13", not_false("autoMinorVersionUpgrade"), mends=True),
    stack_rule(
        "database-cluster-zones",
        "FSBP RDS.15",
        clusters_span_zones,
        types=(CLUSTER, MEMBER),
        remedy="Add a second member in another zone",
        resilience=True,
    ),
    rule("database-cluster-tags-snapshots", ("FSBP RDS.16", "FSBP RDS.47"), is_true("copyTagsToSnapshot"), mends=True),
    rule("database-tags-snapshots", "FSBP RDS.17", is_true("copyTagsToSnapshot"), mends=True),
    rule("database-cluster-admin-named", "FSBP RDS.24", none_of("masterUsername", "admin", "postgres")),
    rule("database-admin-named", "FSBP RDS.25", none_of("username", "admin", "postgres", "root")),
    rule("database-cluster-encrypted", "FSBP RDS.27", is_true("storageEncrypted")),
    rule("database-cluster-patched", "FSBP RDS.35", not_false("autoMinorVersionUpgrade"), mends=True),
    rule(
        "database-postgresql-logged",
        "FSBP RDS.36",
        includes("enabledCloudwatchLogsExports", "postgresql", "upgrade").only_when("engine", "postgres"),
    ),
    rule(
        "database-cluster-postgresql-logged",
        "FSBP RDS.37",
        includes("enabledCloudwatchLogsExports", "postgresql").only_when("engine", "aurora-postgresql"),
    ),
    rule("database-proxy-tls", "FSBP RDS.43", is_true("requireTls"), mends=True),
    rule("database-cluster-backed-up", "SH RDS.50", at_least("backupRetentionPeriod", 7), resilience=True),
    stack_rule(
        "database-forces-tls",
        "CKV CKV2_AWS_69",
        parameters_set("rds.force_ssl"),
        types=_Parameters.types,
        remedy="Set rds.force_ssl to 1 in the instance's parameter group",
    ),
    stack_rule(
        "database-queries-logged",
        "CKV CKV2_AWS_30",
        parameters_set("log_min_duration_statement"),
        types=_Parameters.types,
        remedy="Set log_min_duration_statement in the instance's parameter group",
    ),
    rule("database-authority", "CKV CKV_AWS_211", one_of("caCertIdentifier", *_AUTHORITIES)),
    rule("database-insights", "CKV CKV_AWS_353/354", is_true("performanceInsightsEnabled")),
    rule(
        "database-insights-key",
        "CKV CKV_AWS_353/354",
        present("performanceInsightsKmsKeyId").only_when("performanceInsightsEnabled", True),
    ),
    rule("database-own-key", "CKV CKV_AWS_327", present("kmsKeyId")),
    rule("database-password-absent", "HOUSE RDS-secret", absent("password")),
    rule(
        "database-password-managed",
        "HOUSE RDS-secret",
        is_true("manageMasterUserPassword").only_when("replicateSourceDb", ABSENT, None),
        types=(INSTANCE,),
    ),
    rule(
        "database-final-snapshot",
        "HOUSE RDS-final",
        is_false("skipFinalSnapshot").only_when("replicateSourceDb", ABSENT, None),
        resilience=True,
    ),
    stack_rule(
        "database-in-backup-plan",
        "CKV CKV2_AWS_8",
        Exists(
            beside=(INSTANCE, CLUSTER),
            of=("aws:backup/selection:Selection",),
            checks=(present("conditions", [{}]),),
            says="no backup selection covers it, one must",
        ),
        types=(INSTANCE, CLUSTER, "aws:backup/selection:Selection"),
        remedy="Select databases by tag or ARN in a backup plan",
        resilience=True,
    ),
]
