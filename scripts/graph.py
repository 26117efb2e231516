"""A picture of an environment, drawn from what was really made: components as boxes, what they need as arrows.

Everything tells the topic on call and everything is on the dashboard; those arrows would hide the others and are left
out. So is an arrow that a longer way already says, and the lighter one of two that point at each other.
"""

from __future__ import annotations

import html
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from scripts.state import Resource, State

# Whom everything needs, or who needs everything: by class.
_EVERYWHERE = frozenset({"OnCall", "Dashboard"})
_COLOURS = (
    "#dbeafe",
    "#dcfce7",
    "#fef9c3",
    "#fce7f3",
    "#e0e7ff",
    "#ffedd5",
    "#ccfbf1",
    "#f3e8ff",
    "#f1f5f9",
    "#fee2e2",
)
Arrow = tuple[str, str]


def dot(deployment: Mapping[str, object], title: str) -> str:
    """The environment in Graphviz's language; the same state always gives the same text."""
    state = State(deployment)
    owners = {one.urn: state.component(one) for one in state.resources}
    sizes = Counter(owner.urn for one in state.resources if (owner := owners[one.urn]) and one is not owner)
    shown = sorted(state.components(), key=lambda each: (_layer(each), each.name))
    lines = [
        f'digraph "{title}" {{',
        f'  graph [rankdir=LR, ranksep=0.7, nodesep=0.18, fontname="Helvetica", label="{title}", labelloc=t];',
        '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=12, color="#475569"];',
        '  edge [color="#64748b", arrowsize=0.7];',
    ]
    layers = list(dict.fromkeys(map(_layer, shown)))
    for each in shown:
        colour = _COLOURS[layers.index(_layer(each)) % len(_COLOURS)]
        label = f"<b>{html.escape(each.name)}</b><br/>{_class(each)}, {sizes[each.urn]} resources"
        lines.append(f'  "{each.name}" [label=<{label}>, fillcolor="{colour}", tooltip="{_layer(each)}"];')
    named = {each.urn: each.name for each in shown}
    arrows: Counter[Arrow] = Counter()
    for one in state.resources:
        owner = owners[one.urn]
        for needed in sorted(one.needs & owners.keys()):
            other = owners[needed]
            if owner and other and owner is not other and not {_class(owner), _class(other)} & _EVERYWHERE:
                arrows[named[other.urn], named[owner.urn]] += 1
    lines += [f'  "{start}" -> "{end}";' for start, end in sorted(reduced(arrows))]
    return "\n".join([*lines, "}", ""])


def reduced(arrows: Mapping[Arrow, int]) -> set[Arrow]:
    """``arrows`` without the lighter of two opposite ones, and without those that a longer way says."""
    left = {
        (start, end) for (start, end), weight in arrows.items() if (weight, start) > (arrows.get((end, start), 0), end)
    }
    for start, end in sorted(left):
        if _reaches(left - {(start, end)}, start, end):
            left.discard((start, end))
    return left


def _reaches(arrows: Iterable[Arrow], start: str, end: str) -> bool:
    after: dict[str, list[str]] = {}
    for one, other in arrows:
        after.setdefault(one, []).append(other)
    seen, ahead = {start}, [start]
    while ahead:
        for each in after.get(ahead.pop(), ()):
            if each == end:
                return True
            if each not in seen:
                seen.add(each)
                ahead.append(each)
    return False


def svg(source: str) -> str:
    """The picture, by graphviz-pure, which draws the same on every machine. Raises RuntimeError with what it says."""
    beside = Path(sys.executable).with_name("graphviz-pure")
    program = str(beside) if beside.exists() else shutil.which("graphviz-pure")
    if program is None:
        raise RuntimeError("graphviz-pure is not installed; `make setup` installs it")
    done = subprocess.run([program, "-Tsvg"], input=source, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"graphviz-pure cannot draw it: {done.stderr.strip()}")
    return done.stdout


def _class(component: Resource) -> str:
    return component.type.rsplit(":", 1)[1]


def _layer(component: Resource) -> str:
    return component.type.split(":")[1]
