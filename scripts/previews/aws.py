"""Previews on AWS, by the backend and the credentials of the shell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config
from pulumi import automation

from scripts import bootstrap, project
from scripts.deployment import ROOT, Deployment, Failed, Say
from scripts.previews.home import Home
from scripts.toolchain import environment
from scripts.toolchain.pulumi import Engine
from stacks.edge import API
from stacks.settings import SERVICES, from_file

_SECONDS = 15


class Aws(Home):
    """Guests of the environment ``host``; each stack runs from a project folder below ``folder``."""

    def __init__(self, host: str, folder: Path, engine: Engine) -> None:
        self.host, self._folder, self._engine = host, folder, engine

    def client(self, service: str, config: Config | None = None) -> Any:
        make: Any = boto3.client
        return make(service, region_name=self.outputs["region"], config=config)

    @cached_property
    def outputs(self) -> Mapping[str, Any]:
        try:
            found = automation.Stack.select(self.host, self._workspace(ROOT)).outputs()
        except automation.CommandError as error:
            raise Failed(
                f"stack {self.host!r} cannot be opened; `pulumi login` chooses the backend:\n{error}"
            ) from error
        return {name: output.value for name, output in found.items()}

    def every_stack(self) -> list[str]:
        return [one.name for one in self._workspace(ROOT).list_stacks()]

    def images(self, say: Say) -> Mapping[str, str]:
        """Those that the environment runs."""
        file = f"Pulumi.{self.host}.yaml"
        services = from_file((ROOT / file).read_text(), file).services
        return {service: services[service].image_digest for service in SERVICES}

    def opened(self, stack: str, config: Mapping[str, Any], say: Say) -> Deployment:
        folder = self._folder / stack
        project.lay_out(ROOT, folder, stack, config)
        where = bootstrap.Home(self.outputs["account"], self.outputs["region"])
        workspace = self._workspace(folder, where.secrets_provider)
        return Deployment(automation.Stack.create_or_select(stack, workspace))

    def forget(self, stack: str) -> None:
        self._workspace(self._folder / stack).remove_stack(stack)

    def api(self, outputs: Mapping[str, Any], service: str) -> str:
        return f"{outputs['url']}{API}/{service}"

    def token(self) -> str:
        """As the services get theirs: by the secret of their client."""
        kept = self.client("secretsmanager").get_secret_value(SecretId=self.outputs["servicesClientSecretArn"])
        client = json.loads(kept["SecretString"])
        answer = httpx.post(
            f"{client['issuer']}/protocol/openid-connect/token",
            data={
                "grant_type": "client_credentials",
                "client_id": client["client_id"],
                "client_secret": client["key"],
            },
            timeout=_SECONDS,
        )
        return str(answer.raise_for_status().json()["access_token"])

    def _workspace(self, folder: Path, secrets_provider: str | None = None) -> automation.LocalWorkspace:
        return environment.workspace(
            self._engine, folder, environment.programs(self._engine), secrets_provider=secrets_provider
        )
