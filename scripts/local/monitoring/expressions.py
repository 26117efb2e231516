"""Metric math, and the rules of composite alarms: what our alarms use of both, and a clear refusal of the rest.

(CloudWatch User Guide, "Using math expressions with CloudWatch metrics" and "Create a composite alarm".) Both are read
by Python's own parser, for what they share with it is all that is used.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

Value = float | None
_ARITHMETIC: Mapping[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: Mapping[type, Callable[[float, float], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_WORDS = re.compile(r"\b(AND|OR|NOT)\b")


def evaluate(expression: str, values: Mapping[str, Value]) -> Value:
    """The value of metric math over one period; None where data is missing. Raises ValueError for what is not known."""
    return _value(_parsed(expression), values, expression)


def holds(rule: str, states: Mapping[str, str]) -> bool:
    """Whether the rule of a composite alarm holds; an alarm that is not there is in no state. Raises ValueError."""
    return _holds(_parsed(_WORDS.sub(lambda word: word[0].lower(), rule)), states, rule)


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise _unknown(text) from error


def _value(node: ast.expr, values: Mapping[str, Value], whole: str) -> Value:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            first, second = _value(left, values, whole), _value(right, values, whole)
            if first is None or second is None or (isinstance(op, ast.Div) and second == 0):
                return None
            return _ARITHMETIC[type(op)](first, second)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            first, second = _value(left, values, whole), _value(right, values, whole)
            return None if first is None or second is None else float(_COMPARISONS[type(op)](first, second))
        case ast.Call(func=ast.Name(id="IF"), args=[condition, then, *otherwise]) if len(otherwise) <= 1:
            chosen = [then] if _value(condition, values, whole) else otherwise
            return _value(chosen[0], values, whole) if chosen else None
        case ast.Call(func=ast.Name(id="FILL"), args=[series, instead]):
            found = _value(series, values, whole)
            return _value(instead, values, whole) if found is None else found
    raise _unknown(whole)


def _holds(node: ast.expr, states: Mapping[str, str], whole: str) -> bool:
    match node:
        case ast.BoolOp(op=op, values=parts):
            each = [_holds(part, states, whole) for part in parts]
            return all(each) if isinstance(op, ast.And) else any(each)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _holds(operand, states, whole)
        case ast.Call(func=ast.Name(id="ALARM" | "OK" | "INSUFFICIENT_DATA" as state), args=[ast.Constant(value=name)]):
            return states.get(str(name).rpartition(":alarm:")[2]) == state
    raise _unknown(whole)


def _unknown(text: Any) -> ValueError:
    return ValueError(f"{text!r} is not understood here; {__name__} knows what our alarms use")
