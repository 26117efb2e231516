"""What every component needs to know of the environment that it is part of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components import iam
from components.board import Board
from components.severity import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The part of AWS that a policy is about."""

    environment: str
    region: str
    account_id: str
    partition: str

    def arn(self, service: str, rest: str) -> str:
        """An ARN in this Region of this account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{rest}"

    @property
    def tagged(self) -> dict[str, Any]:
        """Only what this environment owns."""
        return {"StringEquals": {"aws:ResourceTag/Environment": self.environment}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Facts of one environment, looked up once by the stack and handed down; a component looks up nothing itself."""

    environment: str
    region: str
    recovery_region: str
    """Where copies of backups and secrets are kept, for the loss of the whole Region."""
    account_id: pulumi.Input[str]
    partition: pulumi.Input[str]
    production: bool
    """Production survives the loss of a zone, and leaves a final snapshot of what it deletes."""
    protected: bool
    """Stateful resources refuse to be deleted; an environment that is to go is first made unprotected."""
    log_retention_days: int
    alarm_topics: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Where an alarm goes when it fires and when it clears; only what makes the topics does without them."""
    board: Board | None = None
    """What the environment's dashboard shows; alarms put themselves on it."""

    def topic(self, severity: Severity, about: str) -> pulumi.Input[str]:
        """Where an alarm ``about`` something goes. Raises ValueError without a topic: what tells nobody is no alarm."""
        if severity not in self.alarm_topics:
            raise ValueError(f"{about} has no topic to go to; give its component a context with alarm_topics")
        return self.alarm_topics[severity]

    @property
    def place(self) -> pulumi.Output[Place]:
        """Where the environment is, once the account is known: for policies, which are pure functions of it."""
        return pulumi.Output.all(self.account_id, self.partition).apply(
            lambda known: Place(
                environment=self.environment, region=self.region, account_id=known[0], partition=known[1]
            )
        )

    def trust(self, service: str) -> pulumi.Output[str]:
        """A role's trust: ``service`` alone may take it, and only on behalf of this account."""
        return self.place.apply(lambda place: iam.trust(service, account_id=place.account_id))

    def aws_policy(self, name: str) -> pulumi.Output[str]:
        """The ARN of a policy that AWS manages, like ``service-role/AmazonRDSEnhancedMonitoringRole``."""
        return pulumi.Output.format("arn:{0}:iam::aws:policy/{1}", self.partition, name)

    def tags(self, component: str) -> dict[str, str]:
        """Tags that tell who owns a resource; the provider adds those that all resources share."""
        return {"Component": component}

    def keep(self, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
        """``opts`` for a resource that holds data: where protected, Pulumi refuses to delete it."""
        return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=self.protected))
