"""`python -m scripts.record` makes production on a simulated cloud and writes down its state.

The record stands for what runs: a test plans today's program against it and sees that nothing that holds data would be
replaced, and the environment's picture and its costs are drawn from it. It is made anew with a release, once that test
has passed on the record before. Secrets are left out of it, and so is what differs from one run to the next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scripts.cli import console
from scripts.deployment import ROOT, Say
from scripts.local import rehearsal
from scripts.state import SIGNATURE
from scripts.toolchain import pulumi

RECORD = ROOT / "tests" / "environments" / "prod.json"
STACK = "prod"
# How the engine says that what it marked is a secret (pulumi/sdk, resource.SecretSig).
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_LEFT_OUT = ("created", "modified", "sourcePosition", "stackTrace")
_LOOPBACK = re.compile(r"https?://127\.[0-9.]+(:[0-9]+)?")
# Where the program ran; what is shipped is known by its digest.
_FOLDER = re.compile(r"^/.*/project/")


def make(say: Say) -> dict[str, Any]:
    """The state of production, made whole. Raises Failed and what a rehearsal raises."""
    engine = pulumi.obtain(say)
    with (
        TemporaryDirectory(prefix="record-") as folder,
        rehearsal.rehearsing(STACK, Path(folder), engine, say) as stack,
    ):
        stack.up(say)
        return portable(stack.export())


def portable(state: Mapping[str, Any]) -> dict[str, Any]:
    """``state`` without secrets, times and addresses of this machine; of Kubernetes' objects what the program asked."""
    return {
        "manifest": {"time": "2000-01-01T00:00:00Z", "magic": "", "version": ""},
        "resources": [_plain(_asked(one)) for one in state["resources"]],
    }


def _asked(resource: Mapping[str, Any]) -> dict[str, Any]:
    of_kubernetes = resource["type"].startswith("kubernetes:")
    left_out = (*_LEFT_OUT, "outputs") if of_kubernetes else _LEFT_OUT
    return {key: value for key, value in resource.items() if key not in left_out}


def importable(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record as the engine takes it: without objects of Kubernetes, which hold no data and are made anew."""
    kept = [one for one in record["resources"] if not one["type"].startswith("kubernetes:")]
    names = {one["urn"] for one in kept}

    def known(resource: Mapping[str, Any]) -> dict[str, Any]:
        properties = resource.get("propertyDependencies") or {}
        return {
            **resource,
            "dependencies": [each for each in resource.get("dependencies") or () if each in names],
            "propertyDependencies": {
                key: [each for each in value if each in names] for key, value in properties.items()
            },
        }

    return {**record, "resources": [known(one) for one in kept]}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get(SIGNATURE) == _SECRET:
            return {SIGNATURE: _SECRET, "plaintext": json.dumps(_blank(json.loads(value["plaintext"])))}
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return _FOLDER.sub("", _LOOPBACK.sub("https://recorded.example.com", value))
    return value


def _blank(value: Any) -> Any:
    """A secret of the same form that tells nothing."""
    if isinstance(value, dict):
        return {key: _blank(item) for key, item in value.items()}
    return [_blank(item) for item in value] if isinstance(value, list) else "not recorded"


def read() -> dict[str, Any]:
    """The record."""
    found: dict[str, Any] = json.loads(RECORD.read_text())
    return found


def main() -> None:
    """Write the record, one resource a line, so that a difference can be read."""
    with console.progress() as progress:
        state = make(progress.say)
    lines = ",\n".join(json.dumps(resource, sort_keys=True) for resource in state["resources"])
    head = json.dumps(state["manifest"], sort_keys=True)
    RECORD.write_text(f'{{"manifest": {head}, "resources": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
