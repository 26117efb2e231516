"""Checks of pods, wherever they stand: in a Pod, in the template of a controller, or in that of a CronJob's Job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from policies.catalogue import entries
from policies.checks import ABSENT, Check, Judged, Properties, first, values

TYPES = entries()["PSS baseline/HostPath"].types
RUN_ON = tuple(kind for kind in TYPES if "Job" not in kind)
_GROUPS = ("initContainers", "containers", "ephemeralContainers")


def spec_of(props: Properties) -> tuple[str, Properties]:
    """The pod's own spec, and where it stands."""
    spec = props.get("spec", {})
    place = "spec"
    if "jobTemplate" in spec:
        spec, place = spec["jobTemplate"]["spec"], "spec.jobTemplate.spec"
    if "template" in spec:
        return f"{place}.template.spec", spec["template"]["spec"]
    return place, spec


def containers(props: Properties) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every container of a workload, init containers too, with its path."""
    place, spec = spec_of(props)
    for group in _GROUPS:
        for number, one in enumerate((group in spec and spec[group]) or ()):
            yield f"{place}.{group}[{number}]", one


@dataclass(frozen=True, kw_only=True)
class OfPod(Check):
    """A check of the pod's own spec."""

    def found(self, props: Properties) -> Iterator[tuple[str, Any]]:
        place, spec = spec_of(props)
        return values(spec, self.path, place)


@dataclass(frozen=True, kw_only=True)
class OfContainers(Check):
    """A check of each container. What a container does not say, the pod may say for it (``inherited``)."""

    inherited: bool = False

    def found(self, props: Properties) -> Iterator[tuple[str, Any]]:
        _, spec = spec_of(props)
        for place, one in containers(props):
            for where, value in values(one, self.path, place):
                lent = self.inherited and value is ABSENT
                yield where, first(spec, self.path) if lent else value


def pod(check: Check) -> OfPod:
    """``check``, of the pod's spec."""
    return OfPod(**vars(check))


def each(check: Check, *, inherited: bool = False) -> OfContainers:
    """``check``, of each container."""
    return replace(OfContainers(**vars(check)), inherited=inherited)


def judged(
    path: str,
    judge: Callable[[Properties], str | None],
    *,
    good: Properties,
    bad: Properties,
    remedy: str,
    absent_is_fine: bool = True,
) -> Judged:
    """A check of its own form on the pod's spec; ``good`` and ``bad`` are specs."""

    def of(spec: Properties) -> dict[str, Any]:
        return {"spec": {"template": {"spec": spec}}}

    return Judged(path="spec", judge=judge, good=of(good), bad=(of(bad),), remedy=remedy, absent_is_fine=absent_is_fine)


def of_each(
    path: str,
    judge: Callable[[Mapping[str, Any]], str | None],
    *,
    good: Properties,
    bad: Properties,
    remedy: str,
    absent_is_fine: bool = True,
) -> Judged:
    """A check of its own form on each container."""

    def all_(props: Properties) -> str | None:
        for place, one in containers(props):
            if said := judge(one):
                return f"{place}{said}"
        return None

    return judged(
        path,
        all_,
        good={"containers": [{"name": "main", **good}]},
        bad={"containers": [{"name": "main", **bad}]},
        remedy=remedy,
        absent_is_fine=absent_is_fine,
    )
