"""`python -m runbooks.on_sale_scale_out`: more pods and machines before a sale opens, and back again after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import ceil
from typing import Annotated, Any

import httpx
import typer

from runbooks import _kit as kit
from runbooks._kit import machines, minimums
from runbooks._kit.kubernetes import Cluster, Size
from runbooks._kit.machines import NodeGroup
from runbooks._kit.minimums import Memory, key
from runbooks._kit.room import LOOKS, Room, rooms
from runbooks._kit.target import settled

_PROBE_SECONDS = 5
Scalable = Size | NodeGroup


@dataclass(frozen=True, slots=True)
class Found:
    """Who has how many at least and should have, what was so before the sale, and what there is room for."""

    now: datetime
    sizes: Sequence[Size]
    groups: Sequence[NodeGroup]
    memory: Memory
    wanted: Sequence[tuple[Scalable, int]]
    ready_nodes: Mapping[str, int]
    rooms: Sequence[Room] = ()

    @property
    def everything(self) -> list[Scalable]:
        """All that has a minimum, pods first."""
        return [*self.sizes, *self.groups]

    @property
    def due(self) -> list[Scalable]:
        """Those whose time of more is over, pods first."""
        return [each for each in self.raised if _over(self.memory[key(each)]["until"], self.now)]

    @property
    def raised(self) -> list[Scalable]:
        """Those that have more for a sale, pods first."""
        return [each for each in self.everything if key(each) in self.memory]

    @property
    def unready(self) -> list[str]:
        """Those that are asked for, and of which not as many are ready."""
        counted = [
            (key(of), of.ready, of.least)
            if isinstance(of, Size)
            else (key(of), self.ready_nodes.get(of.name, 0), of.desired)
            for of, _ in self.wanted
        ]
        return [f"{name}: {ready} of {least}" for name, ready, least in counted if ready < least]

    def tables(self) -> list[kit.Table]:
        wanted = {key(of): least for of, least in self.wanted}
        rows = [
            (key(each), each.least, wanted.get(key(each)), each.most, *self._before(each)) for each in self.everything
        ]
        columns = ("of", "least", "wanted", "most", "before_the_sale", "until")
        rooms = [(each.of, f"{each.left:f}", f"{each.needed:f}") for each in self.rooms]
        return [kit.Table("minimums", columns, rows), kit.Table("room", ("of", "left", "needed"), rooms)]

    def _before(self, of: Scalable) -> tuple[int | None, str | None]:
        note = self.memory.get(key(of), {})
        return note.get("least"), note.get("until")


@dataclass(frozen=True, kw_only=True)
class OnSaleScaleOut(kit.Runbook[Found]):
    """Raise the minimums of pods and nodes before a sale, as far as quotas and addresses go; lower them after it.

    Without --by and --least it lowers those whose time is over.
    """

    aws = frozenset({*machines.LOOKS, *machines.CHANGES, *LOOKS})
    cap = 30

    by: Annotated[float, typer.Option(help="Times what there is at least on other days; 0 for none but --least.")] = 0
    least: Annotated[
        list[str], typer.Option(help="NAME=NUMBER for a Deployment or a node group, instead; may be repeated.")
    ] = field(default_factory=list)
    until: Annotated[
        str, typer.Option(help="When a run without options goes back: ISO 8601 with an offset; empty for --back only.")
    ] = ""
    back: Annotated[bool, typer.Option("--back", help="Go back now, whatever --until said.")] = False
    probe: Annotated[str, typer.Option(help="An address that must answer 200 in the end, e.g. of /readyz.")] = ""
    patience: Annotated[float, typer.Option(min=0, help="Seconds that pods and nodes may take to be ready.")] = 900.0

    def check(self, target: kit.Target) -> Found:
        self._sensible()
        found = self._look(target)
        if not found.wanted:
            return found
        with Cluster.connected(target) as cluster:
            left = cluster.left()
        found = replace(found, rooms=rooms(target, left, found.wanted))
        self._possible(found)
        return found

    def _look(self, target: kit.Target) -> Found:
        groups = list(machines.node_groups(target).values())
        with Cluster.connected(target) as cluster:
            sizes, memory = list(cluster.sizes().values()), cluster.remembered(self.name())
            ready = Counter(node.group for node in cluster.nodes() if node.ready)
        wanted = list(self._wanted([*groups, *sizes], memory))
        return Found(datetime.now(UTC), sizes, groups, memory, wanted, ready)

    def _sensible(self) -> None:
        """Raises Refused for options that make no sense."""
        if self.by and self.by < 1:
            raise kit.Refused(f"--by is {self.by:g}: this raises minimums, so give 1 or more")
        if self.back and (self.by or self.least):
            raise kit.Refused("--back goes back to other days: give it without --by and --least")
        if self.until:
            try:
                moment = datetime.fromisoformat(self.until)
            except ValueError as error:
                raise kit.Refused(f"--until is {self.until}: give a moment like 2026-12-01T20:00+01:00") from error
            if moment.tzinfo is None:
                raise kit.Refused(f"--until is {self.until}: without an offset nobody knows which hour, so add +01:00")

    def _wanted(self, everything: Sequence[Scalable], memory: Memory) -> Iterator[tuple[Scalable, int]]:
        """Who is to have how many at least; a Deployment that nothing scales has a number only by name."""
        named = dict(_pair(text) for text in self.least)
        if unknown := sorted(named.keys() - {each.name for each in everything}):
            raise kit.Refused(
                f"--least names {', '.join(unknown)}; there are {', '.join(each.name for each in everything)}"
            )
        for each in everything:
            if each.name in named:
                yield each, named[each.name]
            elif self.by and each.most is not None:
                yield each, ceil(memory.get(key(each), each.told)["least"] * self.by)

    def _possible(self, found: Found) -> None:
        """Raises Refused for what nobody would give."""
        wrong = [
            f"{key(of)} would have {least} at least and has {of.most} at most"
            for of, least in found.wanted
            if of.most is not None and least > of.most
        ]
        wrong += [f"{each.needed:f} {each.of} needed, {each.left:f} left" for each in found.rooms if not each.enough]
        if wrong:
            raise kit.Refused(f"{'; '.join(wrong)}: raise that first (the stack file, AWS's quota), or ask for less")

    def plan(self, findings: Found) -> list[kit.Action]:
        if self.by or self.least:
            return [
                minimums.changed("raise", of, least, findings.memory, until=self.until)
                for of, least in findings.wanted
                if of.least < least
            ]
        going = findings.raised if self.back else findings.due
        return [minimums.restored(each, findings.memory) for each in going]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        return minimums.carry_out(target, action, by=self.name())

    def undo(self, target: kit.Target, action: kit.Action, result: Mapping[str, Any], snapshot: Any) -> None:
        minimums.take_back(target, action, result, by=self.name())

    def verify(self, target: kit.Target) -> list[kit.Check]:
        now = settled(lambda: self._look(target), lambda found: not found.unready, seconds=self.patience, every=2)
        lacking = [key(of) for of, least in now.wanted if of.least < least]
        late = [] if now.wanted else [key(each) for each in (now.raised if self.back else now.due)]
        checks = [
            kit.Check("minimums are as asked", not lacking, ", ".join(lacking)),
            kit.Check("nobody has more for a sale that is over", not late, ", ".join(late)),
            kit.Check("as many pods and nodes are ready", not now.unready, ", ".join(now.unready)),
        ]
        return [*checks, *([self._probed()] if self.probe else [])]

    def _probed(self) -> kit.Check:
        try:
            answer = str(httpx.get(self.probe, timeout=_PROBE_SECONDS).status_code)
        except httpx.HTTPError as error:
            answer = f"{type(error).__name__}: {error}"
        return kit.Check("the probe is answered", answer == "200", f"{self.probe}: {answer}")


def _pair(text: str) -> tuple[str, int]:
    """Raises Refused for what is not NAME=NUMBER."""
    name, _, number = text.partition("=")
    if not (name and number.isdecimal() and int(number) > 0):
        raise kit.Refused(f"--least {text} is no NAME=NUMBER with a number of 1 or more: booking-api=12")
    return name, int(number)


def _over(until: str, now: datetime) -> bool:
    return bool(until) and datetime.fromisoformat(until) <= now


app = kit.command(OnSaleScaleOut)
if __name__ == "__main__":
    app()
