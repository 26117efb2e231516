"""Names for resources whose program does not give one: the logical name and seven hexadecimal digits, as the real
provider.
"""

from __future__ import annotations

import hashlib

from scripts.local.cloud.backend import Properties
from scripts.local.cloud.sdk import Model
from scripts.local.cloud.table import Row

_DIGITS = 7


def named(row: Row, model: Model, logical: str, inputs: Properties, old: Properties, seed: bytes) -> Properties:
    """``inputs`` with the name filled in. The name of an existing resource is kept; a replacement gets another."""
    filled = {name: value for name, value in inputs.items() if not name.startswith("__")}
    name = row.name
    if name is None or name not in model.inputs or model.inputs[name].required or filled.get(name) is not None:
        return filled
    prefix = next((key for key in (f"{name}Prefix", "namePrefix") if filled.get(key)), None)
    if name in old.get("__defaults", ()) and old.get(name):
        filled[name] = old[name]
    else:
        digits = hashlib.sha256(seed or logical.encode()).hexdigest()[:_DIGITS]
        suffix = ".fifo" if filled.get("fifoQueue") is True or filled.get("fifoTopic") is True else ""
        stem = str(filled[prefix]) if prefix else f"{logical}-"
        filled[name] = stem[: row.longest - _DIGITS - len(suffix)] + digits + suffix
    filled["__defaults"] = [name]
    return filled
