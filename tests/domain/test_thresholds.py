import ast
from pathlib import Path

from hilum.domain import thresholds


def test_every_number_is_final_and_explained():
    tree = ast.parse(Path(thresholds.__file__).read_text())
    body = tree.body[1:]  # after the module's docstring
    assignments = [node for node in body if isinstance(node, ast.AnnAssign)]
    assert len(assignments) > 20
    for node in assignments:
        name = ast.unparse(node.target)
        assert ast.unparse(node.annotation).startswith("Final"), name
        following = body[body.index(node) + 1]
        assert isinstance(following, ast.Expr), f"{name} lacks a docstring"
        assert isinstance(following.value, ast.Constant), f"{name} lacks a docstring"


def test_the_reports_numbers():
    assert thresholds.MIN_SIDE_PX == 100
    assert thresholds.MAX_ASPECT_RATIO == 3.0
    assert thresholds.HIGH_SENSITIVITY_PROBABILITY == 0.3
    assert thresholds.HIGH_SPECIFICITY_PROBABILITY == 0.7
    assert thresholds.MAX_ECE == 0.1
    assert thresholds.MAX_CLASS_ERROR_RATE == 0.40
