"""What an object of the Kubernetes API is called: type tokens, names, ids, and which of its fields a program gave."""

from __future__ import annotations

import base64
import copy
import hashlib
from typing import Any

from kubernetes.utils import parse_quantity

from scripts.local.cloud.backend import UNKNOWN, NotFound, Properties, Refused, Resource

AUTONAMED = "pulumi.com/autonamed"
SKIP_AWAIT = "pulumi.com/skipAwait"
_SERVERS_OWN = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink")


def identify(resource: Resource, inputs: Properties) -> tuple[str, str]:
    """Version and kind: what the inputs say, else what the type token says. Raises Refused for a type it has not."""
    _, group_version, kind = resource.type.split(":")
    if kind.endswith("Patch") or group_version.startswith(("yaml", "kustomize", "helm.sh/v4")):
        raise Refused(
            "", f"{resource.type} is not supported by the local kubernetes provider; declare the object itself instead"
        )
    version = group_version.removeprefix("core/")
    return inputs.get("apiVersion") or version, inputs.get("kind") or kind


def sdk_token(token: str) -> str:
    """The token as the SDK's modules are laid out: ``networking.k8s.io/v1`` is in ``networking.v1``."""
    package, group_version, kind = token.split(":")
    group, _, version = group_version.rpartition("/")
    if group.endswith((".k8s.io", "helm.sh")):
        group = group.split(".")[0]
    return f"{package}:{group}/{version}:{kind}"


def named(resource: Resource, metadata: Properties, old: Properties, seed: bytes) -> Properties:
    """``metadata`` with a name: its own, else the one it had, else the logical name and eight hexadecimal digits."""
    if metadata.get("name") or metadata.get("generateName"):
        return metadata
    before = old.get("metadata") or {}
    name = before.get("name") if AUTONAMED in (before.get("annotations") or {}) else None
    if not name:
        name = f"{resource.name.lower()}-{hashlib.sha256(seed + resource.urn.encode()).hexdigest()[:8]}"
    return {**metadata, "name": name, "annotations": {**(metadata.get("annotations") or {}), AUTONAMED: "true"}}


def id_of(found: Properties) -> str:
    """``namespace/name``, or the name alone for what has no namespace."""
    metadata = found["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


def at(resource: Resource, id: str, known: Properties) -> Properties:
    """The object that ``id`` names, as far as an id can tell. Raises NotFound for an id of another form."""
    api_version, kind = identify(resource, known)
    namespace, _, name = id.rpartition("/")
    if not name:
        raise NotFound(f"{id!r} is no id of a {kind}: it is `namespace/name`, or `name` for what has no namespace")
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace or None}}


def known(value: Any) -> bool:
    """Whether nothing in it is unknown yet."""
    if isinstance(value, dict):
        return all(known(item) for item in value.values())
    if isinstance(value, list):
        return all(known(item) for item in value)
    return value is not UNKNOWN


def without_none(value: Any) -> Any:
    """Properties that are not given are not sent."""
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return [without_none(item) for item in value] if isinstance(value, list) else value


def state(live: Properties) -> Properties:
    """What the engine records: the object as it is, without the server's book-keeping of who set which field."""
    result = copy.deepcopy(live)
    result["metadata"].pop("managedFields", None)
    return result


def given(live: Properties, inputs: Properties) -> Properties:
    """What a program would have to say to get ``live``: the fields that ``inputs`` names, as they are now."""
    if inputs:
        result = _project(live, inputs)
        if "stringData" in inputs:
            data = live.get("data") or {}
            result["stringData"] = {
                key: base64.b64decode(data[key]).decode() for key in inputs["stringData"] if key in data
            }
        return dict(result)
    result = {key: value for key, value in copy.deepcopy(live).items() if key != "status"}
    for field in _SERVERS_OWN:
        result["metadata"].pop(field, None)
    return result


def _project(live: Any, shape: Any) -> Any:
    if isinstance(shape, dict) and isinstance(live, dict):
        return {key: _project(live[key], item) for key, item in shape.items() if key in live}
    if isinstance(shape, list) and isinstance(live, list):
        pairs = [_project(item, wanted) for item, wanted in zip(live, shape, strict=False)]
        return pairs + live[len(shape) :]
    # "0.5" and "500m" are one quantity; the server says it its own way, and the program's way is kept.
    return shape if _same_quantity(live, shape) else live


def _same_quantity(live: Any, shape: Any) -> bool:
    if not isinstance(live, str) or not isinstance(shape, str | int | float):
        return False
    try:
        return bool(parse_quantity(live) == parse_quantity(shape))
    except ValueError:
        return False
