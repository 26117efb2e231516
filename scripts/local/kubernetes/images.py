"""An image is a folder: a snapshot of a source tree, and the interpreter that runs it.

``<store>/<digest>/app/`` is the tree and ``image.json`` says ``python`` (an interpreter of a virtual environment),
``workdir`` (where the tree appears in a container) and ``env``. The digest is a SHA-256 over names, modes and contents,
so the same tree gives the same digest on every machine. A registry is told digest and name; the content stays here.
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
    folders: Iterable[str] = (),
    env: Mapping[str, str] | None = None,
    workdir: str = WORKDIR,
) -> str:
    """Snapshot ``source`` (only ``folders`` of it, if given) into ``store``; returns the digest ("sha256:…").

    Building the same content twice is free. Raises FileNotFoundError when a folder is missing.
    """
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".draft-", dir=store) as draft:
        app = Path(draft) / "app"
        ignored = shutil.ignore_patterns(*IGNORED)
        for folder in list(folders) or ["."]:
            shutil.copytree(source / folder, app / folder, ignore=ignored, dirs_exist_ok=True)
        described = {"python": str(python), "workdir": workdir, "env": dict(sorted((env or {}).items()))}
        document = json.dumps(described, indent=1)
        (Path(draft) / "image.json").write_text(document)
        digest = _digest(app, json.dumps({"workdir": workdir, "env": described["env"]}))
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


def _digest(root: Path, settings: str) -> str:
    total = hashlib.sha256(settings.encode())
    for path in sorted(path for path in root.rglob("*") if not path.is_dir()):
        executable = bool(path.stat().st_mode & 0o100)
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(root).as_posix()}\0{executable:d}\0{content}\n".encode())
    return total.hexdigest()
