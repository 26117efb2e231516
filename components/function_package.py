"""What is shipped to Lambda as a function's code: files of ours and, where it needs them, sources of libraries."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pulumi


def package(files: Mapping[str, Path]) -> pulumi.AssetArchive:
    """The files as an archive: ours by their content, a library's Python sources by their path.

    Compiled files stay out: they differ on each machine, and the function would seem to change with it.
    """
    assets: dict[str, pulumi.Asset | pulumi.Archive] = {}
    for name, path in files.items():
        if path.is_dir():
            assets |= {
                f"{name}/{source.relative_to(path)}": pulumi.FileAsset(str(source))
                for source in sorted(path.rglob("*.py"))
            }
        else:
            assets[name] = pulumi.StringAsset(path.read_text())
    return pulumi.AssetArchive(assets)


def sources(library: str) -> Path:
    """Where an installed library's sources are. Raises ValueError when it is not installed."""
    found = find_spec(library)
    if found is None or not found.submodule_search_locations:
        raise ValueError(f"{library} is not installed, and a function needs its sources: run `make setup`")
    return Path(next(iter(found.submodule_search_locations)))
