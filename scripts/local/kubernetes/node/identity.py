"""AWS credentials for pods, handed out as the EKS Pod Identity agent does.

A pod whose service account has a PodIdentityAssociation gets ``AWS_CONTAINER_CREDENTIALS_FULL_URI`` and a token file;
the SDK in it asks this agent, which assumes the associated role and answers with temporary credentials, new ones before
they expire.
https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from scripts.local.kubernetes.api import Object
from scripts.local.kubernetes.node.sandbox import Mount

log = logging.getLogger(__name__)
TOKEN_FOLDER = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"
TOKEN_FILE = "eks-pod-identity-token"
PATH = "/v1/credentials"
RENEW = timedelta(minutes=10)  # before the expiry


@dataclass(frozen=True, slots=True)
class Given:
    """What a container gets: variables, and the mount of its token."""

    env: dict[str, str] = field(default_factory=dict)
    mounts: list[Mount] = field(default_factory=list)


class Identity:
    """Looks up associations at the AWS endpoint and remembers which token stands for which role."""

    def __init__(self, *, endpoint: str | None, region: str, cluster: str, url: str) -> None:
        """``url`` is where this agent answers; without ``endpoint`` no pod gets credentials."""
        self._endpoint, self._region, self._cluster, self._url = endpoint, region, cluster, url
        self._roles: dict[str, tuple[str, str]] = {}  # token → role, session name
        self._credentials: dict[str, dict[str, Any]] = {}  # token → answer
        self._clients: dict[str, Any] = {}

    async def prepare(self, pod: Object, folder: Path) -> Given:
        """Variables and mounts of ``pod``'s containers."""
        if not self._endpoint:
            return Given()
        env = {"AWS_REGION": self._region, "AWS_DEFAULT_REGION": self._region, "AWS_ENDPOINT_URL": self._endpoint}
        metadata = pod["metadata"]
        account = pod["spec"].get("serviceAccountName", "default")
        role = await asyncio.to_thread(self._role, metadata["namespace"], account)
        if role is None:
            return Given(env)
        file = folder / TOKEN_FILE
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.touch(0o600)
            file.write_text(secrets.token_urlsafe(32))
        self._roles[file.read_text()] = role, f"eks-{self._cluster}-{metadata['name']}"[:64]
        env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{self._url}{PATH}"
        env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = f"{TOKEN_FOLDER}/{TOKEN_FILE}"
        return Given(env, [Mount(str(folder), TOKEN_FOLDER, True)])

    async def credentials(self, token: str) -> dict[str, Any] | None:
        """What the container credentials endpoint answers, None for a token that nobody was given."""
        if token not in self._roles:
            return None
        known = self._credentials.get(token)
        if known is None or datetime.fromisoformat(known["Expiration"]) - RENEW < datetime.now(UTC):
            known = self._credentials[token] = await asyncio.to_thread(self._assume, *self._roles[token])
        return known

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            # The agent is the platform's own; the simulated AWS takes any key.
            self._clients[service] = boto3.client(
                service,  # type: ignore[call-overload]
                endpoint_url=self._endpoint,
                region_name=self._region,
                aws_access_key_id="local-node",
                aws_secret_access_key="local-node",
                config=Config(retries={"max_attempts": 3}, connect_timeout=5, read_timeout=30),
            )
        return self._clients[service]

    def _role(self, namespace: str, account: str) -> str | None:
        eks = self._client("eks")
        try:
            listed = eks.list_pod_identity_associations(
                clusterName=self._cluster, namespace=namespace, serviceAccount=account
            )["associations"]
            if not listed:
                return None
            found = eks.describe_pod_identity_association(
                clusterName=self._cluster, associationId=listed[0]["associationId"]
            )
        except (BotoCoreError, ClientError) as error:
            log.warning("no AWS identity for %s/%s: %s", namespace, account, str(error).splitlines()[0])
            return None
        return str(found["association"]["roleArn"])

    def _assume(self, role: str, session: str) -> dict[str, Any]:
        found = self._client("sts").assume_role(RoleArn=role, RoleSessionName=session)["Credentials"]
        return {
            "AccessKeyId": found["AccessKeyId"],
            "SecretAccessKey": found["SecretAccessKey"],
            "Token": found["SessionToken"],
            "AccountId": role.split(":")[4],
            "Expiration": found["Expiration"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00"),
        }
