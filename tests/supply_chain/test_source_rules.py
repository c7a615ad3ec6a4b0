import pytest

from .source_rules import ALLOWED, FORBIDDEN, find_breaches, find_breaches_below


def test_no_line_of_the_product_runs_data_as_code_or_makes_a_decoder_lenient():
    modules, breaches = find_breaches_below()
    assert breaches == []
    assert modules > 200


@pytest.mark.parametrize("line", FORBIDDEN)
def test_what_is_forbidden_is_found_wherever_it_stands(line: str):
    assert find_breaches(line)
    inner = "\n".join(f"        {part}" for part in line.splitlines())
    assert find_breaches(f"class A:\n    async def f(self):\n{inner}\n")


@pytest.mark.parametrize("line", ALLOWED)
def test_what_is_allowed_is_not_found(line: str):
    assert find_breaches(line) == []


def test_a_checkpoint_is_loaded_in_two_places_and_there_as_weights_alone():
    assert find_breaches("torch.load(path, weights_only=True)", path="model/checkpoint.py") == []
    assert find_breaches("torch.load(path)", path="model/checkpoint.py")
    assert find_breaches("torch.load(path, weights_only=True)", path="inference/runtime.py")
