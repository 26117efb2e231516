"""A queue with its dead letters: encrypted, TLS only, and only it may leave its letters there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_aws import sqs

from components import iam

# Seconds a data key is used before KMS is asked again (SQS Developer Guide, "Data key reuse period": 60 to 86,400).
_KEY_REUSE = 300
# Seconds: SQS keeps a message 14 days at most (SQS Developer Guide, "Message quotas").
LONGEST = 14 * 24 * 3600
_LONG_POLL = 20


def queue(
    name: str,
    *,
    key_arn: pulumi.Input[str],
    visibility: int,
    deliveries: int,
    retention: int = LONGEST,
    senders: Sequence[pulumi.Input[dict[str, Any]]] = (),
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> tuple[sqs.Queue, sqs.Queue]:
    """The queue and its dead letters, where a message goes after ``deliveries`` without success.

    ``visibility`` and ``retention`` are in seconds; ``senders`` are what iam.allow takes of each that may send
    besides this account's own roles: ``principal`` and ``condition``.
    """
    shared: dict[str, Any] = {
        "kms_master_key_id": key_arn,
        "kms_data_key_reuse_period_seconds": _KEY_REUSE,
        "tags": tags,
        "opts": opts,
    }
    dead = sqs.Queue(f"{name}-dead-letters", message_retention_seconds=LONGEST, **shared)
    made = sqs.Queue(
        name,
        message_retention_seconds=retention,
        visibility_timeout_seconds=visibility,
        receive_wait_time_seconds=_LONG_POLL,
        redrive_policy=dead.arn.apply(
            lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": deliveries})
        ),
        **shared,
    )
    sqs.RedriveAllowPolicy(
        f"{name}-dead-letters",
        queue_url=dead.url,
        redrive_allow_policy=made.arn.apply(
            lambda arn: json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [arn]})
        ),
        opts=opts,
    )
    for role, target, let_in in ((name, made, senders), (f"{name}-dead-letters", dead, ())):
        sqs.QueuePolicy(
            role,
            queue_url=target.url,
            policy=pulumi.Output.all(target.arn, *let_in).apply(lambda known: queue_policy(*known)),
            opts=opts,
        )
    return made, dead


def queue_policy(arn: str, *senders: dict[str, Any]) -> str:
    """``senders`` may send, and nobody without TLS."""
    allowed = [iam.allow(("sqs:SendMessage",), (arn,), **sender) for sender in senders]
    return iam.document(*allowed, iam.deny_plain_http(arn, "sqs"))
