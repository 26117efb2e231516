"""Where alarms go: encrypted topics, to which only AWS's own watchers may publish, on behalf of this account."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi_aws import kms, sns

from components import encryption, iam
from components.context import Context
from components.severity import Severity

# Alarms, findings that EventBridge passes on, and budgets.
_PUBLISHERS = ("budgets.amazonaws.com", "cloudwatch.amazonaws.com", "events.amazonaws.com")


def topic_policy(topic: str, account_id: str) -> str:
    """The watchers publish what they saw in this account; a publisher without TLS is refused."""
    return iam.document(
        *(
            iam.allow(
                ("sns:Publish",),
                (topic,),
                principal={"Service": publisher},
                condition={"StringEquals": {"aws:SourceAccount": account_id}},
            )
            for publisher in _PUBLISHERS
        ),
        iam.deny(("sns:Publish",), (topic,), principal="*", condition={"Bool": {"aws:SecureTransport": "false"}}),
    )


class OnCall(pulumi.ComponentResource):
    """The topics that alarms are sent to, one a severity: a pager hears one of them, a list of tickets the other.

    People and tools subscribe by hand: an address is personal data.
    """

    topic_arns: Mapping[str, pulumi.Output[str]]

    def __init__(
        self, name: str, *, context: Context, region: str | None = None, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """An alarm reaches topics of its own Region only: ``region`` is where the alarms are, if elsewhere."""
        super().__init__("platform:observability:OnCall", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = encryption.key(
            name,
            context=context,
            purpose="Alarms on their way",
            services=_PUBLISHERS,
            region=region,
            opts=child,
        )
        self.topic_arns = {severity: self._topic(f"{name}-{severity}", key, context, region) for severity in Severity}
        self.register_outputs({"topic_arns": self.topic_arns})

    def _topic(self, name: str, key: kms.Key, context: Context, region: str | None) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self)
        topic = sns.Topic(name, kms_master_key_id=key.key_id, region=region, tags=context.tags(name), opts=child)
        sns.TopicPolicy(
            name,
            arn=topic.arn,
            region=region,
            policy=pulumi.Output.all(topic.arn, context.account_id).apply(lambda known: topic_policy(*known)),
            opts=child,
        )
        return topic.arn
