"""RDS: instances, subnet and parameter groups, proxies. With a data plane an instance is a database on the real
server.
"""

from __future__ import annotations

from scripts.local.cloud.backend import UNKNOWN, Refused
from scripts.local.cloud.real import postgres
from scripts.local.cloud.services.guards import unless_used
from scripts.local.cloud.table import Call, Literal, Row, Scope, by


def _final_snapshot(scope: Scope) -> bool:
    return bool(scope.get("skipFinalSnapshot"))


def _needs_snapshot_name(scope: Scope) -> None:
    """RDS refuses to delete without a name for the final snapshot; say so before there is data to lose."""
    if scope.get("skipFinalSnapshot") or scope["finalSnapshotIdentifier"] is not None:
        return
    raise Refused("finalSnapshotIdentifier", "is required unless skipFinalSnapshot is true")


def _has_a_password(scope: Scope) -> None:
    sources = (
        "password",
        "passwordWo",
        "manageMasterUserPassword",
        "replicateSourceDb",
        "snapshotIdentifier",
        "restoreToPointInTime",
        "s3Import",
    )
    given = [name for name in sources if scope[name] not in (None, False)]
    if not given:
        raise Refused("password", "or manageMasterUserPassword is required for a new database")
    if scope["password"] is not None and scope["manageMasterUserPassword"] not in (None, False, UNKNOWN):
        raise Refused("password", "conflicts with manageMasterUserPassword")


def _unprotected(scope: Scope) -> None:
    if scope.get("deletionProtection"):
        raise Refused(
            "",
            f"InvalidParameterCombination: {scope.id} has deletionProtection; set it to false first",
        )


def _parameters(scope: Scope) -> None:
    """Reset what went, write what is there: ModifyDBParameterGroup takes at most 20 at a time."""
    wanted = [
        {
            "ParameterName": each["name"],
            "ParameterValue": str(each["value"]),
            "ApplyMethod": each.get("applyMethod", "immediate"),
        }
        for each in scope.inputs.get("parameters") or []
    ]
    for start in range(0, len(wanted), 20):
        scope.call(
            "rds", "modify_db_parameter_group", DBParameterGroupName=scope.id, Parameters=wanted[start : start + 20]
        )


def _minimum_zones(scope: Scope) -> None:
    subnets = scope.inputs.get("subnetIds")
    if isinstance(subnets, list) and len(subnets) < 2:
        raise Refused(
            "subnetIds", f"has {len(subnets)} subnet, but a DB subnet group spans at least two availability zones"
        )


_INSTANCE = by("describe_db_instances", {"DBInstanceIdentifier": "id"})

