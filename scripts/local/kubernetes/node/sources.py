"""What environment and volumes are made from: ConfigMaps, Secrets, the pod's own fields, service account tokens."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from decimal import ROUND_CEILING
from typing import Any

import httpx
from kubernetes.utils import parse_quantity

from scripts.local.kubernetes.api import Api, ApiError, Object


class MissingSource(Exception):
    """A ConfigMap, a Secret, or a key of one, that a container needs and that is not there (yet)."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Reads what one pod refers to, as the node, which the API server allows for the pods bound to it alone."""

    api: Api
    pod: Object
    pod_ip: str
    host_ip: str
    capacity: Object
    _tokens: dict[str | None, tuple[str, float]] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return str(self.pod["metadata"]["namespace"])

    async def data(self, kind: str, name: str, *, optional: bool = False) -> dict[str, bytes]:
        """The content of a ``configmaps`` or ``secrets`` object. Raises MissingSource unless ``optional``."""
        try:
            found = await self.api.find(f"/api/v1/namespaces/{self.namespace}/{kind}/{name}")
        except (ApiError, httpx.HTTPError) as error:
            # The node authorizer learns from a watch which objects a pod needs, so it may lag behind the pod.
            raise MissingSource(f"{kind[:-1]} {name!r} cannot be read: {error}") from error
        if found is None:
            if optional:
                return {}
            raise MissingSource(f"{kind[:-1]} {name!r} not found in namespace {self.namespace}")
        binary = found.get("data") or {} if kind == "secrets" else found.get("binaryData") or {}
        text = {} if kind == "secrets" else found.get("data") or {}
        decoded = {key: base64.b64decode(value) for key, value in binary.items()}
        return decoded | {key: value.encode() for key, value in text.items()}

    async def key(self, kind: str, reference: Object) -> str | None:
        """One key of an object, None when it is optional and missing."""
        optional = bool(reference.get("optional"))
        data = await self.data(kind, reference["name"], optional=optional)
        if reference["key"] in data:
            return data[reference["key"]].decode()
        if optional:
            return None
        raise MissingSource(f"{kind[:-1]} {reference['name']!r} has no key {reference['key']!r}")

    async def token(self, audience: str | None, seconds: int) -> str:
        """A token of the pod's service account, bound to the pod; a new one after 80 % of its ``seconds``."""
        known, renew = self._tokens.get(audience, ("", 0.0))
        if time.monotonic() < renew:
            return known
        metadata = self.pod["metadata"]
        bound = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
        spec = {"audiences": [audience] if audience else [], "expirationSeconds": seconds, "boundObjectRef": bound}
        account = self.pod["spec"].get("serviceAccountName", "default")
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{account}/token"
        try:
            answer = await self.api.create(path, {"spec": spec})
        except (ApiError, httpx.HTTPError) as error:
            raise MissingSource(f"no token for service account {account!r}: {error}") from error
        token = str(answer["status"]["token"])
        self._tokens[audience] = token, time.monotonic() + 0.8 * seconds
        return token

    def field(self, path: str) -> str:
        """The downward API's ``fieldRef``. Raises MissingSource for a field that it does not offer."""
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        for name in ("labels", "annotations"):
            values = metadata.get(name) or {}
            if path.startswith(f"metadata.{name}["):
                return str(values.get(path.split("[", 1)[1].strip("]'\""), ""))
            if path == f"metadata.{name}":
                return "\n".join(f'{key}="{value}"' for key, value in sorted(values.items()))
        known = {
            "metadata.name": metadata["name"],
            "metadata.namespace": metadata["namespace"],
            "metadata.uid": metadata["uid"],
            "spec.nodeName": spec.get("nodeName", ""),
            "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
            "status.podIP": self.pod_ip,
            "status.podIPs": self.pod_ip,
            "status.hostIP": self.host_ip,
            "status.hostIPs": self.host_ip,
        }
        if path not in known:
            raise MissingSource(f"fieldRef {path!r} is not one that the downward API offers")
        return str(known[path])

    def resource(self, reference: Object, container: Object | None) -> str:
        """A ``resourceFieldRef``, rounded up as Kubernetes does; without a limit, the node's capacity."""
        name = reference.get("containerName")
        if name or container is None:
            container = next(each for each in self.pod["spec"]["containers"] if each["name"] == name)
        group, _, resource = reference["resource"].partition(".")
        value = (container.get("resources") or {}).get(group, {}).get(resource)
        if value is None:
            value = self.capacity.get(resource, "0") if group == "limits" else "0"
        divisor = parse_quantity(reference.get("divisor") or "1") or 1
        return str(int((parse_quantity(value) / divisor).to_integral_value(ROUND_CEILING)))


def number(value: Any, ports: list[Object]) -> int:
    """A port given as a number or as the name of one of ``ports``. Raises KeyError when there is no such name."""
    if isinstance(value, int) or str(value).isdigit():
        return int(value)
    return int({port.get("name"): port["containerPort"] for port in ports}[value])
