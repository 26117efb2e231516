"""Which runbooks the alarms of components/ name, read from the sources: nothing has to be created for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Unreadable(AssertionError):
    """An alarm names its runbook in a way that cannot be followed here."""


def named(source: str, where: str) -> Iterator[str]:
    """The runbook of each ``alarm`` or ``notice``: a literal, or a variable of the loop of literals around it.

    Arguments and objectives have a ``runbook``, too; what merely passes ``args.runbook`` on is passed over.
    """
    tree = ast.parse(source)
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For)]
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            continue
        values = [keyword.value for keyword in call.keywords if keyword.arg == "runbook"]
        if not values and call.func.id not in ("alarm", "notice"):
            continue
        if len(values) != 1:
            raise Unreadable(f"{where}:{call.lineno}: alarm() without runbook=")
        if isinstance(values[0], ast.Constant):
            yield str(values[0].value)
        elif isinstance(values[0], ast.Attribute) and ast.unparse(values[0]).endswith("args.runbook"):
            continue
        elif isinstance(values[0], ast.Name):
            yield from _looped(values[0].id, call, loops, where)
        else:
            raise Unreadable(f"{where}:{call.lineno}: runbook= must be a literal or a loop's variable")


def all_named() -> set[str]:
    """Every runbook that an alarm of components/ or the arguments of a component name."""
    sources = [path for folder in ("components", "stacks") for path in sorted((ROOT / folder).glob("*.py"))]
    return {stem for path in sources for stem in _of(path)}


def _of(path: Path) -> Iterator[str]:
    return named(path.read_text(), path.name)


def _looped(name: str, call: ast.Call, loops: list[ast.For], where: str) -> Iterator[str]:
    for loop in loops:
        inside = any(node is call for node in ast.walk(loop))
        if not (inside and isinstance(loop.target, ast.Tuple) and isinstance(loop.iter, ast.Tuple)):
            continue
        names = [element.id for element in loop.target.elts if isinstance(element, ast.Name)]
        if name in names:
            for row in loop.iter.elts:
                if not isinstance(row, ast.Tuple) or not isinstance(row.elts[names.index(name)], ast.Constant):
                    raise Unreadable(f"{where}:{row.lineno}: {name} must be a literal in each row of the loop")
                yield str(ast.literal_eval(row.elts[names.index(name)]))
            return
    raise Unreadable(f"{where}:{call.lineno}: {name} is not a variable of a loop over literals")
