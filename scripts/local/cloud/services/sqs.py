"""SQS. Attributes travel as one map of strings; the queue's URL is its id."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud.table import Call, Literal, Row, Scope, by

# Pulumi input → queue attribute (CreateQueue in the SQS API reference).
_ATTRIBUTES = {
    "contentBasedDeduplication": "ContentBasedDeduplication",
    "deduplicationScope": "DeduplicationScope",
    "delaySeconds": "DelaySeconds",
    "fifoQueue": "FifoQueue",
    "fifoThroughputLimit": "FifoThroughputLimit",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "policy": "Policy",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "redriveAllowPolicy": "RedriveAllowPolicy",
    "redrivePolicy": "RedrivePolicy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}


def _attributes(scope: Scope) -> dict[str, Any]:
    return {
        attribute: scope.inputs[name]
        for name, attribute in _ATTRIBUTES.items()
        if scope.inputs.get(name) not in (None, False) or name in scope.old
    }


def _changeable(scope: Scope) -> dict[str, Any]:
    return {name: value for name, value in _attributes(scope).items() if name != "FifoQueue"}


_READ = by("get_queue_attributes", {"QueueUrl": "id", "AttributeNames": Literal(["All"])})


def _sub_resource(token: str, property: str, attribute: str) -> Row:
    def write(scope: Scope) -> dict[str, Any]:
        return {attribute: scope[property]}

    return Row(
        token=token,
        service="sqs",
        create=Call(
            "set_queue_attributes", {"QueueUrl": "queueUrl", "Attributes": write}, uses=(property,), auto=False
        ),
        upsert=True,
        id="inputs.queueUrl",
        read=_READ,
        at="Attributes",
        delete=by("set_queue_attributes", {"QueueUrl": "id", "Attributes": Literal({attribute: ""})}),
        outputs={property: attribute},
        replaces=("queueUrl",),
        mutable=(property,),
        name=None,
    )


ROWS = (
    Row(
        token="aws:sqs/queue:Queue",
        service="sqs",
        create=Call("create_queue", {"QueueName": "name", "Attributes": _attributes}, uses=tuple(_ATTRIBUTES)),
        id="QueueUrl",
        read=_READ,
        at="Attributes",
        update=(
            Call(
                "set_queue_attributes",
                {"QueueUrl": "id", "Attributes": _changeable},
                uses=tuple(name for name in _ATTRIBUTES if name != "fifoQueue"),
                auto=False,
            ),
        ),
        delete=by("delete_queue", {"QueueUrl": "id"}),
        outputs={"arn": "QueueArn", "url": lambda scope, _: scope.id, **_ATTRIBUTES},
        tag_key="id",
        longest=80,
        defaults={
            "visibilityTimeoutSeconds": 30,
            "messageRetentionSeconds": 345600,
            "maxMessageSize": 262144,
            "delaySeconds": 0,
            "receiveWaitTimeSeconds": 0,
            "fifoQueue": False,
            "contentBasedDeduplication": False,
        },
    ),
    _sub_resource("aws:sqs/queuePolicy:QueuePolicy", "policy", "Policy"),
    _sub_resource("aws:sqs/redrivePolicy:RedrivePolicy", "redrivePolicy", "RedrivePolicy"),
    _sub_resource("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy", "redriveAllowPolicy", "RedriveAllowPolicy"),
)
