"""Change a module right after it was loaded, before anybody can take a function out of it by name."""

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

Patch = Callable[[ModuleType], None]


class _PatchingLoader(importlib.abc.Loader):
    def __init__(self, inner: importlib.abc.Loader, patch: Patch) -> None:
        self._inner, self._patch = inner, patch

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        self._patch(module)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, patches: Mapping[str, Patch]) -> None:
        self._patches = dict(patches)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the signature of the protocol
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        patch = self._patches.pop(fullname, None)  # once; and the search below must not come back here
        if patch is None:
            return None
        spec = importlib.util.find_spec(fullname)
        assert spec is not None, f"{fullname} does not exist: the sabotage is out of date"
        assert spec.loader is not None
        spec.loader = _PatchingLoader(spec.loader, patch)
        return spec


def patch_after_import(patches: Mapping[str, Patch]) -> None:
    """Register patches by module name; a module that is loaded already is changed at once."""
    waiting = {}
    for name, patch in patches.items():
        if name in sys.modules:
            patch(sys.modules[name])
        else:
            waiting[name] = patch
    sys.meta_path.insert(0, _Finder(waiting))
