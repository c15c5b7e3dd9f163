"""Evaluates the formulas of math nodes: numbers, names, operators, comparisons and a few functions; nothing else."""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "round": round,
    "int": int,
    "float": float,
    "floor": math.floor,
    "ceil": math.ceil,
    "sqrt": math.sqrt,
    "pow": lambda base, exponent: _power(base, exponent),
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
}
LARGEST_EXPONENT = 4096


def evaluate(expression: str, names: Mapping[str, Any]) -> float:
    """The value of a formula. Raises ValueError, with the part at fault, for anything that is not plain arithmetic."""
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except SyntaxError as error:
        raise ValueError(f"Math Expression {expression!r} cannot be read: {error.msg}") from error
    result = _value(tree.body, names)
    if not isinstance(result, int | float):
        raise ValueError(f"Math Expression {expression!r} must evaluate to a numeric result, got {result!r}")
    return result


def _value(part: ast.expr, names: Mapping[str, Any]) -> Any:
    if isinstance(part, ast.Constant) and isinstance(part.value, int | float):
        return part.value
    if isinstance(part, ast.Name) and part.id in names:
        return names[part.id]
    if isinstance(part, ast.BinOp):
        left, right = _value(part.left, names), _value(part.right, names)
        if isinstance(part.op, ast.Pow):
            return _power(left, right)
        if type(part.op) in BINARY:
            return BINARY[type(part.op)](left, right)
    if isinstance(part, ast.UnaryOp) and type(part.op) in UNARY:
        return UNARY[type(part.op)](_value(part.operand, names))
    if isinstance(part, ast.IfExp):
        return _value(part.body if _value(part.test, names) else part.orelse, names)
    if isinstance(part, ast.Compare):
        return _compare(part, names)
    if isinstance(part, ast.BoolOp):
        values = [_value(value, names) for value in part.values]
        return all(values) if isinstance(part.op, ast.And) else any(values)
    if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in FUNCTIONS:
        return FUNCTIONS[part.func.id](*(_value(argument, names) for argument in part.args))
    raise ValueError(f"{ast.unparse(part)!r} is not allowed in a math expression")


def _compare(part: ast.Compare, names: Mapping[str, Any]) -> bool:
    left = _value(part.left, names)
    for kind, other in zip(part.ops, part.comparators, strict=True):
        right = _value(other, names)
        if type(kind) not in COMPARE:
            raise ValueError(f"{ast.unparse(part)!r} is not allowed in a math expression")
        if not COMPARE[type(kind)](left, right):
            return False
        left = right
    return True


def _power(base: float, exponent: float) -> Any:
    if abs(exponent) > LARGEST_EXPONENT:
        raise ValueError(f"the exponent {exponent} is too large; at most {LARGEST_EXPONENT}")
    return base**exponent
