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

# The environment of GitHub's in which previews are made: only members' branches may use it (docs/pipelines.md).
PREVIEWS = "preview"


@dataclass(frozen=True, slots=True, kw_only=True)
class Governance:
    delivery: Delivery
    responder: Responder


def build(settings: PlatformSettings, context: Context) -> Governance:
    """Pull requests plan; what runs in GitHub's protected environment of the same name applies.

    So do previews, beside an environment that is not production: its account holds nothing that people depend on.
    """
    Audit("audit", context=context)
    Guardrails("guardrails", GuardrailsArgs(monthly_budget=settings.guardrails.monthly_budget), context=context)
    Backups("backups", BackupsArgs(keep_days=settings.guardrails.backup_days), context=context)
    repository = settings.delivery.repository
    applying = (settings.environment,) if settings.production else (settings.environment, PREVIEWS)
    return Governance(
        delivery=Delivery(
            "delivery",
            DeliveryArgs(
                repository=repository,
                plan_subjects=(f"repo:{repository}:pull_request", f"repo:{repository}:ref:refs/heads/main"),
                apply_subjects=tuple(f"repo:{repository}:environment:{each}" for each in applying),
            ),
            context=context,
        ),
        responder=Responder("incident", context=context),
    )
