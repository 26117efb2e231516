"""An image is a folder: a snapshot of a source tree, and the interpreter that runs it.

``<store>/<digest>/app/`` is the tree and ``image.json`` says ``python`` (an interpreter of a virtual environment),
``workdir`` (where the tree appears in a container) and ``env``. ``manifest.json`` is what a registry is told: an OCI
manifest whose one layer has the SHA-256 over names, modes and contents. The digest is the manifest's, so the same tree
gives the same digest on every machine; the content stays here.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

WORKDIR = "/app"
IGNORED = (
    "__pycache__",
    ".git",
    ".venv",
    ".local",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    "*.pyc",
    "*.egg-info",
)


@dataclass(frozen=True, slots=True)
class Image:
    """An image of the store."""

    digest: str
    app: Path
    python: Path
    workdir: str = WORKDIR
    env: Mapping[str, str] = field(default_factory=dict)


def build(
    source: Path,
    store: Path,
    python: Path,
    *,
    paths: Iterable[str] = (),
    env: Mapping[str, str] | None = None,
    workdir: str = WORKDIR,
) -> str:
    """Snapshot ``source`` (only ``paths`` of it, if given) into ``store``; returns the digest ("sha256:…").

    Building the same content twice is free. Raises FileNotFoundError when a path is missing.
    """
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".draft-", dir=store) as draft:
        app = Path(draft) / "app"
        ignored = shutil.ignore_patterns(*IGNORED)
        for path in list(paths) or ["."]:
            (app / path).parent.mkdir(parents=True, exist_ok=True)
            if (source / path).is_file():
                shutil.copy2(source / path, app / path)
            else:
                shutil.copytree(source / path, app / path, ignore=ignored, dirs_exist_ok=True)
        described = {"python": str(python), "workdir": workdir, "env": dict(sorted((env or {}).items()))}
        document = json.dumps(described, indent=1)
        (Path(draft) / "image.json").write_text(document)
        config = json.dumps({"workdir": workdir, "env": described["env"]}, sort_keys=True)
        text = _manifest(config, _digest(app))
        (Path(draft) / "manifest.json").write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        final = store / digest
        if final.exists():
            # The interpreter is a matter of this machine, not of the content, and may have moved.
            (Path(draft) / "image.json").rename(final / "image.json")
        else:
            shutil.copytree(draft, f"{draft}.whole")
            try:
                Path(f"{draft}.whole").rename(final)
            except OSError:  # somebody else finished the same image first
                shutil.rmtree(f"{draft}.whole")
    return f"sha256:{digest}"


def load(store: Path, digest: str) -> Image | None:
    """The image of that digest (with or without "sha256:"), None when the store does not hold it."""
    folder = store / digest.removeprefix("sha256:")
    try:
        described = json.loads((folder / "image.json").read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Image(digest, folder / "app", Path(described["python"]), described["workdir"], described["env"])


def manifest(store: Path, digest: str) -> str:
    """The manifest of an image in the store, as a registry keeps it. Raises FileNotFoundError."""
    return (store / digest.removeprefix("sha256:") / "manifest.json").read_text()


def _manifest(config: str, content: str) -> str:
    layers = [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": f"sha256:{content}", "size": 0}]
    described = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": f"sha256:{hashlib.sha256(config.encode()).hexdigest()}",
        "size": len(config.encode()),
    }
    media_type = "application/vnd.oci.image.manifest.v1+json"
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": described, "layers": layers})


def _digest(root: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if not path.is_dir()):
        executable = bool(path.stat().st_mode & 0o100)
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(root).as_posix()}\0{executable:d}\0{content}\n".encode())
    return total.hexdigest()
