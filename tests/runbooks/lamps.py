"""An invented runbook for the tests of the kit: parameters that are not `on` are switched `on`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from runbooks import _kit as kit
from tests.runbooks.environment import Environment


@dataclass(frozen=True, slots=True)
class Dark:
    lamps: Mapping[str, str]

    def tables(self) -> Sequence[kit.Table]:
        return [kit.Table("dark lamps", ("lamp", "state"), sorted(self.lamps.items()))]


@dataclass(frozen=True, kw_only=True)
class Lamps(kit.Runbook[Dark]):
    """Switch lamps on.

    Not part of the summary.
    """

    cap = 3
    room: Annotated[str, typer.Option(help="Whose lamps.")] = "hall"
    glued: Annotated[str, typer.Option(help="A lamp that, once switched, cannot be switched back.")] = ""

    def check(self, target: kit.Target) -> Dark:
        return Dark({name: state for name, state in self._lamps(target).items() if state != "on"})

    def plan(self, findings: Dark) -> list[kit.Action]:
        return [
            kit.Action(
                id=name,
                what=f"switch {name} on",
                before={"state": state},
                after={"state": "on"},
                no_undo="it is glued" if name == self.glued else "",
            )
            for name, state in sorted(findings.lamps.items())
        ]

    def snapshot(self, target: kit.Target, action: kit.Action) -> str:
        return self._lamps(target)[action.id]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        if action.before["state"] == "burnt out":
            raise RuntimeError(f"{action.id} is burnt out")
        if action.before["state"] == "smoking":
            raise kit.Stop("there is smoke")
        self.switch(target, action.id, "on")
        return {"switched": action.id}

    def undo(self, target: kit.Target, action: kit.Action, result: Mapping[str, Any], snapshot: Any) -> None:
        self.switch(target, result["switched"], snapshot)

    def verify(self, target: kit.Target) -> list[kit.Check]:
        return [kit.Check(name, state == "on", state) for name, state in self._lamps(target).items()]

    def switch(self, target: kit.Target, name: str, state: str) -> None:
        put(target.client("ssm"), self._path(target) + name, state)

    def _lamps(self, target: kit.Target) -> dict[str, str]:
        path = self._path(target)
        found = target.client("ssm").get_parameters_by_path(Path=path)["Parameters"]
        return {each["Name"].removeprefix(path): each["Value"] for each in found}

    def _path(self, target: kit.Target) -> str:
        return f"/{target.identity.environment}/{self.room}/"


def put(ssm: Any, name: str, state: str) -> None:
    ssm.put_parameter(Name=name, Value=state, Type="String", Overwrite=True)


def lamps(environment: Environment, room: str = "hall", **states: str) -> None:
    """Lamps of a room in these states."""
    for name, state in states.items():
        put(environment.aws("ssm"), f"/{environment.name}/{room}/{name}", state)


def shine(environment: Environment, room: str = "hall") -> dict[str, str]:
    """What state each lamp of a room is in."""
    prefix = f"/{environment.name}/{room}/"
    return {
        name.removeprefix(prefix): value
        for name, (value, _) in environment.parameters().items()
        if name.startswith(prefix)
    }


app = kit.command(Lamps)
if __name__ == "__main__":
    app()
