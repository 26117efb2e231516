"""What operations need to know of an environment, in a parameter that is found by the environment's name alone.

Whoever is on call needs no access to Pulumi's state, and a runbook no configuration: names and addresses, never a
secret. The parameter is for machines; people read the same in the stack's outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_aws import ssm

from components.context import Context


def parameter_name(environment: str) -> str:
    """Where the record of ``environment`` is."""
    return f"/{environment}/operations"


class OperationsRecord(pulumi.ComponentResource):
    """The parameter."""

    parameter: pulumi.Output[str]

    def __init__(
        self, name: str, facts: Mapping[str, Any], *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:operations:OperationsRecord", name, None, opts)
        self.parameter = ssm.Parameter(
            name,
            name=parameter_name(context.environment),
            description="What runbooks need to know of this environment; no secrets",
            type="String",
            # Standard parameters hold 4 KB, advanced ones 8 KB (Systems Manager User Guide, "Parameter tiers").
            tier="Intelligent-Tiering",
            value=pulumi.Output.json_dumps(dict(facts), sort_keys=True),
            tags=context.tags(name),
            opts=pulumi.ResourceOptions(parent=self),
        ).name
        self.register_outputs({"parameter": self.parameter})
