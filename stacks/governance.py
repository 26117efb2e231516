"""Who may change the environment: the roles of its pipelines."""

from __future__ import annotations

from components.context import Context
from components.delivery import Delivery, DeliveryArgs
from stacks.settings import PlatformSettings


def build(settings: PlatformSettings, context: Context) -> Delivery:
    """Pull requests plan; what runs in GitHub's protected environment of the same name applies."""
    repository, environment = settings.delivery.repository, settings.environment
    return Delivery(
        "delivery",
        DeliveryArgs(
            repository=repository,
            plan_subjects=(f"repo:{repository}:pull_request", f"repo:{repository}:ref:refs/heads/main"),
            apply_subjects=(f"repo:{repository}:environment:{environment}",),
        ),
        context=context,
    )
