"""What holds for the whole account: who may change it, what is watched and recorded, what is kept."""

from __future__ import annotations

from dataclasses import dataclass

from components.audit import Audit
from components.backups import Backups, BackupsArgs
from components.context import Context
from components.delivery import Delivery, DeliveryArgs
from components.guardrails import Guardrails, GuardrailsArgs
from components.responder import Responder
from stacks.settings import PlatformSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Governance:
    delivery: Delivery
    responder: Responder


def build(settings: PlatformSettings, context: Context) -> Governance:
    """Pull requests plan; what runs in GitHub's protected environment of the same name applies."""
    Audit("audit", context=context)
    Guardrails("guardrails", GuardrailsArgs(monthly_budget=settings.guardrails.monthly_budget), context=context)
    Backups("backups", BackupsArgs(keep_days=settings.guardrails.backup_days), context=context)
    repository, environment = settings.delivery.repository, settings.environment
    return Governance(
        delivery=Delivery(
            "delivery",
            DeliveryArgs(
                repository=repository,
                plan_subjects=(f"repo:{repository}:pull_request", f"repo:{repository}:ref:refs/heads/main"),
                apply_subjects=(f"repo:{repository}:environment:{environment}",),
            ),
            context=context,
        ),
        responder=Responder("incident", context=context),
    )
