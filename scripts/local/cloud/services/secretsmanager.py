"""Secrets Manager."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud.table import Call, Row, Scope, by


def _by_hand(scope: Scope) -> None:
    """Put the value that an operator would, when the data plane has one for this secret."""
    value = scope.session.data_plane.secrets.get(str(scope["name"]))
    if value is not None:
        scope.call("secretsmanager", "put_secret_value", SecretId=scope.id, SecretString=value)


def _now(scope: Scope) -> bool | None:
    return True if scope.get("recoveryWindowInDays") == 0 else None


def _window(scope: Scope) -> Any:
    return scope.get("recoveryWindowInDays", 30) or None


def _abroad(scope: Scope) -> list[str]:
    """The Regions of the copies; AWS deletes a secret when they are gone."""
    return [replica["region"] for replica in scope.get("replicas") or []]


_READ = by("describe_secret", {"SecretId": "id"})

ROWS = (
    Row(
        token="aws:secretsmanager/secret:Secret",
        service="secretsmanager",
        create=Call("create_secret"),
        id="ARN",
        read=_READ,
        update=(Call("update_secret", {"SecretId": "id"}, when=("description", "kmsKeyId"), auto=True),),
        after=(
            Call("put_resource_policy", {"SecretId": "id", "ResourcePolicy": "policy"}, when=("policy",), auto=False),
        ),
        before_delete=(
            Call(
                "remove_regions_from_replication",
                {"SecretId": "id", "RemoveReplicaRegions": _abroad},
                when=("replicas",),
                auto=False,
            ),
        ),
        delete=by(
            "delete_secret",
            {"SecretId": "id", "ForceDeleteWithoutRecovery": _now, "RecoveryWindowInDays": _window},
        ),
        names={"arn": "ARN", "replicas": "AddReplicaRegions"},
        defaults={"recoveryWindowInDays": 30, "forceOverwriteReplicaSecret": False},
        tag_key="id",
        mutable=("forceOverwriteReplicaSecret",),
        made=_by_hand,
    ),
    Row(
        token="aws:secretsmanager/secretVersion:SecretVersion",
        service="secretsmanager",
        create=Call("put_secret_value"),
        upsert=True,
        id=lambda scope, answer: f"{scope['secretId']}|{answer['VersionId']}",
        read=by("get_secret_value", {"SecretId": "secretId"}),
        outputs={"arn": "ARN", "versionId": "VersionId"},
        replaces=("secretId",),
        mutable=("secretString", "secretBinary", "versionStages"),
        name=None,
    ),
    Row(
        token="aws:secretsmanager/secretPolicy:SecretPolicy",
        service="secretsmanager",
        create=Call("put_resource_policy", {"SecretId": "secretArn", "ResourcePolicy": "policy"}),
        upsert=True,
        id="inputs.secretArn",
        read=by("get_resource_policy", {"SecretId": "id"}),
        delete=by("delete_resource_policy", {"SecretId": "id"}),
        outputs={"policy": "ResourcePolicy"},
        replaces=("secretArn",),
        mutable=("policy", "blockPublicPolicy"),
        name=None,
    ),
    Row(
        token="aws:secretsmanager/secretRotation:SecretRotation",
        service="secretsmanager",
        create=Call("rotate_secret"),
        upsert=True,
        id="inputs.secretId",
        read=_READ,
        delete=by("cancel_rotate_secret", {"SecretId": "id"}),
        names={"rotationLambdaArn": "RotationLambdaARN"},
        outputs={"rotationEnabled": lambda scope, _: True},
        replaces=("secretId",),
        mutable=("rotationLambdaArn", "rotationRules", "rotateImmediately"),
        name=None,
    ),
)
