"""Where previews live: the environment that has them as guests, the backend of their stacks, the way to their APIs."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from botocore.config import Config

from components.tenants import SECONDS
from scripts.deployment import Deployment, Say
from scripts.previews.records import TAG, Records
from stacks.settings import PREVIEW, PROJECT

# Seconds: a little longer than the function may take; the SDK would ask again after a minute.
_PATIENT = Config(read_timeout=SECONDS + 10)


class NoHost(RuntimeError):
    """The environment takes no previews."""


class NotTakenBack(RuntimeError):
    """The stores keep something of a preview that is gone."""


class Home(ABC):
    """One environment, and who lives with it."""

    host: str

    @abstractmethod
    def client(self, service: str, config: Config | None = None) -> Any:
        """A boto3 client of its account and Region."""

    @property
    @abstractmethod
    def outputs(self) -> Mapping[str, Any]:
        """The environment's outputs. Raises Failed."""

    @abstractmethod
    def every_stack(self) -> list[str]:
        """Names of all stacks of the backend."""

    @abstractmethod
    def images(self, say: Say) -> Mapping[str, str]:
        """Digests by service, of what a new preview runs unless it says otherwise."""

    @abstractmethod
    def opened(self, stack: str, config: Mapping[str, Any], say: Say) -> Deployment:
        """The stack of that name with that configuration, made if it is new."""

    @abstractmethod
    def forget(self, stack: str) -> None:
        """Remove an empty stack from the backend."""

    @abstractmethod
    def api(self, outputs: Mapping[str, Any], service: str) -> str:
        """Where the API of a service answers, for the preview with ``outputs``."""

    @abstractmethod
    def token(self) -> str:
        """A bearer token of the platform's own."""

    @cached_property
    def offer(self) -> Mapping[str, Any]:
        """What the environment tells its guests. Raises NoHost when it has none."""
        found: Mapping[str, Any] | None = self.outputs.get("tenancy")
        if not found:
            raise NoHost(
                f"{self.host} takes no previews: it is production, or was not made by this version yet; choose another "
                "with --host, or bring it up to date"
            )
        return found

    @cached_property
    def records(self) -> Records:
        """What is known of each preview."""
        return Records(self.client("ssm"), self.host)

    def stacks(self) -> set[str]:
        """Previews that have a stack. A name of an environment has no dot."""
        prefix = f"{self.host}."
        return {name.removeprefix(prefix) for name in self.every_stack() if name.startswith(prefix)}

    def tagged(self) -> dict[str, int]:
        """How many resources have a preview's tag, by preview. Its record, which has the tag, too, does not count."""
        pages = (
            self.client("resourcegroupstaggingapi")
            .get_paginator("get_resources")
            .paginate(TagFilters=[{"Key": TAG}, {"Key": "Environment", "Values": [self.host]}])
        )
        found: dict[str, int] = {}
        for page in pages:
            for one in page["ResourceTagMappingList"]:
                name = next(tag["Value"] for tag in one["Tags"] if tag["Key"] == TAG)
                found[name] = found.get(name, 0) + 1
        return found

    def open(self, name: str, say: Say, *, place: int = 0, images: Mapping[str, str] | None = None) -> Deployment:
        """The preview's stack; without ``images`` only to be looked at or destroyed."""
        settings = {"name": name, "host": self.host, "place": place, "images": dict(images or {})}
        config = {"aws:region": self.outputs["region"], f"{PROJECT}:{PREVIEW}": settings}
        return self.opened(self._stack(name), config, say)

    def close(self, name: str) -> None:
        """Have the stores drop what they keep for the preview, and forget its stack; nothing to do is fine.

        A destroyed stack has done the first already, unless it failed while it was made. Raises NotTakenBack.
        """
        event = {"preview": name, "topology": {}, "tf": {"action": "delete"}}
        answer = self.client("lambda", _PATIENT).invoke(
            FunctionName=self.offer["function"], Payload=json.dumps(event).encode()
        )
        said = answer["Payload"].read().decode()
        if "FunctionError" in answer:
            raise NotTakenBack(f"the stores of {self.host} keep what they have of {name}: {said}")
        if name in self.stacks():
            self.forget(self._stack(name))

    def _stack(self, name: str) -> str:
        return f"{self.host}.{name}"
