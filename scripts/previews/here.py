"""Previews on the platform of this machine: beside each other and beside its own stack, in its own state."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.config import Config
from pulumi import automation

from scripts.deployment import ROOT, Deployment, Say
from scripts.local.cloud.running import Addresses
from scripts.local.platform import lifecycle, parts, status
from scripts.local.platform.layout import Layout
from scripts.local.stack import Stack
from scripts.previews.home import Home
from scripts.purchase import local_token
from scripts.toolchain import environment
from scripts.toolchain.pulumi import Engine


class Here(Home):
    """Guests of the platform in ``layout``. Raises NoPlatform when there is none."""

    host = parts.ENVIRONMENT

    def __init__(self, layout: Layout, engine: Engine) -> None:
        self._layout, self._engine, self._record = layout, engine, lifecycle.record_of(layout)
        self._cloud = Addresses.load(Path(self._record.cloud))

    def client(self, service: str, config: Config | None = None) -> Any:
        return self._cloud.client(service, config)

    @cached_property
    def outputs(self) -> Mapping[str, Any]:
        found = automation.Stack.select(self.host, self._workspace).outputs()
        return {name: output.value for name, output in found.items()}

    def every_stack(self) -> list[str]:
        return [one.name for one in self._workspace.list_stacks()]

    def images(self, say: Say) -> Mapping[str, str]:
        """Built from this checkout."""
        say("building images")
        digests = lifecycle.build_images(self._layout)
        for service, digest in digests.items():
            lifecycle.push_image(self._layout, self.client("ecr"), service, digest)
        return digests

    def opened(self, stack: str, config: Mapping[str, Any], say: Say) -> Deployment:
        return Stack(stack, self._layout.folder, self._cloud, self._engine, config=config, lasting=False)

    def forget(self, stack: str) -> None:
        self._workspace.remove_stack(stack)

    def api(self, outputs: Mapping[str, Any], service: str) -> str:
        """The Service's own address."""
        return status.service_url(self._record, service, outputs["namespace"])

    def token(self) -> str:
        return local_token(self._record.urls["issuer"], "preview", "platform")

    @cached_property
    def _workspace(self) -> automation.LocalWorkspace:
        variables = environment.for_engine(self._engine, self._layout.folder / "state", self._cloud.debug_providers)
        home = {"PULUMI_HOME": str(self._layout.folder / "home")}
        return environment.workspace(self._engine, ROOT, {**variables, **self._cloud.environment(), **home})
