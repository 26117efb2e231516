"""What watches an account whoever works in it: threats, access from outside, and money.

GuardDuty looks for what attackers do, in the cluster and the databases too; what it finds severe wakes the person on
call. IAM Access Analyzer finds what is open to other accounts. The budget warns when the month's cost passes, or is
forecast to pass, what the environment may cost; it stops nothing, because a sale must not end on a number.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import accessanalyzer, budgets, ebs, ec2, guardduty, s3

from components.alarm import notice
from components.context import Context
from components.severity import Severity

# GuardDuty User Guide, "Severity levels of GuardDuty findings": 7.0 and above is high or critical.
_SEVERE = 7
# The protection plans that fit what the platform runs (GuardDuty API Reference, "DetectorFeatureConfiguration").
_FEATURES = ("EKS_AUDIT_LOGS", "LAMBDA_NETWORK_LOGS", "RDS_LOGIN_EVENTS", "S3_DATA_EVENTS")
# Percent of the month's limit.
_ACTUAL, _FORECAST = 80, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailsArgs:
    """``monthly_budget`` is in US dollars, the currency of AWS's bills."""

    monthly_budget: int

    def __post_init__(self) -> None:
        if self.monthly_budget < 1:
            raise ValueError(
                f"monthly_budget is {self.monthly_budget}; a budget that is always passed warns of nothing: set what "
                "a month may cost in US dollars (eventctl cost tells what is expected)"
            )


class Guardrails(pulumi.ComponentResource):
    """GuardDuty, Access Analyzer, the account's defaults for volumes, buckets and metadata, and a budget."""

    detector_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: GuardrailsArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:guardrails:Guardrails", name, None, opts)
        self._name, self._context = name, context
        self._child = pulumi.ResourceOptions(parent=self)
        self.detector_id = self._threats()
        accessanalyzer.Analyzer(
            name,
            analyzer_name=f"{context.environment}-{name}",
            type="ACCOUNT",
            tags=context.tags(name),
            opts=self._child,
        )
        # What somebody makes by hand gets what this program would have given it.
        ebs.EncryptionByDefault(name, enabled=True, opts=self._child)
        ebs.SnapshotBlockPublicAccess(name, state="block-all-sharing", opts=self._child)
        s3.AccountPublicAccessBlock(
            name,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        ec2.InstanceMetadataDefaults(name, http_tokens="required", http_put_response_hop_limit=1, opts=self._child)
        self._budget(args.monthly_budget)
        self.register_outputs({"detector_id": self.detector_id})

    def _threats(self) -> pulumi.Output[str]:
        name, context = self._name, self._context
        detector = guardduty.Detector(
            name,
            enable=True,
            finding_publishing_frequency="FIFTEEN_MINUTES",
            tags=context.tags(name),
            opts=self._child,
        )
        for feature in _FEATURES:
            guardduty.DetectorFeature(
                f"{name}-{feature.lower().replace('_', '-')}",
                detector_id=detector.id,
                name=feature,
                status="ENABLED",
                opts=self._child,
            )
        notice(
            f"{name}-findings",
            context=context,
            says="GuardDuty found what attackers do.",
            runbook="credential_compromise",
            pattern={
                "source": ["aws.guardduty"],
                "detail-type": ["GuardDuty Finding"],
                "detail": {"severity": [{"numeric": [">=", _SEVERE]}]},
            },
            shows={"severity": "$.detail.severity", "title": "$.detail.title", "finding": "$.detail.id"},
            opts=self._child,
        )
        return detector.id

    def _budget(self, limit: int) -> None:
        budgets.Budget(
            self._name,
            name=f"{self._context.environment}-monthly",
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(limit),
            limit_unit="USD",
            notifications=[
                budgets.BudgetNotificationArgs(
                    comparison_operator="GREATER_THAN",
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                    notification_type=kind,
                    subscriber_sns_topic_arns=[self._context.topic(Severity.TICKET, "the budget")],
                )
                for kind, percent in (("ACTUAL", _ACTUAL), ("FORECASTED", _FORECAST))
            ],
            tags=self._context.tags(self._name),
            opts=self._child,
        )
