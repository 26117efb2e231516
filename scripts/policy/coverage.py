"""What the packs cover: each row of the catalogue, each type token, each rule in what production has."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Mapping
from keyword import iskeyword
from typing import Any

import pulumi

from policies.catalogue import FOLDER, entries, waivers
from policies.kit import token
from policies.packs import RULES
from scripts import record
from scripts.policy import judge

# Types that the engine itself makes.
_ENGINES = ("pulumi:", "eks:")
_PACKAGES = {"aws": "pulumi_aws", "kubernetes": "pulumi_kubernetes"}


def report() -> dict[str, Any]:
    """The whole coverage; ``missing``, ``unmatched``, ``unknown_types`` and ``stale`` must be empty."""
    proved = {key for rule in RULES for key in rule.ids}
    waived = set(waivers())
    everything = judge.resources(record.read())
    unmatched = {rule.name for rule in RULES if not judge.matched(rule, everything)}
    reasons = unmatched_reasons()
    return {
        "rows": len(entries()),
        "covered": len(proved & set(entries())),
        "waived": len(waived - proved),
        "policies": len(RULES),
        "missing": sorted(set(entries()) - proved - waived),
        "unmatched": sorted(unmatched - set(reasons)),
        "unknown_types": sorted(kind for rule in RULES for kind in rule.types if not exists(kind)),
        "stale": sorted([*(waived & proved), *(waived - set(entries())), *(set(reasons) - unmatched)]),
    }


def unmatched_reasons() -> Mapping[str, str]:
    """Why a rule that matches nothing in production is kept, by its name."""
    with (FOLDER / "unmatched.csv").open(encoding="utf-8", newline="") as file:
        return {row["policy"]: row["reason"] for row in csv.DictReader(file)}


def gaps(found: Mapping[str, Any]) -> list[str]:
    """What of a report has to be mended, in words."""
    says = {
        "missing": "has neither a policy nor a waiver",
        "unmatched": "matches nothing in the recorded production, and unmatched.csv has no reason",
        "unknown_types": "is a type that no SDK has",
        "stale": "is waived or excused though it is covered, matched or gone",
    }
    return [f"{name} {why}" for key, why in says.items() for name in found[key]]


def exists(kind: str) -> bool:
    """Whether an SDK has a resource of this type."""
    package, module, name = kind.split(":")
    if kind.startswith(_ENGINES):
        return True
    folder = module.split("/")[0].removesuffix(".k8s.io").replace(".", "_")
    folder = f"{folder}_" if iskeyword(folder) else folder
    tail = module.split("/")[1:]
    for path in (f"{folder}.{tail[0]}" if tail else folder, folder, folder.split("_")[0] + "." + (tail or [""])[0]):
        if _class(_PACKAGES[package], path, name, kind):
            return True
    return False


def _class(package: str, path: str, name: str, kind: str) -> bool:
    try:
        # The SDK's folders load when they are first looked into; one that does so because a file of it is imported ends
        # up without that file's classes.
        for folder in path.split(".")[:-1]:
            getattr(importlib.import_module(f"{package}.{folder}"), name, None)
        found = getattr(importlib.import_module(f"{package}.{path}"), name, None)
    except ImportError:
        return False
    return isinstance(found, type) and issubclass(found, pulumi.Resource) and token(found) == kind
