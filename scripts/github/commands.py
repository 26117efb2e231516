"""What people may ask for in a comment on a pull request. Whether they may is asked by the workflow: members only."""

from __future__ import annotations

from enum import StrEnum


class Command(StrEnum):
    """Everything that can be asked for."""

    PREVIEW_UP = "/preview"
    PREVIEW_DOWN = "/preview down"
    CANARY_STATUS = "/canary status"

    @property
    def job(self) -> str:
        """The name by which a workflow knows it."""
        return self.name.lower().replace("_", "-")


def understood(comment: str) -> Command | None:
    """The command in the first line of ``comment``; None where it is none, which is what most comments are."""
    first = " ".join((comment.splitlines() or [""])[0].split())
    return next((each for each in Command if each == first), None)
