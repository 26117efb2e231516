"""What is where: the images of every service and the version of the saga that belong together, in one parameter.

It is written when all of them are up, so that its newest version is the release that an environment runs. Systems
Manager keeps the versions before it, with who wrote each and when: the history of releases, and what a rollback goes
back to.
"""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi_aws import ssm

from components.context import Context


def parameter_name(environment: str) -> str:
    """Where the release of ``environment`` is."""
    return f"/{environment}/release"


class ReleaseRecord(pulumi.ComponentResource):
    """The parameter. Its dependencies are what must be up before it says so."""

    parameter: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        images: Mapping[str, str],
        saga: pulumi.Input[str],
        *,
        context: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """``images`` are digests by service, ``saga`` is the ARN of the state machine's version that is live."""
        super().__init__("platform:delivery:ReleaseRecord", name, None, opts)
        self.parameter = ssm.Parameter(
            name,
            name=parameter_name(context.environment),
            description="The images and the saga's version that belong together, and run",
            type="String",
            value=pulumi.Output.json_dumps({"images": dict(images), "saga": saga}, sort_keys=True),
            tags=context.tags(name),
            opts=pulumi.ResourceOptions(parent=self),
        ).name
        self.register_outputs({"parameter": self.parameter})
