"""The project folder in which the engine runs: links to the sources, and stack files that it may write into."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_LINKED = ("stacks", "policies", "components", ".venv")


def lay_out(root: Path, folder: Path, stack: str, config: Mapping[str, Any]) -> None:
    """Make ``folder`` the project of the checkout ``root``, with ``stack`` of that configuration.

    The salt or key of the stack's secrets, which the engine once wrote there, stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in _LINKED:
        link = folder / source
        if not link.is_symlink() or link.readlink() != root / source:
            link.unlink(missing_ok=True)
            link.symlink_to(root / source)
    shutil.copy(root / "Pulumi.yaml", folder)
    kept = folder / f"Pulumi.{stack}.yaml"
    before = (yaml.safe_load(kept.read_text()) or {}) if kept.exists() else {}
    secrets = {key: before[key] for key in ("encryptionsalt", "encryptedkey", "secretsprovider") if key in before}
    kept.write_text(yaml.safe_dump({"config": dict(config), **secrets}, sort_keys=False))
