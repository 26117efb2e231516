"""The environment, command and arguments of a container, as the kubelet computes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from scripts.local.kubernetes.api import Object
from scripts.local.kubernetes.images import Image
from scripts.local.kubernetes.node.sources import MissingSource, Sources

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def expand(text: str, variables: Mapping[str, str]) -> str:
    """``$(NAME)`` becomes its value, stays as it is when there is none, and ``$$(NAME)`` is a literal ``$(NAME)``."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def base(image: Image, hostname: str, services: Mapping[str, str]) -> dict[str, str]:
    """What a container has before its own ``env``: the image's, the host name, the variables of Services."""
    path = f"{image.python.parent}:{SYSTEM_PATH}"
    return {"PATH": path, "HOME": "/tmp", "HOSTNAME": hostname, **image.env, **services}


async def resolve(container: Object, start: Mapping[str, str], sources: Sources) -> dict[str, str]:
    """``start`` plus ``envFrom`` and ``env``, later entries winning. Raises MissingSource."""
    env = dict(start)
    for entry in container.get("envFrom") or []:
        for field, kind in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if reference := entry.get(field):
                data = await sources.data(kind, reference["name"], optional=bool(reference.get("optional")))
                env |= {entry.get("prefix", "") + key: value.decode() for key, value in data.items()}
    for variable in container.get("env") or []:
        source = variable.get("valueFrom") or {}
        value: str | None
        if reference := source.get("configMapKeyRef"):
            value = await sources.key("configmaps", reference)
        elif reference := source.get("secretKeyRef"):
            value = await sources.key("secrets", reference)
        elif reference := source.get("fieldRef"):
            value = sources.field(reference["fieldPath"])
        elif reference := source.get("resourceFieldRef"):
            value = sources.resource(reference, container)
        elif source:
            raise MissingSource(f"env {variable['name']}: {next(iter(source))} is not supported by the local node")
        else:
            value = expand(variable.get("value", ""), env)
        if value is not None:
            env[variable["name"]] = value
    return env


def command(container: Object, env: Mapping[str, str]) -> list[str]:
    """The words to execute. Raises MissingSource when the container names none: our images have no entry point."""
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    if not container.get("command"):
        raise MissingSource(
            f"container {container['name']}: no command specified, and an image of ours has no entry point"
        )
    return [expand(word, env) for word in words]


def directory(container: Object, image: Image) -> str:
    """Where the container starts."""
    return str(Path(image.workdir) / container.get("workingDir", ""))
