"""One account of the simulated cloud: the moto server, clients for it, the store beside it, and what goes wrong on
demand.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from scripts.local.cloud.backend import Properties
from scripts.local.cloud.data_plane import DataPlane
from scripts.local.cloud.faults import Faults

_RETRIES = 8
_THROTTLED = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"})


class CloudError(Exception):
    """AWS's answer to a call that it refused: the code, the message and the call."""

    def __init__(self, code: str, message: str, method: str) -> None:
        super().__init__(f"{code}: {message} ({method})")
        self.code = code

    @property
    def missing(self) -> bool:
        """Whether AWS says that what the call names is not there."""
        words = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist", "Unknown", "404", "NoEntity")
        return any(word in self.code for word in words)


class Session:
    """Clients and state shared by all resources of the simulated account. Safe for use by several threads."""

    def __init__(self, endpoint: str, account: str, *, data_plane: DataPlane | None = None) -> None:
        self.endpoint = endpoint
        self.account = account
        self.data_plane = data_plane or DataPlane()
        self.faults = Faults()
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.RLock()
        self._store: dict[tuple[str, str, str], Properties] = {}
        self.blind: dict[tuple[str, str], frozenset[str]] = {}
        """Inputs of a resource that moto does not report as they were given: no drift can be seen in them."""

    def client(self, service: str, region: str) -> Any:
        """A boto3 client; boto3's own retries are off, as the session retries itself."""
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = boto3.client(  # type: ignore[call-overload]
                    service,
                    region_name=region,
                    endpoint_url=self.endpoint,
                    aws_access_key_id="simulated",
                    aws_secret_access_key="simulated",
                    config=Config(retries={"max_attempts": 0}, max_pool_connections=32, parameter_validation=True),
                )
            return self._clients[service, region]

    def call(self, service: str, method: str, parameters: Mapping[str, Any], region: str) -> dict[str, Any]:
        """Call AWS, retrying when throttled; raises CloudError."""
        for attempt in range(_RETRIES + 1):
            try:
                self.faults.strike(service, method)
                answer: dict[str, Any] = getattr(self.client(service, region), method)(**parameters)
                return answer
            except ClientError as error:
                code = error.response["Error"].get("Code", "Unknown")
                if code in _THROTTLED and attempt < _RETRIES:
                    self.faults.pause(min(0.05 * 2**attempt, 1.0))
                    continue
                raise CloudError(code, error.response["Error"].get("Message", ""), f"{service}.{method}") from error
            except ResponseParserError as error:
                raise CloudError("InternalFailure", f"moto failed: {error}", f"{service}.{method}") from error
        raise AssertionError("the last attempt either returns or raises")

    def keep(self, region: str, token: str, id: str, state: Properties) -> None:
        """Remember a resource that moto cannot hold."""
        with self._lock:
            self._store[region, token, id] = state

    def kept(self, region: str, token: str, id: str) -> Properties | None:
        """What is kept of a resource, or None."""
        with self._lock:
            return self._store.get((region, token, id))

    def all_kept(self, token: str) -> dict[str, Properties]:
        """Every kept resource of a type, by id, in all regions."""
        with self._lock:
            return {id: state for (_, kind, id), state in self._store.items() if kind == token}

    def forget(self, region: str, token: str, id: str) -> None:
        """Drop a kept resource."""
        with self._lock:
            self._store.pop((region, token, id), None)

    @staticmethod
    def fresh(length: int = 17) -> str:
        """A random hexadecimal id, as AWS's resource ids end with."""
        return uuid.uuid4().hex[:length]
