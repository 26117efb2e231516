"""KMS."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud.table import Call, Literal, Row, Scope, by


def _policy(scope: Scope, _: dict[str, Any]) -> Any:
    return scope.call("kms", "get_key_policy", KeyId=scope.id, PolicyName="default")["Policy"]


def _rotation(scope: Scope) -> None:
    if scope.get("enableKeyRotation"):
        period = {"RotationPeriodInDays": scope["rotationPeriodInDays"]} if scope["rotationPeriodInDays"] else {}
        scope.call("kms", "enable_key_rotation", KeyId=scope.id, **period)
    elif scope.old.get("enableKeyRotation"):
        scope.call("kms", "disable_key_rotation", KeyId=scope.id)
    if scope.inputs.get("isEnabled") is False:
        scope.call("kms", "disable_key", KeyId=scope.id)
    elif scope.old.get("isEnabled") is False:
        scope.call("kms", "enable_key", KeyId=scope.id)


def _rotating(scope: Scope, _: dict[str, Any]) -> Any:
    return scope.call("kms", "get_key_rotation_status", KeyId=scope.id)["KeyRotationEnabled"]


ROWS = (
    Row(
        token="aws:kms/key:Key",
        service="kms",
        create=Call("create_key"),
        id="KeyMetadata.KeyId",
        read=by("describe_key", {"KeyId": "id"}),
        at=lambda _, answer: None if answer["KeyMetadata"]["KeyState"] == "PendingDeletion" else answer["KeyMetadata"],
        update=(
            Call("put_key_policy", {"KeyId": "id", "PolicyName": Literal("default")}, when=("policy",)),
            Call("update_key_description", {"KeyId": "id"}, when=("description",)),
        ),
        delete=by(
            "schedule_key_deletion", {"KeyId": "id", "PendingWindowInDays": lambda s: s.get("deletionWindowInDays", 30)}
        ),
        names={"customerMasterKeySpec": "KeySpec", "bypassPolicyLockoutSafetyCheck": "BypassPolicyLockoutSafetyCheck"},
        outputs={"policy": _policy, "enableKeyRotation": _rotating, "isEnabled": "Enabled", "keyId": "KeyId"},
        mutable=("bypassPolicyLockoutSafetyCheck",),
        tag_key="id",
        name=None,
        made=_rotation,
    ),
    Row(
        token="aws:kms/alias:Alias",
        service="kms",
        create=Call("create_alias", {"AliasName": lambda s: _alias_name(s)}, uses=("name",)),
        id=lambda s, _: _alias_name(s),
        read=by("list_aliases"),
        at="Aliases[?AliasName=='{id}'] | [0]",
        update=(Call("update_alias", {"AliasName": "id", "TargetKeyId": "targetKeyId"}, auto=False),),
        delete=by("delete_alias", {"AliasName": "id"}),
        names={"arn": "AliasArn"},
        outputs={
            "name": "AliasName",
            "targetKeyArn": lambda s, a: s.arn("kms", f"key/{a['TargetKeyId']}"),
        },
    ),
    Row(
        token="aws:kms/keyPolicy:KeyPolicy",
        service="kms",
        create=Call("put_key_policy", {"PolicyName": Literal("default")}),
        upsert=True,
        id="inputs.keyId",
        read=by("get_key_policy", {"KeyId": "id", "PolicyName": Literal("default")}),
        mutable=("policy",),
        replaces=("keyId",),
        name=None,
    ),
    Row(
        token="aws:kms/grant:Grant",
        service="kms",
        create=Call("create_grant"),
        id=lambda s, a: f"{s['keyId']}:{a['GrantId']}",
        read=by("list_grants", {"KeyId": "keyId"}),
        at=lambda s, a: next((g for g in a["Grants"] if g["GrantId"] == s.id.split(":")[-1]), None),
        delete=by("revoke_grant", {"KeyId": "keyId", "GrantId": lambda s: s.id.split(":")[-1]}),
    ),
    Row(
        token="aws:kms/replicaKey:ReplicaKey",
        service="kms",
        create=Call(
            "replicate_key",
            {"KeyId": "primaryKeyArn", "ReplicaRegion": lambda s: s.region},
            uses=("primaryKeyArn",),
        ),
        id=lambda s, _: f"mrk-{s.session.fresh(32)}",
        store=True,
        why="replicate_key is called in the primary's region, which one client per resource does not know",
        outputs={
            "keyId": lambda s, _: s.id,
            "arn": lambda s, _: s.arn("kms", f"key/{s.id}"),
        },
        mutable=("policy", "description"),
        name=None,
    ),
)


def _alias_name(scope: Scope) -> Any:
    name = scope["name"]
    return name if not isinstance(name, str) or name.startswith("alias/") else f"alias/{name}"
