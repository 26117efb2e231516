"""A pod's volumes as folders of this machine, and how its containers mount them.

Files of ConfigMaps, Secrets, tokens and the downward API are replaced as the kubelet does it: a new folder is written
and the link ``..data`` moved to it, so that a reader sees either the old files or the new ones.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from scripts.local.kubernetes.api import Object
from scripts.local.kubernetes.node.environment import expand
from scripts.local.kubernetes.node.sandbox import Mount
from scripts.local.kubernetes.node.sources import MissingSource, Sources

File = tuple[bytes, int]  # content and mode
PROJECTIONS = ("configMap", "secret", "downwardAPI", "projected")
TOKEN_SECONDS = 3600  # the API's default for a projected token
DEFAULT_MODE = 0o644


async def prepare(folder: Path, sources: Sources) -> None:
    """Create, or bring up to date, every volume under ``folder``. Raises MissingSource."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for volume in sources.pod["spec"].get("volumes") or []:
        place = folder / volume["name"]
        kind = next((key for key in volume if key != "name"), "emptyDir")
        if kind in PROJECTIONS:
            place.mkdir(exist_ok=True)
            _replace(place, await _files(kind, volume[kind], sources))
        elif kind == "emptyDir":
            place.mkdir(exist_ok=True)
        elif kind == "hostPath":
            if not Path(volume[kind]["path"]).exists():
                raise MissingSource(f"volume {volume['name']}: hostPath {volume[kind]['path']} does not exist")
        else:
            raise MissingSource(f"volume {volume['name']}: the local node has no volumes of type {kind}")


def mounts(container: Object, pod: Object, folder: Path, env: Mapping[str, str]) -> list[Mount]:
    """The container's volume mounts; an outer one comes before those inside it."""
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or []}
    found = []
    for mount in container.get("volumeMounts") or []:
        volume = volumes[mount["name"]]
        place = Path(volume["hostPath"]["path"]) if "hostPath" in volume else folder / mount["name"]
        below = expand(mount.get("subPathExpr") or mount.get("subPath") or "", env)
        if below:
            place = place / below
            if "emptyDir" in volume:
                place.mkdir(parents=True, exist_ok=True)
        read_only = bool(mount.get("readOnly")) or any(kind in volume for kind in PROJECTIONS)
        found.append(Mount(str(place), mount["mountPath"], read_only))
    return sorted(found, key=lambda mount: mount.target)


async def _files(kind: str, source: Object, sources: Sources) -> dict[str, File]:
    mode = source.get("defaultMode", DEFAULT_MODE)
    if kind == "projected":
        files: dict[str, File] = {}
        for part in source.get("sources") or []:
            inner, value = next(iter(part.items()))
            files |= await _files(inner, {"defaultMode": mode, **value}, sources)
        return files
    if kind == "serviceAccountToken":
        token = await sources.token(source.get("audience"), source.get("expirationSeconds", TOKEN_SECONDS))
        return {source["path"]: (token.encode(), 0o600)}
    if kind == "downwardAPI":
        return {
            item["path"]: (_downward(item, sources).encode(), item.get("mode", mode))
            for item in source.get("items") or []
        }
    if kind not in ("configMap", "secret"):
        raise MissingSource(f"projected volume: the local node has no source of type {kind}")
    plural = "configmaps" if kind == "configMap" else "secrets"
    name = source.get("secretName") or source["name"]
    data = await sources.data(plural, name, optional=bool(source.get("optional")))
    if not source.get("items"):
        return {key: (value, mode) for key, value in data.items()}
    missing = [item["key"] for item in source["items"] if item["key"] not in data]
    if missing and not source.get("optional"):
        raise MissingSource(f"{kind} {name!r} has no key {missing[0]!r}")
    return {
        item["path"]: (data[item["key"]], item.get("mode", mode)) for item in source["items"] if item["key"] in data
    }


def _downward(item: Object, sources: Sources) -> str:
    if reference := item.get("fieldRef"):
        return sources.field(reference["fieldPath"])
    return sources.resource(item["resourceFieldRef"], None)


def _replace(place: Path, files: Mapping[str, File]) -> None:
    link = place / "..data"
    before = link.resolve() if link.is_symlink() else None
    if before and _content(before) == {path: content for path, (content, _) in files.items()}:
        return
    version = place / f"..{time.time_ns()}"
    version.mkdir()
    for path, (content, mode) in files.items():
        file = version / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(mode | 0o400)
    draft = place / "..draft"
    draft.symlink_to(version.name)
    draft.rename(link)
    tops = {path.split("/")[0] for path in files}
    for top in tops:
        if not (place / top).is_symlink():
            (place / top).symlink_to(f"..data/{top}")
    for entry in place.iterdir():
        if entry.is_symlink() and entry.name not in {*tops, "..data"}:
            entry.unlink()
    if before:
        shutil.rmtree(before, ignore_errors=True)


def _content(version: Path) -> dict[str, bytes]:
    return {str(path.relative_to(version)): path.read_bytes() for path in version.rglob("*") if path.is_file()}
