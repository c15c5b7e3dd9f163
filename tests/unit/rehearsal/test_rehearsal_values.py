"""Nodes for plain values, and the arithmetic of formulas."""

from pathlib import Path

import pytest

from services.worker.rehearsal.arithmetic import evaluate
from tests.support.rehearsal_nodes import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("a + b * 2", 7),
        ("-(a - b) ** 2", -4),
        ("round(10 / 4) if a < b <= 3 else 0", 2),
        ("max(a, b, 5) // 2 % 2", 0),
        ("a and not b", False),
        ("ceil(sqrt(pow(b, 2)))", 3),
        ("a == 1 or b != 3", True),
    ],
)
def test_a_formula_is_evaluated(formula: str, expected: float) -> None:
    assert evaluate(formula, {"a": 1, "b": 3}) == expected


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "a +",
        "c",
        "__import__('os')",
        "a.real",
        "[a]",
        "'text'",
        "9 ** 99999",
        "pow(9, 99999)",
        "a < b in b",
        "a[0]",
    ],
)
def test_what_is_no_arithmetic_is_refused(formula: str) -> None:
    with pytest.raises(ValueError, match=r"not allowed|cannot be read|too large|numeric"):
        evaluate(formula, {"a": 1, "b": 3})


def test_a_formula_gives_all_three_kinds_of_number(bench: Bench) -> None:
    assert bench.run("ComfyMathExpression", expression="a / 2", values={"a": 5}).outputs == (2.5, 2, True)
    with pytest.raises(ValueError, match="non-finite"):
        bench.run("ComfyMathExpression", expression="a * 1e308 * 10", values={"a": 5})


def test_a_switch_hands_on_one_side(bench: Bench) -> None:
    assert bench.out("ComfySwitchNode", switch=True, on_false=1, on_true=2) == 2
    assert bench.out("ComfySwitchNode", switch=False, on_false=1) == 1


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (None, "None"), (1.5, "1.5"), (True, "True"), ({"a": 1}, '{\n    "a": 1\n}')]
)
def test_any_value_is_shown_as_text(bench: Bench, value: object, text: str) -> None:
    assert bench.run("PreviewAny", source=value).ui == {"text": (text,)}


def test_texts_are_joined_and_saved(bench: Bench) -> None:
    joined = bench.out("StringConcatenate", string_a='{"a":', string_b="1}", delimiter=" ")
    result = bench.run("SaveText", text=joined, filename_prefix="t/x", format="json")
    assert bench.saved(result, "files")[0].read_text() == '{\n  "a": 1\n}'
    plain = bench.run("SaveText", text="{", filename_prefix="t/x", format="json")
    assert bench.saved(plain, "files")[0].name == "x_00002.json"


def test_a_resolution_follows_proportions_and_megapixels(bench: Bench) -> None:
    chosen = bench.run("ResolutionSelector", aspect_ratio="16:9 (Widescreen)", megapixels=1.0, multiple=32).outputs
    assert chosen == (1376, 768)
