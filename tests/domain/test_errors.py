import inspect

from hilum.domain import errors


def test_the_tree_in_the_docstring_is_the_tree_in_the_code():
    drawn = errors.__doc__ or ""
    classes = [item for _, item in inspect.getmembers(errors, inspect.isclass)]
    assert len(classes) >= 9
    for item in classes:
        assert item.__name__ in drawn


def test_codes_are_unique_and_stable():
    codes = [item.code for _, item in inspect.getmembers(errors, inspect.isclass)]
    assert len(codes) == len(set(codes))
    assert errors.UnreadableImage.code == "unreadable_image"
