"""Rules for queues, topics and functions that are called: encrypted, and closed to strangers."""

from __future__ import annotations

from policies.checks import Judged, Properties, none_of, present
from policies.documents import not_public
from policies.kit import rule, stack_rule
from policies.stacks import Companion

_BUS = "aws:cloudwatch/eventBus:EventBus"
_BUS_POLICY = "aws:cloudwatch/eventBusPolicy:EventBusPolicy"


def queue_is_encrypted(props: Properties) -> str | None:
    """A key of ours, or SQS's own, which is on unless it is switched off."""
    if props.get("kmsMasterKeyId") or props.get("sqsManagedSseEnabled") is not False:
        return None
    return "sqsManagedSseEnabled is False and kmsMasterKeyId is absent, it must be one that protects the messages"


def called_by_somebody(props: Properties) -> str | None:
    """A service calls for anybody unless its account or resource is named."""
    principal = props.get("principal")
    named = any(props.get(key) for key in ("sourceArn", "sourceAccount", "principalOrgId"))
    if principal != "*" and (named or not str(principal).endswith("amazonaws.com")):
        return None
    return f"principal is {principal!r} without sourceArn or sourceAccount, it must be narrowed"


RULES = [
    rule(
        "queue-encrypted",
        "FSBP SQS.1",
        Judged(
            path="kmsMasterKeyId",
            judge=queue_is_encrypted,
            good={"kmsMasterKeyId": "alias/queues"},
            bad=({"sqsManagedSseEnabled": False},),
            remedy="Set kmsMasterKeyId to a customer-managed key",
        ),
    ),
    rule("queue-not-public", "FSBP SQS.3", not_public()),
    rule("topic-not-public", "FSBP SNS.4", not_public()),
    rule("topic-encrypted", "CKV CKV_AWS_26", present("kmsMasterKeyId")),
    rule("topic-own-key", "CKV CKV_AWS_26", none_of("kmsMasterKeyId", "alias/aws/sns")),
    rule(
        "function-not-public",
        "FSBP Lambda.1",
        Judged(
            path="principal",
            judge=called_by_somebody,
            good={"principal": "events.amazonaws.com", "sourceArn": "arn:aws:x"},
            bad=({"principal": "*"}, {"principal": "s3.amazonaws.com"}),
            remedy="Set sourceArn or sourceAccount",
        ),
    ),
    stack_rule(
        "bus-has-policy",
        "FSBP EventBridge.3",
        Companion(of=(_BUS,), by=(_BUS_POLICY,), link="eventBusName", says="it has no policy, it must have one"),
        types=(_BUS, _BUS_POLICY),
        remedy="Declare an EventBusPolicy for it",
    ),
]