ROWS = (
    Row(
        token="aws:rds/instance:Instance",
        service="rds",
        create=Call("create_db_instance", {"DBInstanceIdentifier": "identifier"}),
        instead=(
            Call(
                "create_db_instance_read_replica",
                {"DBInstanceIdentifier": "identifier", "SourceDBInstanceIdentifier": "replicateSourceDb"},
                when=("replicateSourceDb",),
            ),
        ),
        id="DBInstance.DBInstanceIdentifier",
        read=_INSTANCE,
        at="DBInstances[0]",
        update=(
            Call(
                "modify_db_instance",
                {
                    "DBInstanceIdentifier": "id",
                    "ApplyImmediately": Literal(True),
                    "Engine": Literal(None),
                    # Moto makes another secret each time that it is told so; RDS keeps the one that there is.
                    "ManageMasterUserPassword": lambda s: (
                        s["manageMasterUserPassword"]
                        if s.old.get("manageMasterUserPassword") != s["manageMasterUserPassword"]
                        else None
                    ),
                    "CloudwatchLogsExportConfiguration": lambda s: (
                        {
                            "EnableLogTypes": s.get("enabledCloudwatchLogsExports", []),
                            "DisableLogTypes": sorted(
                                set(s.old.get("enabledCloudwatchLogsExports") or [])
                                - set(s.get("enabledCloudwatchLogsExports", []))
                            ),
                        }
                        if s["enabledCloudwatchLogsExports"] is not None
                        else None
                    ),
                },
                uses=("enabledCloudwatchLogsExports", "manageMasterUserPassword"),
            ),
        ),
        delete=by(
            "delete_db_instance",
            {
                "DBInstanceIdentifier": "id",
                "SkipFinalSnapshot": _final_snapshot,
                "FinalDBSnapshotIdentifier": lambda s: (
                    None if s.get("skipFinalSnapshot") else s["finalSnapshotIdentifier"]
                ),
            },
        ),
        names={
            "identifier": "DBInstanceIdentifier",
            "instanceClass": "DBInstanceClass",
            "dbName": "DBName",
            "username": "MasterUsername",
            "password": "MasterUserPassword",
            "passwordWo": "MasterUserPassword",
            "arn": "DBInstanceArn",
            "parameterGroupName": "DBParameterGroupName",
            "enabledCloudwatchLogsExports": "EnableCloudwatchLogsExports",
            "maintenanceWindow": "PreferredMaintenanceWindow",
            "backupWindow": "PreferredBackupWindow",
            "iamDatabaseAuthenticationEnabled": "EnableIAMDatabaseAuthentication",
            "performanceInsightsEnabled": "EnablePerformanceInsights",
            "performanceInsightsKmsKeyId": "PerformanceInsightsKMSKeyId",
            "caCertIdentifier": "CACertificateIdentifier",
            "customIamInstanceProfile": "CustomIamInstanceProfile",
        },
        outputs={
            "address": "Endpoint.Address",
            "port": "Endpoint.Port",
            "endpoint": lambda _, a: (
                f"{a['Endpoint']['Address']}:{a['Endpoint']['Port']}" if a.get("Endpoint") else None
            ),
            "hostedZoneId": "Endpoint.HostedZoneId",
            "resourceId": "DbiResourceId",
            "engineVersionActual": "EngineVersion",
            "dbSubnetGroupName": "DBSubnetGroup.DBSubnetGroupName",
            "vpcSecurityGroupIds": "VpcSecurityGroups[].VpcSecurityGroupId",
            "parameterGroupName": "DBParameterGroups[0].DBParameterGroupName",
            "masterUserSecrets": lambda _, a: (
                [
                    {"secretArn": secret["SecretArn"], "secretStatus": "active", "kmsKeyId": secret.get("KmsKeyId")}
                    for secret in [a["MasterUserSecret"]]
                ]
                if a.get("MasterUserSecret")
                else []
            ),
            "status": "DBInstanceStatus",
            "enabledCloudwatchLogsExports": "EnabledCloudwatchLogsExports",
            "iamDatabaseAuthenticationEnabled": "IAMDatabaseAuthenticationEnabled",
        },
        name="identifier",
        longest=63,
        replaces=("dbSubnetGroupName", "availabilityZone", "engine", "characterSetName", "timezone"),
        mutable=("passwordWo",),
        checks=(_needs_snapshot_name, _has_a_password),
        guards=(_unprotected,),
        made=postgres.made,
        gone=postgres.gone,
    ),
    Row(
        token="aws:rds/subnetGroup:SubnetGroup",
        service="rds",
        create=Call(
            "create_db_subnet_group",
            {"DBSubnetGroupDescription": lambda s: s.get("description", "Managed by Pulumi")},
            uses=("description",),
        ),
        id="DBSubnetGroup.DBSubnetGroupName",
        read=by("describe_db_subnet_groups", {"DBSubnetGroupName": "id"}),
        at="DBSubnetGroups[0]",
        update=(
            Call(
                "modify_db_subnet_group",
                {"DBSubnetGroupName": "id", "DBSubnetGroupDescription": lambda s: s.get("description")},
                uses=("description",),
            ),
        ),
        delete=by("delete_db_subnet_group", {"DBSubnetGroupName": "id"}),
        names={"name": "DBSubnetGroupName", "arn": "DBSubnetGroupArn"},
        outputs={"subnetIds": "Subnets[].SubnetIdentifier"},
        defaults={"description": "Managed by Pulumi"},
        checks=(_minimum_zones,),
        guards=(
            unless_used(
                "a database",
                "rds",
                "describe_db_instances",
                "DBInstances[?DBSubnetGroup.DBSubnetGroupName=='{id}'].DBInstanceIdentifier",
            ),
        ),
    ),
    Row(
        token="aws:rds/parameterGroup:ParameterGroup",
        service="rds",
        create=Call(
            "create_db_parameter_group",
            {"DBParameterGroupFamily": "family", "Description": lambda s: s.get("description", "Managed by Pulumi")},
            uses=("description",),
        ),
        id="DBParameterGroup.DBParameterGroupName",
        read=by("describe_db_parameter_groups", {"DBParameterGroupName": "id"}),
        at="DBParameterGroups[0]",
        delete=by("delete_db_parameter_group", {"DBParameterGroupName": "id"}),
        names={"name": "DBParameterGroupName", "family": "DBParameterGroupFamily", "arn": "DBParameterGroupArn"},
        outputs={"parameters": lambda s, _: None},
        defaults={"description": "Managed by Pulumi"},
        guards=(
            unless_used(
                "a database",
                "rds",
                "describe_db_instances",
                "DBInstances[?DBParameterGroups[?DBParameterGroupName=='{id}']].DBInstanceIdentifier",
            ),
        ),
        made=_parameters,
    ),
    Row(
        token="aws:rds/snapshot:Snapshot",
        service="rds",
        create=Call("create_db_snapshot"),
        id="DBSnapshot.DBSnapshotIdentifier",
        read=by("describe_db_snapshots", {"DBSnapshotIdentifier": "id"}),
        at="DBSnapshots[0]",
        delete=by("delete_db_snapshot", {"DBSnapshotIdentifier": "id"}),
        names={"arn": "DBSnapshotArn"},
        tag_key="dbSnapshotArn",
        name=None,
    ),
    Row(
        token="aws:rds/proxy:Proxy",
        service="rds",
        create=Call("create_db_proxy"),
        id="DBProxy.DBProxyName",
        read=by("describe_db_proxies", {"DBProxyName": "id"}),
        at="DBProxies[0]",
        delete=by("delete_db_proxy", {"DBProxyName": "id"}),
        names={"name": "DBProxyName", "arn": "DBProxyArn", "auths": "Auth"},
        mutable=("auths", "debugLogging", "idleClientTimeout", "requireTls", "vpcSecurityGroupIds", "roleArn"),
        longest=63,
        why="moto has no ModifyDBProxy: changes stay in the stack's state",
    ),
    Row(
        token="aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup",
        service="rds",
        create=Call(
            "modify_db_proxy_target_group",
            {"DBProxyName": "dbProxyName", "TargetGroupName": Literal("default")},
        ),
        upsert=True,
        id="inputs.dbProxyName",
        read=by("describe_db_proxy_target_groups", {"DBProxyName": "id"}),
        at="TargetGroups[0]",
        replaces=("dbProxyName",),
        mutable=("connectionPoolConfig",),
        names={"arn": "TargetGroupArn", "name": "TargetGroupName"},
        name=None,
    ),
    Row(
        token="aws:rds/proxyTarget:ProxyTarget",
        service="rds",
        create=Call(
            "register_db_proxy_targets",
            {
                "DBInstanceIdentifiers": lambda s: [s["dbInstanceIdentifier"]] if s["dbInstanceIdentifier"] else None,
                "DBClusterIdentifiers": lambda s: [s["dbClusterIdentifier"]] if s["dbClusterIdentifier"] else None,
            },
            uses=("dbInstanceIdentifier", "dbClusterIdentifier"),
        ),
        id=lambda s, _: f"{s['dbProxyName']}/{s['targetGroupName']}/RDS_INSTANCE/{s['dbInstanceIdentifier']}",
        read=by("describe_db_proxy_targets", {"DBProxyName": "dbProxyName", "TargetGroupName": "targetGroupName"}),
        at="Targets[0]",
        delete=by(
            "deregister_db_proxy_targets",
            {
                "DBProxyName": "dbProxyName",
                "TargetGroupName": "targetGroupName",
                "DBInstanceIdentifiers": ["dbInstanceIdentifier"],
            },
        ),
        name=None,
    ),
    Row(
        token="aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication",
        service="rds",
        create=Call("start_db_instance_automated_backups_replication"),
        id=lambda s, _: s.arn("rds", f"auto-backup:{s.session.fresh()}"),
        name=None,
    ),
    Row(
        token="aws:rds/eventSubscription:EventSubscription",
        service="rds",
        create=Call("create_event_subscription"),
        id="EventSubscription.CustSubscriptionId",
        read=by("describe_event_subscriptions", {"SubscriptionName": "id"}),
        at="EventSubscriptionsList[0]",
        delete=by("delete_event_subscription", {"SubscriptionName": "id"}),
        names={"name": "SubscriptionName", "snsTopic": "SnsTopicArn", "arn": "EventSubscriptionArn"},
        mutable=("eventCategories", "enabled", "snsTopic", "sourceIds", "sourceType"),
        why="moto has no ModifyEventSubscription: changes stay in the stack's state",
    ),
    Row(
        token="aws:rds/cluster:Cluster",
        service="rds",
        create=Call("create_db_cluster"),
        id="DBCluster.DBClusterIdentifier",
        read=by("describe_db_clusters", {"DBClusterIdentifier": "id"}),
        at="DBClusters[0]",
        update=(Call("modify_db_cluster", {"DBClusterIdentifier": "id", "ApplyImmediately": Literal(True)}),),
        delete=by(
            "delete_db_cluster",
            {
                "DBClusterIdentifier": "id",
                "SkipFinalSnapshot": _final_snapshot,
                "FinalDBSnapshotIdentifier": "finalSnapshotIdentifier",
            },
        ),
        names={
            "clusterIdentifier": "DBClusterIdentifier",
            "arn": "DBClusterArn",
            "enabledCloudwatchLogsExports": "EnableCloudwatchLogsExports",
            "dbClusterParameterGroupName": "DBClusterParameterGroupName",
        },
        outputs={"vpcSecurityGroupIds": "VpcSecurityGroups[].VpcSecurityGroupId"},
        name="clusterIdentifier",
        longest=63,
        guards=(_unprotected,),
    ),
    Row(
        token="aws:rds/clusterInstance:ClusterInstance",
        service="rds",
        create=Call("create_db_instance"),
        id="DBInstance.DBInstanceIdentifier",
        read=_INSTANCE,
        at="DBInstances[0]",
        update=(Call("modify_db_instance", {"DBInstanceIdentifier": "id", "ApplyImmediately": Literal(True)}),),
        delete=by("delete_db_instance", {"DBInstanceIdentifier": "id", "SkipFinalSnapshot": Literal(True)}),
        names={
            "identifier": "DBInstanceIdentifier",
            "instanceClass": "DBInstanceClass",
            "clusterIdentifier": "DBClusterIdentifier",
            "arn": "DBInstanceArn",
            "performanceInsightsEnabled": "EnablePerformanceInsights",
        },
        outputs={"endpoint": "Endpoint.Address", "port": "Endpoint.Port"},
        name="identifier",
        longest=63,
    ),
    Row(
        token="aws:rds/clusterParameterGroup:ClusterParameterGroup",
        service="rds",
        create=Call(
            "create_db_cluster_parameter_group",
            {"Description": lambda s: s.get("description", "Managed by Pulumi")},
            uses=("description",),
        ),
        id="DBClusterParameterGroup.DBClusterParameterGroupName",
        read=by("describe_db_cluster_parameter_groups", {"DBClusterParameterGroupName": "id"}),
        at="DBClusterParameterGroups[0]",
        delete=by("delete_db_cluster_parameter_group", {"DBClusterParameterGroupName": "id"}),
        names={
            "name": "DBClusterParameterGroupName",
            "family": "DBParameterGroupFamily",
            "arn": "DBClusterParameterGroupArn",
        },
        outputs={"parameters": lambda s, _: None},
    ),
)
