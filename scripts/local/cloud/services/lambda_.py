"""Lambda. moto keeps functions and their configuration; who waits for an answer has it from `functions`."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from scripts.local.cloud import shapes
from scripts.local.cloud.session import CloudError
from scripts.local.cloud.table import Call, Row, Scope, by


def _code(scope: Scope) -> dict[str, Any]:
    if scope["imageUri"] is not None:
        return {"ImageUri": scope["imageUri"]}
    if scope["s3Bucket"] is not None:
        return {"S3Bucket": scope["s3Bucket"], "S3Key": scope["s3Key"]}
    return {"ZipFile": b"" if scope.preview else shapes.content(scope["code"])}


def _invoked(scope: Scope) -> None:
    """Call it, and keep what it answers; with the CRUD life cycle it is told why."""
    why = {"action": "update" if scope.old else "create", "prev_input": _event(scope.old.get("input"))}
    scope.state["result"] = _call(scope, why)


def _taken_back(scope: Scope) -> None:
    if scope["lifecycleScope"] == "CRUD":
        _call(scope, {"action": "delete", "prev_input": None})


def _call(scope: Scope, why: dict[str, Any]) -> str:
    key = {str(scope.get("terraformKey", "tf")): why} if scope["lifecycleScope"] == "CRUD" else {}
    answer = scope.call(
        "lambda",
        "invoke",
        FunctionName=scope["functionName"],
        Payload=json.dumps({**(_event(scope["input"]) or {}), **key}),
    )
    payload: str = answer["Payload"].read().decode()
    if "FunctionError" in answer:
        raise CloudError("FunctionError", f"{scope['functionName']} returned {payload}", "lambda.invoke")
    return payload


def _event(given: Any) -> dict[str, Any] | None:
    found: dict[str, Any] | None = json.loads(given) if isinstance(given, str) else None
    return found


_CODE = ("code", "imageUri", "s3Bucket", "s3Key", "s3ObjectVersion", "sourceCodeHash")

ROWS = (
    Row(
        token="aws:lambda/function:Function",
        service="lambda",
        create=Call("create_function", {"Code": _code}, uses=_CODE),
        id="FunctionName",
        read=by("get_function", {"FunctionName": "id"}),
        at="Configuration",
        after=(
            Call(
                "put_function_concurrency",
                {"FunctionName": "id", "ReservedConcurrentExecutions": "reservedConcurrentExecutions"},
                when=("reservedConcurrentExecutions",),
                auto=False,
            ),
        ),
        update=(
            Call("update_function_configuration", {"FunctionName": "id"}),
            Call(
                "update_function_code",
                {
                    "FunctionName": "id",
                    "ZipFile": lambda s: _code(s).get("ZipFile"),
                    "ImageUri": lambda s: _code(s).get("ImageUri"),
                    "S3Bucket": lambda s: _code(s).get("S3Bucket"),
                    "S3Key": lambda s: _code(s).get("S3Key"),
                },
                when=_CODE,
                auto=False,
            ),
        ),
        delete=by("delete_function", {"FunctionName": "id"}),
        names={"name": "FunctionName", "arn": "FunctionArn", "kmsKeyArn": "KMSKeyArn"},
        outputs={
            "qualifiedArn": lambda s, a: f"{a['FunctionArn']}:{a.get('Version', '$LATEST')}",
            "invokeArn": lambda s, a: (
                f"arn:aws:apigateway:{s.region}:lambda:path/2015-03-31/functions/{a['FunctionArn']}/invocations"
            ),
        },
        mutable=("publish", "architectures"),
        defaults={"memorySize": 128, "timeout": 3, "packageType": "Zip"},
        longest=64,
        why="a function runs when it is called and when a secret rotates; schedules and events call our own alone",
    ),
    Row(
        token="aws:lambda/invocation:Invocation",
        service="lambda",
        create=Call("invoke", {"FunctionName": "functionName", "Payload": "input"}, auto=False),
        store=True,
        id=lambda s, _: f"{s['functionName']}_$LATEST_{hashlib.md5(str(s['input']).encode()).hexdigest()}",
        defaults={"lifecycleScope": "CREATE_ONLY", "qualifier": "$LATEST", "terraformKey": "tf"},
        mutable=("input", "lifecycleScope", "terraformKey"),
        replaces=("functionName",),
        name=None,
        why="it is a call, not a thing: the answer is kept",
        made=_invoked,
        gone=_taken_back,
    ),
    Row(
        token="aws:lambda/permission:Permission",
        service="lambda",
        create=Call("add_permission", {"FunctionName": "function"}),
        id="inputs.statementId",
        read=by("get_policy", {"FunctionName": "function"}),
        delete=by("remove_permission", {"FunctionName": "function", "StatementId": "id"}),
        name="statementId",
        longest=100,
    ),
    Row(
        token="aws:lambda/alias:Alias",
        service="lambda",
        create=Call("create_alias"),
        id="AliasArn",
        read=by("get_alias", {"FunctionName": "functionName", "Name": "name"}),
        update=(Call("update_alias", {"FunctionName": "functionName", "Name": "name"}),),
        delete=by("delete_alias", {"FunctionName": "functionName", "Name": "name"}),
        names={"arn": "AliasArn"},
        replaces=("functionName", "name"),
    ),
    Row(
        token="aws:lambda/eventSourceMapping:EventSourceMapping",
        service="lambda",
        create=Call("create_event_source_mapping"),
        id="UUID",
        read=by("get_event_source_mapping", {"UUID": "id"}),
        update=(Call("update_event_source_mapping", {"UUID": "id"}),),
        delete=by("delete_event_source_mapping", {"UUID": "id"}),
        outputs={"uuid": "UUID", "arn": lambda s, _: s.arn("lambda", f"event-source-mapping:{s.id}")},
        name=None,
    ),
    Row(
        token="aws:lambda/layerVersion:LayerVersion",
        service="lambda",
        create=Call(
            "publish_layer_version",
            {"Content": lambda s: {"ZipFile": b"" if s.preview else shapes.content(s["code"])}},
            uses=("code",),
        ),
        id="LayerVersionArn",
        read=by("get_layer_version_by_arn", {"Arn": "id"}),
        names={"arn": "LayerVersionArn"},
        outputs={"layerArn": "LayerArn", "version": lambda _, a: str(a.get("Version"))},
        name=None,
    ),
    Row(
        token="aws:lambda/functionUrl:FunctionUrl",
        service="lambda",
        create=Call("create_function_url_config", {"AuthType": "authorizationType"}),
        id="inputs.functionName",
        read=by("get_function_url_config", {"FunctionName": "id"}),
        update=(Call("update_function_url_config", {"FunctionName": "id", "AuthType": "authorizationType"}),),
        delete=by("delete_function_url_config", {"FunctionName": "id"}),
        name=None,
    ),
    Row(
        token="aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
        service="lambda",
        create=Call("put_function_event_invoke_config"),
        upsert=True,
        id="inputs.functionName",
        read=by("get_function_event_invoke_config", {"FunctionName": "id"}),
        delete=by("delete_function_event_invoke_config", {"FunctionName": "id"}),
        replaces=("functionName",),
        name=None,
    ),
    Row(
        token="aws:lambda/codeSigningConfig:CodeSigningConfig",
        service="lambda",
        create=Call("create_code_signing_config", {"CodeSigningPolicies": "policies"}),
        id=lambda s, _: s.arn("lambda", f"code-signing-config:csc-{s.session.fresh()}"),
        outputs={"arn": lambda s, _: s.id},
        mutable=("allowedPublishers", "policies", "description"),
        name=None,
    ),
)
