"""SNS topics, Step Functions state machines, EventBridge rules and schedules."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from scripts.local.cloud.session import CloudError
from scripts.local.cloud.table import Call, Literal, Row, Scope, by

# Pulumi input → topic attribute (SetTopicAttributes).
_TOPIC = {
    "policy": "Policy",
    "displayName": "DisplayName",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "deliveryPolicy": "DeliveryPolicy",
    "tracingConfig": "TracingConfig",
    "signatureVersion": "SignatureVersion",
    "contentBasedDeduplication": "ContentBasedDeduplication",
}
_SUBSCRIPTION = {
    "filterPolicy": "FilterPolicy",
    "filterPolicyScope": "FilterPolicyScope",
    "rawMessageDelivery": "RawMessageDelivery",
    "redrivePolicy": "RedrivePolicy",
    "deliveryPolicy": "DeliveryPolicy",
    "subscriptionRoleArn": "SubscriptionRoleArn",
}


def _attributes(names: dict[str, str], *, fifo: bool = False) -> Any:
    def build(scope: Scope) -> dict[str, str]:
        found = {
            attribute: scope.inputs[name] for name, attribute in names.items() if scope.inputs.get(name) is not None
        }
        if fifo and scope.get("fifoTopic"):
            found["FifoTopic"] = True
        return found

    return build


def _setters(method: str, key: str, names: dict[str, str]) -> tuple[Call, ...]:
    return tuple(
        Call(
            method,
            {key: "id", "AttributeName": Literal(attribute), "AttributeValue": name},
            when=(name,),
            auto=False,
        )
        for name, attribute in names.items()
    )


def _newest_version(scope: Scope, _: Any) -> str:
    """Versions are numbered from 1; moto cannot list them."""
    if not scope.get("publish"):
        return scope.id
    number = 1
    with suppress(CloudError):
        while True:
            scope.call("stepfunctions", "describe_state_machine", stateMachineArn=f"{scope.id}:{number + 1}")
            number += 1
    return f"{scope.id}:{number}"


ROWS = (
    Row(
        token="aws:sns/topic:Topic",
        service="sns",
        create=Call("create_topic", {"Attributes": _attributes(_TOPIC, fifo=True)}, uses=("fifoTopic", *_TOPIC)),
        id="TopicArn",
        read=by("get_topic_attributes", {"TopicArn": "id"}),
        at="Attributes",
        update=_setters("set_topic_attributes", "TopicArn", _TOPIC),
        delete=by("delete_topic", {"TopicArn": "id"}),
        names={"arn": "TopicArn"},
        outputs={"owner": "Owner", **_TOPIC},
    ),
    Row(
        token="aws:sns/topicPolicy:TopicPolicy",
        service="sns",
        create=Call(
            "set_topic_attributes",
            {"TopicArn": "arn", "AttributeName": Literal("Policy"), "AttributeValue": "policy"},
            auto=False,
        ),
        upsert=True,
        id="inputs.arn",
        read=by("get_topic_attributes", {"TopicArn": "id"}),
        at="Attributes",
        outputs={"owner": "Owner", "policy": "Policy"},
        replaces=("arn",),
        mutable=("policy",),
        name=None,
    ),
    Row(
        token="aws:sns/topicSubscription:TopicSubscription",
        service="sns",
        create=Call(
            "subscribe",
            {"TopicArn": "topic", "ReturnSubscriptionArn": Literal(True), "Attributes": _attributes(_SUBSCRIPTION)},
            uses=tuple(_SUBSCRIPTION),
        ),
        id="SubscriptionArn",
        read=by("get_subscription_attributes", {"SubscriptionArn": "id"}),
        at="Attributes",
        update=_setters("set_subscription_attributes", "SubscriptionArn", _SUBSCRIPTION),
        delete=by("unsubscribe", {"SubscriptionArn": "id"}),
        outputs={
            "arn": lambda s, _: s.id,
            "topic": "TopicArn",
            "pendingConfirmation": lambda _, a: a.get("PendingConfirmation") == "true",
            **_SUBSCRIPTION,
        },
        replaces=("topic", "protocol", "endpoint"),
        name=None,
    ),
    Row(
        token="aws:sfn/stateMachine:StateMachine",
        service="stepfunctions",
        create=Call("create_state_machine"),
        id="stateMachineArn",
        read=by("describe_state_machine", {"stateMachineArn": "id"}),
        update=(Call("update_state_machine", {"stateMachineArn": "id"}),),
        delete=by("delete_state_machine", {"stateMachineArn": "id"}),
        names={"arn": "stateMachineArn"},
        outputs={
            "stateMachineVersionArn": _newest_version,
            "revisionId": lambda _, a: a.get("revisionId") or "INITIAL",
        },
        defaults={"type": "STANDARD"},
        replaces=("name", "type"),
        mutable=("publish",),
        longest=80,
    ),
    Row(
        token="aws:sfn/alias:Alias",
        service="stepfunctions",
        create=Call("create_state_machine_alias"),
        id="stateMachineAliasArn",
        read=by("describe_state_machine_alias", {"stateMachineAliasArn": "id"}),
        update=(Call("update_state_machine_alias", {"stateMachineAliasArn": "id"}),),
        delete=by("delete_state_machine_alias", {"stateMachineAliasArn": "id"}),
        names={"arn": "stateMachineAliasArn"},
        longest=80,
    ),
    Row(
        token="aws:sfn/activity:Activity",
        service="stepfunctions",
        create=Call("create_activity"),
        id="activityArn",
        read=by("describe_activity", {"activityArn": "id"}),
        delete=by("delete_activity", {"activityArn": "id"}),
        names={"arn": "activityArn"},
        longest=80,
    ),
    Row(
        token="aws:cloudwatch/eventBus:EventBus",
        service="events",
        create=Call("create_event_bus"),
        id="inputs.name",
        read=by("describe_event_bus", {"Name": "id"}),
        delete=by("delete_event_bus", {"Name": "id"}),
        mutable=("description", "deadLetterConfig", "kmsKeyIdentifier", "logConfig"),
        name=None,
    ),
    Row(
        token="aws:cloudwatch/eventBusPolicy:EventBusPolicy",
        service="events",
        create=Call("put_permission"),
        upsert=True,
        id=lambda s, _: str(s.get("eventBusName", "default")),
        read=by("describe_event_bus", {"Name": "id"}),
        mutable=("policy",),
        name=None,
    ),
    Row(
        token="aws:cloudwatch/eventRule:EventRule",
        service="events",
        create=Call("put_rule"),
        upsert=True,
        id=lambda s, _: (
            s["name"] if s.get("eventBusName", "default") == "default" else f"{s['eventBusName']}/{s['name']}"
        ),
        read=by("describe_rule", {"Name": lambda s: s.id.split("/")[-1], "EventBusName": "eventBusName"}),
        delete=by("delete_rule", {"Name": lambda s: s.id.split("/")[-1], "EventBusName": "eventBusName"}),
        replaces=("name", "eventBusName"),
        mutable=("scheduleExpression", "eventPattern", "description", "state", "roleArn", "isEnabled"),
        longest=64,
        ignore_missing=("ResourceNotFoundException",),
    ),
    Row(
        token="aws:cloudwatch/eventTarget:EventTarget",
        service="events",
        create=Call(
            "put_targets",
            {
                "Targets": lambda s: [
                    {
                        key: value
                        for key, value in {
                            "Id": s["targetId"] or f"target-{s['rule']}",
                            "Arn": s["arn"],
                            "RoleArn": s["roleArn"],
                            "Input": s["input"],
                            "InputPath": s["inputPath"],
                            "DeadLetterConfig": {"Arn": (s["deadLetterConfig"] or {}).get("arn")}
                            if s["deadLetterConfig"]
                            else None,
                        }.items()
                        if value is not None
                    }
                ]
            },
            uses=("targetId", "arn", "roleArn", "input", "inputPath", "deadLetterConfig"),
        ),
        upsert=True,
        id=lambda s, _: f"{s['rule']}-{s['targetId'] or 'target-' + str(s['rule'])}",
        read=by("list_targets_by_rule", {"Rule": "rule", "EventBusName": "eventBusName"}),
        at=lambda s, a: next((t for t in a["Targets"] if t["Id"] == (s["targetId"] or f"target-{s['rule']}")), None),
        delete=by(
            "remove_targets",
            {
                "Rule": "rule",
                "EventBusName": "eventBusName",
                "Ids": lambda s: [s["targetId"] or f"target-{s['rule']}"],
            },
        ),
        outputs={"targetId": "Id"},
        replaces=("rule", "eventBusName", "targetId"),
        mutable=("arn", "roleArn", "input", "inputPath", "deadLetterConfig", "inputTransformer", "retryPolicy"),
        name=None,
    ),
    Row(
        token="aws:scheduler/schedule:Schedule",
        service="scheduler",
        create=Call("create_schedule"),
        id=lambda s, _: f"{s.get('groupName', 'default')}/{s['name']}",
        read=by("get_schedule", {"Name": lambda s: s.id.split("/")[-1], "GroupName": lambda s: s.id.split("/")[0]}),
        update=(Call("update_schedule", {"Name": "name", "GroupName": "groupName"}),),
        delete=by(
            "delete_schedule", {"Name": lambda s: s.id.split("/")[-1], "GroupName": lambda s: s.id.split("/")[0]}
        ),
        longest=64,
        replaces=("name", "groupName"),
    ),
    Row(
        token="aws:scheduler/scheduleGroup:ScheduleGroup",
        service="scheduler",
        create=Call("create_schedule_group"),
        id="inputs.name",
        read=by("get_schedule_group", {"Name": "id"}),
        delete=by("delete_schedule_group", {"Name": "id"}),
        longest=64,
    ),
    Row(
        token="aws:pipes/pipe:Pipe",
        service="pipes",
        create=Call("create_pipe"),
        id="inputs.name",
        read=by("describe_pipe", {"Name": "id"}),
        delete=by("delete_pipe", {"Name": "id"}),
        mutable=("description", "desiredState", "enrichment", "roleArn", "target", "targetParameters"),
        longest=64,
    ),
)
