"""Nodes for plain values: numbers, texts, choices, and showing them."""

import json
import math
from typing import Any

from services.worker.rehearsal.arithmetic import evaluate
from services.worker.rehearsal.nodes.registry import NodeResult, NodeRun, node

MEGAPIXEL = 1024 * 1024


@node("PrimitiveString", "PrimitiveStringMultiline", "PrimitiveInt", "PrimitiveFloat", "PrimitiveBoolean")
def primitive(run: NodeRun, *, value: Any) -> tuple[Any]:
    """The value itself."""
    return (value,)


@node("StringConcatenate")
def string_concatenate(run: NodeRun, *, string_a: str, string_b: str, delimiter: str) -> tuple[str]:
    """Two texts joined."""
    return (delimiter.join((string_a, string_b)),)


@node("PreviewAny")
def preview_any(run: NodeRun, *, source: Any = None) -> NodeResult:
    """Any value as text."""
    if isinstance(source, str):
        text = source
    elif source is None or isinstance(source, int | float):
        text = str(source)
    else:
        try:
            text = json.dumps(source, indent=4, ensure_ascii=False)
        except (TypeError, ValueError):
            text = str(source)
    return NodeResult((text,), {"text": (text,)})


@node("SaveText")
def save_text(run: NodeRun, *, text: str, filename_prefix: str, format: str) -> NodeResult:
    """A text file in output/; JSON is written readably."""
    place = run.folders.save_place("output", filename_prefix, 1, 1)
    name = f"{place.stem}_{place.counter:05}.{format}"
    content = text
    if format == "json":
        try:
            content = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        except ValueError:
            content = text
    (place.folder / name).write_text(content, encoding="utf-8")
    entry = {"filename": name, "subfolder": place.subfolder, "type": "output"}
    return NodeResult((text,), {"text": (text,), "files": [entry]})


def needed_branch(*, switch: bool, on_false: Any = None, on_true: Any = None) -> list[str]:
    """The one branch that is looked at."""
    return ["on_true" if switch else "on_false"]


@node("ComfySwitchNode", lazy=needed_branch)
def switch_node(run: NodeRun, *, switch: bool, on_false: Any = None, on_true: Any = None) -> tuple[Any]:
    """One of two values; the other is not even computed."""
    return (on_true if switch else on_false,)


@node("ComfyMathExpression")
def math_expression(run: NodeRun, *, expression: str, values: dict[str, Any]) -> tuple[float, int, bool]:
    """The result as float, int and bool. Raises ValueError for what is not arithmetic or not finite."""
    result = evaluate(expression, values)
    if not math.isfinite(result):
        raise ValueError(f"Math Expression '{expression}' produced a non-finite result: {result}")
    return float(result), int(result), bool(result)


@node("ResolutionSelector")
def resolution_selector(run: NodeRun, *, aspect_ratio: str, megapixels: float, multiple: int) -> tuple[int, int]:
    """Width and height for proportions such as "16:9 (Widescreen)"."""
    across, down = (int(number) for number in aspect_ratio.split(" ")[0].split(":"))
    scale = math.sqrt(megapixels * MEGAPIXEL / (across * down))
    return round(across * scale / multiple) * multiple, round(down * scale / multiple) * multiple
