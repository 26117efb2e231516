"""AWS Secrets Manager as a SecretStore or ClusterSecretStore describes it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from scripts.local.kubernetes.api import Object


class CannotRead(Exception):
    """A store that is not usable, a secret or a property of one that is not there."""


@dataclass(frozen=True, slots=True)
class Store:
    """A checked store; ``region`` is the store's own."""

    region: str


def check(store: Object | None, kind: str, name: str, default_region: str) -> Store:
    """The store that an ExternalSecret names. Raises CannotRead with the rule it breaks."""
    if store is None:
        raise CannotRead(f"{kind} {name!r} does not exist")
    provider = store["spec"].get("provider") or {}
    if list(provider) != ["aws"] or provider["aws"].get("service") != "SecretsManager":
        raise CannotRead(f"{kind} {name!r}: only provider aws with service SecretsManager is supported locally")
    return Store(provider["aws"].get("region", default_region))


class Reader:
    """Reads secrets; a client per region."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._clients: dict[str, Any] = {}

    def value(self, store: Store, reference: Object) -> str:
        """The string that a ``remoteRef`` points to. Raises CannotRead."""
        text = self._secret(store, reference)
        path = reference.get("property")
        if not path:
            return text
        whole = found = _document(text, reference["key"])
        if path in whole:  # a key may contain dots
            found = whole[path]
        else:
            for part in path.split("."):
                if not isinstance(found, dict) or part not in found:
                    raise CannotRead(f"secret {reference['key']!r} has no property {path!r}")
                found = found[part]
        return found if isinstance(found, str) else json.dumps(found)

    def values(self, store: Store, reference: Object) -> dict[str, str]:
        """Every key of a secret that is a JSON object (``dataFrom.extract``). Raises CannotRead."""
        whole = _document(self.value(store, reference), reference["key"])
        return {key: each if isinstance(each, str) else json.dumps(each) for key, each in whole.items()}

    def _secret(self, store: Store, reference: Object) -> str:
        if store.region not in self._clients:
            # The operator's own identity; the simulated AWS takes any key.
            self._clients[store.region] = boto3.client(
                "secretsmanager",
                endpoint_url=self._endpoint,
                region_name=store.region,
                aws_access_key_id="external-secrets",
                aws_secret_access_key="external-secrets",
                config=Config(retries={"max_attempts": 3}, connect_timeout=5, read_timeout=20),
            )
        version = reference.get("version", "")
        selector = {"VersionId": version.removeprefix("uuid/")} if version.startswith("uuid/") else {}
        if version and not selector:
            selector = {"VersionStage": version}
        try:
            found = self._clients[store.region].get_secret_value(SecretId=reference["key"], **selector)
        except (BotoCoreError, ClientError) as error:
            raise CannotRead(f"secret {reference['key']!r}: {error}") from error
        text: str = found.get("SecretString") or found.get("SecretBinary", b"").decode()
        if reference.get("decodingStrategy", "None") == "Base64":
            text = base64.b64decode(text).decode()
        return text


def _document(text: str, key: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CannotRead(f"secret {key!r} is not a JSON object, so it has no properties")
    return found
