"""Small checks that tables of rules are made of: a property, and what it must be.

Absent, ``False``, ``0`` and not known yet are four cases. `ABSENT` is the first; an unknown raises inside the SDK's
mappings, which leaves the decision to the update. Each check brings the values it is tried with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Properties = Mapping[str, Any]
Accepts = Callable[[Any], bool]


class _Absent:
    def __repr__(self) -> str:
        return "absent"

    def __bool__(self) -> bool:
        """Nothing is there: ``or`` takes what stands behind it."""
        return False


ABSENT = _Absent()
# A policy is given secrets in plain text: a value is shown only where neither name nor form suggests one.
_SECRET_NAME = re.compile(r"(passw|secret|token|credential|private)", re.IGNORECASE)
_NO_SECRET = re.compile(r"(KmsKey|TokenMount|httpTokens|ServiceAccountToken|secretName|recovery)", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"(AKIA[0-9A-Z]{16}|sk_(live|test)_|whsec_|xox[bp]-|-----BEGIN [A-Z ]*PRIVATE KEY|://[^/\s:@]+:[^/\s:@]+@)"
)
_SHOWN = 80


def looks_secret(value: Any) -> bool:
    """Whether a text has the form of a credential."""
    return isinstance(value, str) and bool(_SECRET_VALUE.search(value))


def shown(path: str, value: Any) -> str:
    """``value`` as a message may tell it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # The engine's protocol knows no whole numbers.
    if value is ABSENT or value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, str):
        hidden = looks_secret(value) or (_SECRET_NAME.search(path) and not _NO_SECRET.search(path))
        return "set (not shown)" if hidden else repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")
    if isinstance(value, Sequence) and all(isinstance(item, str) for item in value):
        return "[" + ", ".join(shown(path, item) for item in value) + "]"
    return f"of {len(value)} parts"


def values(props: Any, path: str, at: str = "") -> Iterator[tuple[str, Any]]:
    """Each value at ``path`` with where it stands; ``name[]`` goes through a list, and an absent list has no values."""
    head, _, rest = path.partition(".")
    name, each = head.removesuffix("[]"), head.endswith("[]")
    value = props[name] if isinstance(props, Mapping) and name in props else ABSENT
    place = f"{at}.{name}" if at else name
    if not each:
        yield from values(value, rest, place) if rest else [(place, value)]
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, item in enumerate(value):
            spot = f"{place}[{number}]"
            yield from values(item, rest, spot) if rest else [(spot, item)]


def first(props: Any, path: str) -> Any:
    """The value at ``path``, or `ABSENT`."""
    return next((value for _, value in values(props, path)), ABSENT)


@dataclass(frozen=True, kw_only=True)
class Check:
    """Every value at ``path`` must be ``wanted``. ``good`` and ``bad`` are values to try it with."""

    path: str
    wanted: str
    accepts: Accepts
    good: Any
    bad: tuple[Any, ...]
    absent_is_fine: bool = False
    # Judged only where this other property has one of these values.
    when: tuple[str, tuple[Any, ...]] | None = None

    def __call__(self, props: Properties) -> str | None:
        if self.when and first(props, self.when[0]) not in self.when[1]:
            return None
        for place, value in self.found(props):
            fine = self.absent_is_fine if value is ABSENT or value is None else self.accepts(value)
            if not fine:
                return f"{place} is {shown(place, value)}, it must be {self.wanted}"
        return None

    def found(self, props: Properties) -> Iterator[tuple[str, Any]]:
        """The values that it judges."""
        return values(props, self.path)

    @property
    def remedy(self) -> str:
        """What to do, where the row has nothing better to say."""
        return f"Set {self.path} to {self.wanted}"

    def optional(self) -> Check:
        """The same, but fine when absent."""
        return replace(self, absent_is_fine=True)

    def only_when(self, path: str, *values: Any) -> Check:
        """The same, of resources whose ``path`` is one of ``values``."""
        return replace(self, when=(path, values))


def is_true(path: str) -> Check:
    """Stated and true; maps of older types hold it as text."""
    return Check(
        path=path, wanted="true", accepts=lambda value: value is True or value == "true", good=True, bad=(False, 0, "")
    )


def is_false(path: str) -> Check:
    """Stated and false: its absence means true."""
    return Check(
        path=path, wanted="false", accepts=lambda value: value is False or value == "false", good=False, bad=(True, 0)
    )


def not_true(path: str) -> Check:
    """False or absent."""
    return replace(is_false(path), bad=(True, "true"), absent_is_fine=True)


def not_false(path: str) -> Check:
    """True or absent."""
    return replace(is_true(path), bad=(False, "false"), absent_is_fine=True)


