"""What every component needs to know of the environment that it is part of."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Facts of one environment, looked up once by the stack and handed down; a component looks up nothing itself."""

    environment: str
    region: str
    account_id: pulumi.Input[str]
    partition: pulumi.Input[str]
    production: bool
    """Production keeps what it has: stateful resources are protected and leave a final snapshot."""
    log_retention_days: int
    alarm_topic_arn: pulumi.Input[str] | None = None
    """Where an alarm goes when it fires and when it clears; only what makes the topic does without it."""

    def tags(self, component: str) -> dict[str, str]:
        """Tags that tell who owns a resource; the provider adds those that all resources share."""
        return {"Component": component}

    def keep(self, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
        """``opts`` for a resource that holds data: in production, Pulumi refuses to delete it."""
        return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=self.production))
