"""ElastiCache. moto has replication groups, subnet groups and users; user groups and parameter groups are kept
beside it.
"""

from __future__ import annotations

from typing import Any

from moto.elasticache.models import elasticache_backends

from scripts.local.cloud.backend import Refused
from scripts.local.cloud.real import redis
from scripts.local.cloud.services.guards import unless_used
from scripts.local.cloud.table import Call, Literal, Row, Scope, by


def _endpoint(kind: str) -> Any:
    return f"NodeGroups[0].{kind}.Address"


def _arn(kind: str) -> Any:
    return lambda s, _: s.arn("elasticache", f"{kind}:{s.id}")


def _encrypted_for_auth(scope: Scope) -> None:
    for name in ("authToken", "userGroupIds"):
        if scope[name] is not None and scope.get("transitEncryptionEnabled") in (None, False):
            raise Refused(name, "needs transitEncryptionEnabled to be true")
    if scope["authToken"] is not None and scope["userGroupIds"]:
        raise Refused("authToken", "conflicts with userGroupIds")


def _failover_needs_replicas(scope: Scope) -> None:
    clusters = scope["numCacheClusters"]
    if scope.get("automaticFailoverEnabled") is True and isinstance(clusters, int) and clusters < 2:
        raise Refused("numCacheClusters", f"is {clusters}, but automaticFailoverEnabled needs at least 2")
    if scope.get("multiAzEnabled") is True and scope.get("automaticFailoverEnabled") in (None, False):
        raise Refused("multiAzEnabled", "needs automaticFailoverEnabled to be true")


def _default_user(scope: Scope) -> None:
    users = scope.inputs.get("userIds")
    if isinstance(users, list) and not users:
        raise Refused("userIds", "is empty, but a user group contains at least a user named default")


def _passwords(scope: Scope) -> Any:
    return scope["passwords"]


def _forget_subnet_group(scope: Scope) -> None:
    """Moto has no call for it, but its state is in this process."""
    elasticache_backends[scope.session.account][scope.region].cache_subnet_groups.pop(scope.id, None)