def at_least(path: str, least: int) -> Check:
    """A number no smaller than ``least``."""
    return Check(
        path=path,
        wanted=f"at least {least}",
        accepts=lambda value: _number(value) >= least,
        good=least,
        bad=(least - 1, 0),
    )


def at_most(path: str, most: int) -> Check:
    """A number no greater than ``most``, and not 0."""
    return Check(
        path=path,
        wanted=f"1 to {most}",
        accepts=lambda value: 1 <= _number(value) <= most,
        good=most,
        bad=(most + 1, 0),
    )


def one_of(path: str, *allowed: Any, absent_is_fine: bool = False) -> Check:
    """One of a few values."""
    return Check(
        path=path,
        wanted=" or ".join(map(str, allowed)),
        accepts=lambda value: value in allowed,
        good=allowed[0],
        bad=("something-else",),
        absent_is_fine=absent_is_fine,
    )


def none_of(path: str, *refused: Any, absent_is_fine: bool = True) -> Check:
    """Anything but a few values."""
    return Check(
        path=path,
        wanted="none of " + ", ".join(map(str, refused)),
        accepts=lambda value: value not in refused,
        good="something-else",
        bad=refused,
        absent_is_fine=absent_is_fine,
    )


def present(path: str, example: Any = "arn:aws:example") -> Check:
    """Stated and not empty. 0 and false are values: a row that minds them says more."""
    return Check(path=path, wanted="set", accepts=lambda value: not _empty(value), good=example, bad=("",))


def absent(path: str, example: Any = "something") -> Check:
    """Not stated, or empty."""
    return Check(path=path, wanted="absent", accepts=_empty, good="", bad=(example,), absent_is_fine=True)


def matching(path: str, pattern: str, good: str, *bad: str, wanted: str, absent_is_fine: bool = False) -> Check:
    """A text of a form."""
    found = re.compile(pattern)
    return Check(
        path=path,
        wanted=wanted,
        accepts=lambda value: isinstance(value, str) and bool(found.search(value)),
        good=good,
        bad=bad,
        absent_is_fine=absent_is_fine,
    )


def not_matching(path: str, pattern: str, bad: str, *, wanted: str) -> Check:
    """A text that lacks a form; absent is fine."""
    found = re.compile(pattern)
    return Check(
        path=path,
        wanted=wanted,
        accepts=lambda value: not (isinstance(value, str) and found.search(value)),
        good="something-else",
        bad=(bad,),
        absent_is_fine=True,
    )


def includes(path: str, *needed: Any) -> Check:
    """A list that has at least these."""
    return Check(
        path=path,
        wanted="a list with " + ", ".join(map(str, needed)),
        accepts=lambda value: set(needed) <= set(value),
        good=list(needed),
        bad=([], [*needed[1:]]),
    )


def within(path: str, *allowed: Any, absent_is_fine: bool = True) -> Check:
    """A list that has nothing but these."""
    return Check(
        path=path,
        wanted="a list of nothing but " + (", ".join(map(str, allowed)) or "none"),
        accepts=lambda value: set(value) <= set(allowed),
        good=list(allowed[:1]),
        bad=(["something-else"],),
        absent_is_fine=absent_is_fine,
    )


def count(path: str, least: int, most: int = 10_000, *, absent_is_fine: bool = False) -> Check:
    """A list of a length."""
    return Check(
        path=path,
        wanted=f"a list of at least {least}" if least else f"a list of at most {most}",
        accepts=lambda value: least <= len(value) <= most,
        good=[f"item-{number}" for number in range(least)],
        bad=([f"item-{number}" for number in range(least - 1 if least else most + 1)],),
        absent_is_fine=absent_is_fine,
    )


def _number(value: Any) -> float:
    """A number, or the one that a version begins with; what is neither is less than any."""
    found = None if isinstance(value, bool) else re.match(r"\d+(\.\d+)?", str(value))
    return float(found[0]) if found else -1.0


def _empty(value: Any) -> bool:
    return value is ABSENT or value is None or (not isinstance(value, (bool, int, float)) and len(value) == 0)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A check of its own form: ``judge`` looks at ``path``; ``good`` and ``bad`` are properties to try it with."""

    path: str
    judge: Callable[[Properties], str | None]
    good: Properties
    bad: tuple[Properties, ...]
    remedy: str
    absent_is_fine: bool = True

    def __call__(self, props: Properties) -> str | None:
        return self.judge(props)


def never(why: str) -> Judged:
    """The type itself must not appear."""
    return Judged(
        path="", judge=lambda _: f"this type is {why}, it must be absent", good={}, bad=({},), remedy="Remove it"
    )
