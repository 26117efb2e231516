"""What differs between two sets of inputs, and which differences need a new object."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from scripts.local.cloud.backend import Change, Properties

# Fields that the API server refuses to change; sources: its validation, and the provider's own list
# (https://www.pulumi.com/registry/packages/kubernetes/ "forces replacement").
_IMMUTABLE: Final = {
    "ClusterRoleBinding": (r"roleRef",),
    "ConfigMap": (r"data", r"binaryData"),  # replaced so that pods roll, unless enableConfigMapMutable is set
    "CustomResourceDefinition": (r"spec\.(group|scope|names\.(plural|kind))",),
    "DaemonSet": (r"spec\.selector",),
    "Deployment": (r"spec\.selector",),
    "Job": (r"spec\.(selector|template|completionMode|manualSelector)", r"spec\.completions"),
    "PersistentVolumeClaim": (r"spec\.(accessModes|storageClassName|selector|volumeName|volumeMode|dataSource)",),
    "Pod": (r"spec",),
    "PriorityClass": (r"value",),
    "Release": (r"name", r"namespace"),
    "ReplicaSet": (r"spec\.selector",),
    "RoleBinding": (r"roleRef",),
    "Secret": (r"type", r"data", r"stringData"),  # as ConfigMap, with enableSecretMutable
    "Service": (r"spec\.clusterIP",),
    "StatefulSet": (r"spec\.(selector|serviceName|podManagementPolicy|volumeClaimTemplates)",),
    "StorageClass": (r"provisioner", r"parameters", r"reclaimPolicy", r"volumeBindingMode"),
}
_ALWAYS: Final = (r"apiVersion", r"kind", r"metadata\.(name|namespace|generateName)")
_CONTENT: Final = ("ConfigMap", "Secret")


def compare(old: Properties, new: Properties, kind: str, *, mutable: frozenset[str] = frozenset()) -> dict[str, Change]:
    """Property paths that differ. ``mutable`` names kinds (ConfigMap, Secret) whose content may change in place."""
    patterns = [*_ALWAYS, *_IMMUTABLE.get(kind, ())]
    if kind in _CONTENT and kind in mutable and not old.get("immutable"):
        patterns = [*_ALWAYS, *(("type",) if kind == "Secret" else ())]
    expression = re.compile(rf"^({'|'.join(patterns)})([.\[].*)?$")
    result = {}
    for path, change in _differences(old, new, ""):
        replaces = bool(expression.match(path)) and not (path == "apiVersion" and _same_group(old, new))
        result[path] = Change.REPLACE if replaces else change
    return result


def _differences(old: Any, new: Any, path: str) -> Iterator[tuple[str, Change]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            below = (f"{path}[{key!r}]".replace("'", '"') if "." in key else f"{path}.{key}") if path else key
            yield from _differences(old.get(key), new.get(key), below)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differences(before, after, f"{path}[{index}]")
    elif old != new:
        yield path, Change.ADD if old is None else Change.DELETE if new is None else Change.UPDATE


def _same_group(old: Properties, new: Properties) -> bool:
    """Another version of the same group is the same object."""
    groups = {str(each.get("apiVersion", "")).rpartition("/")[0] for each in (old, new)}
    return len(groups) == 1