ROWS = (
    Row(
        token="aws:elasticache/replicationGroup:ReplicationGroup",
        service="elasticache",
        create=Call("create_replication_group"),
        id="ReplicationGroup.ReplicationGroupId",
        read=by("describe_replication_groups", {"ReplicationGroupId": "id"}),
        at="ReplicationGroups[0]",
        update=(
            Call(
                "modify_replication_group",
                {
                    "ReplicationGroupId": "id",
                    "ApplyImmediately": Literal(True),
                    "UserGroupIdsToAdd": lambda s: (
                        sorted(set(s.inputs.get("userGroupIds") or []) - set(s.old.get("userGroupIds") or [])) or None
                    ),
                    "UserGroupIdsToRemove": lambda s: (
                        sorted(set(s.old.get("userGroupIds") or []) - set(s.inputs.get("userGroupIds") or [])) or None
                    ),
                },
                uses=("userGroupIds", "numCacheClusters"),
            ),
        ),
        delete=by(
            "delete_replication_group",
            {"ReplicationGroupId": "id", "FinalSnapshotIdentifier": "finalSnapshotIdentifier"},
        ),
        names={
            "description": "ReplicationGroupDescription",
            "nodeType": "CacheNodeType",
            "subnetGroupName": "CacheSubnetGroupName",
            "parameterGroupName": "CacheParameterGroupName",
            "maintenanceWindow": "PreferredMaintenanceWindow",
            "arn": "ARN",
        },
        outputs={
            "primaryEndpointAddress": _endpoint("PrimaryEndpoint"),
            "readerEndpointAddress": _endpoint("ReaderEndpoint"),
            "port": "NodeGroups[0].PrimaryEndpoint.Port || ConfigurationEndpoint.Port",
            "configurationEndpointAddress": "ConfigurationEndpoint.Address",
            "memberClusters": "MemberClusters",
            "logDeliveryConfigurations": lambda s, _: None,
            "userGroupIds": "UserGroupIds",
            "automaticFailoverEnabled": lambda _, a: a.get("AutomaticFailover") == "enabled",
            "multiAzEnabled": lambda _, a: a.get("MultiAZ") == "enabled",
        },
        mutable=("transitEncryptionEnabled",),
        name="replicationGroupId",
        longest=40,
        checks=(_encrypted_for_auth, _failover_needs_replicas),
        made=redis.group_made,
        gone=redis.group_gone,
    ),
    Row(
        token="aws:elasticache/subnetGroup:SubnetGroup",
        service="elasticache",
        create=Call(
            "create_cache_subnet_group",
            {"CacheSubnetGroupDescription": lambda s: s.get("description", "Managed by Pulumi")},
            uses=("description",),
        ),
        id="CacheSubnetGroup.CacheSubnetGroupName",
        read=by("describe_cache_subnet_groups", {"CacheSubnetGroupName": "id"}),
        at="CacheSubnetGroups[0]",
        names={"name": "CacheSubnetGroupName", "arn": "ARN"},
        outputs={"subnetIds": "Subnets[].SubnetIdentifier"},
        mutable=("description", "subnetIds"),
        defaults={"description": "Managed by Pulumi"},
        guards=(
            unless_used(
                "a replication group",
                "elasticache",
                "describe_cache_clusters",
                "CacheClusters[?CacheSubnetGroupName=='{id}'].CacheClusterId",
            ),
        ),
        why="moto has neither ModifyCacheSubnetGroup (changes stay in the stack's state) nor DeleteCacheSubnetGroup",
        gone=_forget_subnet_group,
    ),
    Row(
        token="aws:elasticache/parameterGroup:ParameterGroup",
        service="elasticache",
        create=Call(
            "create_cache_parameter_group",
            {"Description": lambda s: s.get("description", "Managed by Pulumi")},
            uses=("description",),
        ),
        id="inputs.name",
        names={"name": "CacheParameterGroupName", "family": "CacheParameterGroupFamily"},
        outputs={"arn": _arn("parametergroup")},
        mutable=("parameters",),
    ),
    Row(
        token="aws:elasticache/user:User",
        service="elasticache",
        create=Call("create_user", {"Passwords": _passwords}, uses=("passwords",)),
        id="UserId",
        read=by("describe_users", {"UserId": "id"}),
        at="Users[0]",
        delete=by("delete_user", {"UserId": "id"}),
        names={"authenticationMode.type": "Type", "arn": "ARN"},
        mutable=("accessString", "passwords", "noPasswordRequired", "authenticationMode", "engine"),
        name=None,
        why="moto has no ModifyUser: changes of access string and passwords reach the real Redis, not moto",
        made=redis.user_made,
        gone=redis.user_gone,
    ),
    Row(
        token="aws:elasticache/userGroup:UserGroup",
        service="elasticache",
        create=Call("create_user_group"),
        id="inputs.userGroupId",
        outputs={"arn": _arn("usergroup")},
        mutable=("userIds", "engine"),
        checks=(_default_user,),
        name=None,
    ),
    Row(
        token="aws:elasticache/userGroupAssociation:UserGroupAssociation",
        service="elasticache",
        create=Call("modify_user_group", {"UserGroupId": "userGroupId", "UserIdsToAdd": ["userId"]}, auto=False),
        id=lambda s, _: f"{s['userGroupId']},{s['userId']}",
        name=None,
    ),
    Row(
        token="aws:elasticache/cluster:Cluster",
        service="elasticache",
        create=Call("create_cache_cluster"),
        id="CacheCluster.CacheClusterId",
        read=by("describe_cache_clusters", {"CacheClusterId": "id"}),
        at="CacheClusters[0]",
        delete=by("delete_cache_cluster", {"CacheClusterId": "id"}),
        names={
            "clusterId": "CacheClusterId",
            "nodeType": "CacheNodeType",
            "subnetGroupName": "CacheSubnetGroupName",
            "parameterGroupName": "CacheParameterGroupName",
            "arn": "ARN",
        },
        name="clusterId",
        longest=50,
    ),
    Row(
        token="aws:elasticache/serverlessCache:ServerlessCache",
        service="elasticache",
        create=Call("create_serverless_cache"),
        id="inputs.name",
        names={"name": "ServerlessCacheName"},
        outputs={
            "arn": _arn("serverlesscache"),
            "endpoints": lambda s, _: [{"address": f"{s.id}.serverless.cache.amazonaws.com", "port": 6379}],
        },
        mutable=(
            "cacheUsageLimits",
            "description",
            "dailySnapshotTime",
            "securityGroupIds",
            "snapshotRetentionLimit",
            "userGroupId",
            "majorEngineVersion",
        ),
        longest=40,
    ),
)
