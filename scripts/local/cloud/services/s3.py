"""S3: the bucket and the sub-resources that configure it."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud import shapes
from scripts.local.cloud.backend import Archive, Asset, Refused
from scripts.local.cloud.session import CloudError
from scripts.local.cloud.table import Call, Row, Scope, by


def _location(scope: Scope) -> dict[str, str] | None:
    return None if scope.region == "us-east-1" else {"LocationConstraint": scope.region}


def _empty(scope: Scope) -> None:
    """With forceDestroy everything goes, all versions included; without it S3 refuses a bucket with objects."""
    listed = scope.call("s3", "list_object_versions", Bucket=scope.id)
    objects = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
    if objects and not scope.get("forceDestroy"):
        raise Refused("", f"BucketNotEmpty: {scope.id} holds {len(objects)} objects; set forceDestroy or delete them")
    for each in objects:
        scope.call("s3", "delete_object", Bucket=scope.id, Key=each["Key"], VersionId=each["VersionId"])


def _hosted(scope: Scope, _: dict[str, Any]) -> str:
    return f"{scope.id}.s3.{scope.region}.amazonaws.com"


def _bucket(token: str) -> Row:
    return Row(
        token=token,
        service="s3",
        create=Call(
            "create_bucket",
            {
                "Bucket": "bucket",
                "CreateBucketConfiguration": _location,
                "ObjectLockEnabledForBucket": "objectLockEnabled",
            },
            auto=False,
        ),
        id="inputs.bucket",
        read=by("head_bucket", {"Bucket": "id"}),
        delete=by("delete_bucket", {"Bucket": "id"}),
        outputs={
            "arn": lambda s, _: f"arn:aws:s3:::{s.id}",
            "bucketDomainName": lambda s, _: f"{s.id}.s3.amazonaws.com",
            "bucketRegionalDomainName": _hosted,
            "bucketRegion": lambda s, _: s.region,
            "bucket": lambda s, _: s.id,
        },
        defaults={"forceDestroy": False},
        tag_key="id",
        name="bucket",
        longest=63,
        ignore_missing=("404",),
        guards=(_empty,),
        why="inline settings of the bucket (deprecated) stay in the stack's state: use the sub-resources",
    )


def _part(
    kind: str, noun: str, parameter: str = "", *, build: Any = None, uses: tuple[str, ...] = (), **more: Any
) -> Row:
    """One configuration of a bucket: put_…, get_…, delete_…; ``build`` makes the parameter from the inputs."""
    params: dict[str, Any] = {"Bucket": "bucket"}
    if parameter:
        params[parameter] = build
    return Row(
        token=f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}",
        service="s3",
        create=Call(f"put_{noun}", params, uses=uses, auto=not parameter),
        upsert=True,
        id="inputs.bucket",
        read=by(f"get_{noun}", {"Bucket": "id"}),
        replaces=("bucket",),
        name=None,
        **more,
    )


def _block(scope: Scope) -> dict[str, bool]:
    names = ("blockPublicAcls", "ignorePublicAcls", "blockPublicPolicy", "restrictPublicBuckets")
    return {name[0].upper() + name[1:]: scope.get(name, False) for name in names}


def _as(method: str, parameter: str, names: dict[str, str], *inputs: str) -> Any:
    """The inputs as ``parameter`` of ``method``, matched by name."""

    def build(scope: Scope) -> Any:
        shape = shapes.nested("s3", method, parameter)
        return shapes.parameter(shape, {name: scope[name] for name in inputs if scope[name] is not None}, names)

    return build


_ENCRYPTION_NAMES = {
    "rules.applyServerSideEncryptionByDefault.kmsMasterKeyId": "KMSMasterKeyID",
    "rules.applyServerSideEncryptionByDefault.sseAlgorithm": "SSEAlgorithm",
}


def _body(scope: Scope) -> Any:
    if scope["content"] is not None:
        return scope["content"].encode() if isinstance(scope["content"], str) else scope["content"]
    source = scope["source"]
    return shapes.content(source) if isinstance(source, Asset | Archive) and not scope.preview else b""


def _object(token: str) -> Row:
    return Row(
        token=token,
        service="s3",
        create=Call(
            "put_object", {"Bucket": "bucket", "Body": _body, "SSEKMSKeyId": "kmsKeyId"}, uses=("content", "source")
        ),
        upsert=True,
        id=lambda s, _: str(s["key"]),
        read=by("head_object", {"Bucket": "bucket", "Key": "key"}),
        delete=by("delete_object", {"Bucket": "bucket", "Key": "key"}),
        outputs={
            "etag": lambda _, a: str(a.get("ETag", "")).strip('"'),
            "arn": lambda s, _: f"arn:aws:s3:::{s['bucket']}/{s['key']}",
            "metadata": lambda s, _: None,
        },
        replaces=("bucket", "key"),
        name="key",
        longest=1024,
        ignore_missing=("404",),
    )


def _no_policy(scope: Scope) -> None:
    try:
        scope.call("s3", "delete_bucket_policy", Bucket=scope.id)
    except CloudError as error:
        if not error.missing:
            raise


# Type, call, its parameters, id, name, whether in the store, outputs.
_CONTROL: tuple[tuple[str, str, dict[str, Any], Any, str | None, bool, dict[str, Any]], ...] = (
    (
        "AccessPoint",
        "create_access_point",
        {"AccountId": lambda s: s.get("accountId", s.session.account), "Name": "name", "Bucket": "bucket"},
        "inputs.name",
        "name",
        True,
        {"arn": lambda s, _: s.arn("s3", f"accesspoint/{s.id}")},
    ),
    (
        "AccountPublicAccessBlock",
        "put_public_access_block",
        {
            "AccountId": lambda s: s.get("accountId", s.session.account),
            "PublicAccessBlockConfiguration": _block,
        },
        lambda s, _: s.session.account,
        None,
        True,
        {},
    ),
)

ROWS = (
    _bucket("aws:s3/bucket:Bucket"),
    _bucket("aws:s3/bucketV2:BucketV2"),
    _object("aws:s3/bucketObject:BucketObject"),
    _object("aws:s3/bucketObjectv2:BucketObjectv2"),
    _part(
        "BucketPublicAccessBlock",
        "public_access_block",
        "PublicAccessBlockConfiguration",
        build=_block,
        uses=("blockPublicAcls", "ignorePublicAcls", "blockPublicPolicy", "restrictPublicBuckets"),
        at="PublicAccessBlockConfiguration",
        delete=by("delete_public_access_block", {"Bucket": "id"}),
    ),
    *(
        _part(
            kind,
            "bucket_versioning",
            "VersioningConfiguration",
            build=lambda s: {
                "Status": (s["versioningConfiguration"] or {}).get("status"),
                **(
                    {"MFADelete": s["versioningConfiguration"]["mfaDelete"]}
                    if (s["versioningConfiguration"] or {}).get("mfaDelete")
                    else {}
                ),
            },
            uses=("versioningConfiguration",),
        )
        for kind in ("BucketVersioning", "BucketVersioningV2")
    ),
    *(
        _part(
            kind,
            "bucket_encryption",
            "ServerSideEncryptionConfiguration",
            build=_as("put_bucket_encryption", "ServerSideEncryptionConfiguration", _ENCRYPTION_NAMES, "rules"),
            uses=("rules",),
            at="ServerSideEncryptionConfiguration",
            outputs={"rules": lambda s, _: None},
            delete=by("delete_bucket_encryption", {"Bucket": "id"}),
        )
        for kind in ("BucketServerSideEncryptionConfiguration", "BucketServerSideEncryptionConfigurationV2")
    ),
    *(
        _part(
            kind,
            "bucket_lifecycle_configuration",
            "LifecycleConfiguration",
            build=_as("put_bucket_lifecycle_configuration", "LifecycleConfiguration", {"rules.id": "ID"}, "rules"),
            uses=("rules",),
            outputs={"rules": lambda s, _: None},
            delete=by("delete_bucket_lifecycle", {"Bucket": "id"}),
        )
        for kind in ("BucketLifecycleConfiguration", "BucketLifecycleConfigurationV2")
    ),
    *(
        _part(
            kind,
            "bucket_logging",
            "BucketLoggingStatus",
            build=lambda s: {
                "LoggingEnabled": {"TargetBucket": s["targetBucket"], "TargetPrefix": s.get("targetPrefix", "")}
            },
            uses=("targetBucket", "targetPrefix"),
            at="LoggingEnabled",
        )
        for kind in ("BucketLogging", "BucketLoggingV2")
    ),
    _part(
        "BucketOwnershipControls",
        "bucket_ownership_controls",
        "OwnershipControls",
        build=lambda s: {"Rules": [{"ObjectOwnership": (s["rule"] or {}).get("objectOwnership")}]},
        uses=("rule",),
        delete=by("delete_bucket_ownership_controls", {"Bucket": "id"}),
    ),
    _part(
        "BucketReplicationConfig",
        "bucket_replication",
        "ReplicationConfiguration",
        build=_as(
            "put_bucket_replication",
            "ReplicationConfiguration",
            {
                "rules.id": "ID",
                "rules.destination.encryptionConfiguration.replicaKmsKeyId": "ReplicaKmsKeyID",
            },
            "role",
            "rules",
        ),
        uses=("role", "rules"),
        at="ReplicationConfiguration",
        outputs={"rules": lambda s, _: None},
        delete=by("delete_bucket_replication", {"Bucket": "id"}),
    ),
    _part("BucketPolicy", "bucket_policy", gone=_no_policy),
    _part("BucketAcl", "bucket_acl", "ACL", build=lambda s: s["acl"], uses=("acl",)),
    *(
        _part(
            kind,
            "bucket_cors",
            "CORSConfiguration",
            build=_as(
                "put_bucket_cors", "CORSConfiguration", {"corsRules": "CORSRules", "corsRules.id": "ID"}, "corsRules"
            ),
            uses=("corsRules",),
            outputs={"corsRules": lambda s, _: None},
            delete=by("delete_bucket_cors", {"Bucket": "id"}),
        )
        for kind in ("BucketCorsConfiguration", "BucketCorsConfigurationV2")
    ),
    Row(
        token="aws:s3/bucketNotification:BucketNotification",
        service="s3",
        create=Call(
            "put_bucket_notification_configuration",
            {
                "Bucket": "bucket",
                "NotificationConfiguration": lambda s: {
                    **({"EventBridgeConfiguration": {}} if s["eventbridge"] else {}),
                    **(
                        {
                            "QueueConfigurations": [
                                {"QueueArn": q["queueArn"], "Events": q["events"]} for q in s["queues"]
                            ]
                        }
                        if s["queues"]
                        else {}
                    ),
                    **(
                        {
                            "TopicConfigurations": [
                                {"TopicArn": t["topicArn"], "Events": t["events"]} for t in s["topics"]
                            ]
                        }
                        if s["topics"]
                        else {}
                    ),
                    **(
                        {
                            "LambdaFunctionConfigurations": [
                                {"LambdaFunctionArn": f["lambdaFunctionArn"], "Events": f["events"]}
                                for f in s["lambdaFunctions"]
                            ]
                        }
                        if s["lambdaFunctions"]
                        else {}
                    ),
                },
            },
            uses=("eventbridge", "queues", "topics", "lambdaFunctions"),
            auto=False,
        ),
        upsert=True,
        id="inputs.bucket",
        read=by("head_bucket", {"Bucket": "id"}),
        replaces=("bucket",),
        name=None,
    ),
    *(
        Row(
            token=f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}",
            service="s3control",
            create=Call(method, params, auto=not params),
            upsert=True,
            id=id,
            name=name,
            store=store,
            outputs=outputs,
        )
        for kind, method, params, id, name, store, outputs in _CONTROL
    ),
)
