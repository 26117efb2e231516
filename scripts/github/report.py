"""What a pull request would change: resources, what policies say of it, and what it costs, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scripts.cost.estimate import Estimate
from scripts.deployment import Step

# Steps by what they do, the ones that lose something first.
_SIGNS = {"delete": "🔴", "replace": "🔴", "create-replacement": "🔴", "delete-replaced": "🔴", "update": "🟡"}
_ORDER = {operation: place for place, operation in enumerate(_SIGNS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``refused`` is why it cannot be made, empty where it can; ``before`` is None where the stack is not there yet."""

    stack: str
    steps: Sequence[Step]
    advice: Sequence[str]
    refused: str
    before: Estimate | None
    after: Estimate | None

    def markdown(self) -> str:
        """The comment."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        counts = ", ".join(f"{count} to {kind}" for kind, count in Counter(s.operation for s in self.steps).items())
        yield f"### {'🛑' if self.refused else '✅'} `{self.stack}`: {counts or 'no changes'}"
        yield ""
        if self.refused:
            yield from ("**It cannot be made:**", "", "```", self.refused, "```", "")
        if self.after:
            was = self.before.total if self.before else 0.0
            yield f"**Cost:** {self.after.total:,.0f} USD a month ({self.after.total - was:+,.0f})"
            yield from self._costs(self.after)
            yield ""
        if self.steps:
            yield from ("<details><summary>What changes</summary>", "", "| | component | resource | properties |")
            yield "| --- | --- | --- | --- |"
            for step in sorted(self.steps, key=lambda each: _ORDER.get(each.operation, len(_ORDER))):
                sign = _SIGNS.get(step.operation, "🟢")
                changed = ", ".join(f"`{name}`" for name in step.changed)
                yield f"| {sign} {step.operation} | {step.owner} | `{step.name}` | {changed} |"
            yield from ("", "</details>", "")
        yield from self._advised()

    def _costs(self, after: Estimate) -> Iterator[str]:
        was, will = (self.before.components() if self.before else {}), after.components()
        changed = {name: will.get(name, 0.0) - was.get(name, 0.0) for name in sorted({*was, *will})}
        for name, difference in changed.items():
            if abs(difference) >= 1:
                yield f"- {name}: {difference:+,.0f}"

    def _advised(self) -> Iterator[str]:
        if not self.advice:
            yield "**Policies:** nothing to say."
            return
        yield f"<details><summary>Policies advise on {len(self.advice)} points</summary>"
        yield ""
        yield from (f"- {each.splitlines()[0]}" for each in self.advice)
        yield from ("", "</details>")
