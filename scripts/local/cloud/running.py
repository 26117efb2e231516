"""A simulated cloud for the length of a ``with`` block, in a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import boto3
from botocore.config import Config

from scripts.local.cloud.data_plane import DataPlane
from scripts.local.processes import Server, serving

# Moto asks for credentials and takes any.
KEY = "simulated"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the parts of a running cloud are; ``debug_providers`` is the value of PULUMI_DEBUG_PROVIDERS."""

    endpoint: str
    control: str
    debug_providers: str
    region: str
    account: str
    pid: int

    @classmethod
    def load(cls, ready_file: Path) -> Addresses:
        """Read the file that ``--ready-file`` names."""
        return cls(**json.loads(ready_file.read_text()))

    def client(self, service: str, config: Config | None = None) -> Any:
        """A boto3 client of this cloud."""
        make: Callable[..., Any] = boto3.client
        return make(
            service,
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=KEY,
            aws_secret_access_key=KEY,
            config=config,
        )

    def environment(self) -> dict[str, str]:
        """Variables with which boto3, the engine and everything that they start use this cloud."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "PULUMI_DEBUG_PROVIDERS": self.debug_providers,
        }


def server(folder: Path, *, region: str, account: str, data_plane: DataPlane | None) -> Server:
    """How the cloud is started; its ready file is ``folder/cloud.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--ready-file", str(folder / "cloud.json"), "--region", region, "--account", account]
    if data_plane is not None:
        (folder / "data-plane.json").write_text(data_plane.model_dump_json())
        (folder / "data-plane.json").chmod(0o600)
        options += ["--data-plane", str(folder / "data-plane.json")]
    return Server(
        name="cloud", command=[sys.executable, "-m", "scripts.local.cloud", *options], log=folder / "cloud.log"
    )


@contextmanager
def running(
    *,
    region: str = "eu-west-3",
    account: str = "123456789012",
    data_plane: DataPlane | None = None,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Addresses]:
    """Start a cloud and end it after the block. ``folder`` keeps its log; without it nothing is left. With real servers
    behind it, ``env`` says in SSL_CERT_FILE whom to trust.

    Raises NotReady, with the end of the log, when it does not start.
    """
    with TemporaryDirectory(prefix="cloud-") as temporary:
        place = folder or Path(temporary)
        ready = place / "cloud.json"
        ready.unlink(missing_ok=True)
        started = replace(server(place, region=region, account=account, data_plane=data_plane), env=env or {})
        with serving(started, ready.exists):
            yield Addresses.load(ready)
