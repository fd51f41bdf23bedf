"""Additions of modules to the import system and the codecs: finders, path hooks, search functions, changed finders.

The host gets back exactly its own. An installed package stays loaded after its job and does not add them again, so its
additions are kept for every later worker. The module that made them is removed with them: the host does not find it
loaded, and may import it again (`six` without its finder has no `six.moves`).
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Container
from contextlib import suppress
from importlib import machinery
from types import ModuleType
from typing import TYPE_CHECKING, Any
from zipimport import zipimporter

if TYPE_CHECKING:
    from _typeshed.importlib import MetaPathFinderProtocol

_STANDARD = (
    machinery.BuiltinImporter,
    machinery.FrozenImporter,
    machinery.PathFinder,
    machinery.FileFinder,
    machinery.SourceFileLoader,
    machinery.SourcelessFileLoader,
    machinery.ExtensionFileLoader,
    zipimporter,
)
_OURS = __name__.partition(".")[0]
_ERROR_HANDLERS = {
    name: codecs.lookup_error(name)
    for name in (
        "strict",
        "ignore",
        "replace",
        "xmlcharrefreplace",
        "backslashreplace",
        "namereplace",
        "surrogateescape",
        "surrogatepass",
    )
}


class Kept:
    """Additions of installed packages so far, for later workers."""

    def __init__(self) -> None:
        self.first: list[MetaPathFinderProtocol] = []
        """Finders before those of the host."""
        self.last: list[MetaPathFinderProtocol] = []
        self.hooks: list[Any] = []
        self.codecs: list[Any] = []
        self.replaced: set[tuple[type, str]] = set()
        """Methods that standard finders lost to one of these."""
        self.set_aside: dict[str, dict[str, ModuleType]] = {}
        """By the name of the module that added something: it and its submodules."""

    def everything(self) -> list[Any]:
        return [*self.first, *self.last, *self.hooks, *self.codecs]

    def forget(self, owner: str) -> None:
        for each in (self.first, self.last, self.hooks, self.codecs):
            each[:] = [one for one in each if _owner(one) != owner]
        del self.set_aside[owner]


KEPT = Kept()


class Registrations:
    """Switches between those of the host and those of the workers of a job."""

    def __init__(self, is_shared: Callable[[str], bool]) -> None:
        """is_shared: whether all workers share the loaded module of that name, and it outlives the job."""
        self._is_shared = is_shared
        self._attributes: dict[type, dict[str, Any]] | None = None
        self._hooks: list[Any] | None = None
        self._codecs: list[Any] | None = None

    def take_over(self, host_modules: Container[str]) -> None:
        """From the host to the workers, who find the modules that were set aside loaded too."""
        self._host_modules = host_modules
        self.meta_path, self._path_hooks = sys.meta_path, sys.path_hooks
        self.host_finders, self._host_hooks = list(sys.meta_path), list(sys.path_hooks)
        self._host_cache = dict(sys.path_importer_cache)
        put_back: dict[str, ModuleType] = {}
        for owner, modules in list(KEPT.set_aside.items()):
            if owner in sys.modules:
                # The host has imported it meanwhile, and its additions serve the workers too.
                KEPT.forget(owner)
            else:
                put_back.update(modules)
        sys.modules.update(put_back)
        classes = {*_STANDARD, *(_class_of(finder) for finder in self.host_finders)}
        self._host_attributes = {cls: vars(cls).copy() for cls in classes}
        if self._attributes is None:
            for cls, name in KEPT.replaced:
                with suppress(AttributeError):
                    delattr(cls, name)
        else:
            _apply_attributes(self._attributes)
        sys.path_hooks[:] = [*self._host_hooks, *KEPT.hooks] if self._hooks is None else self._hooks
        self._host_codecs = codecs.register, codecs.unregister
        self._codecs = list(KEPT.codecs) if self._codecs is None else self._codecs
        for function in self._codecs:
            codecs.register(function)
        codecs.register, codecs.unregister = self._register, self._unregister

    def finders_for(self, finders: list[MetaPathFinderProtocol]) -> list[MetaPathFinderProtocol]:
        """Including additions of installed packages, whichever worker imported them."""
        if not (KEPT.first or KEPT.last):
            return finders
        missing = [finder for finder in (*KEPT.first, *KEPT.last) if not _has(finders, finder)]
        first = [finder for finder in missing if _has(KEPT.first, finder)]
        return [*first, *finders, *(finder for finder in missing if not _has(first, finder))]

    def keep_finders(self, finders: list[MetaPathFinderProtocol]) -> None:
        """Records those of installed packages. Call it while the modules of the worker are loaded."""
        behind = False
        for finder in finders:
            if _has(self.host_finders, finder):
                behind = True
            elif self.is_kept(finder) and not _has([*KEPT.first, *KEPT.last], finder):
                (KEPT.last if behind else KEPT.first).append(finder)

    def give_back(self) -> None:
        sys.meta_path, sys.path_hooks = self.meta_path, self._path_hooks
        self._hooks = list(sys.path_hooks)
        KEPT.hooks += [hook for hook in self._hooks if self._is_new(hook, self._host_hooks, KEPT.hooks)]
        sys.meta_path[:], sys.path_hooks[:] = self.host_finders, self._host_hooks
        for path in sys.path_importer_cache.keys() - self._host_cache.keys():
            # A standard finder works for everybody, and saves reading the folder again.
            if type(sys.path_importer_cache[path]) is not machinery.FileFinder:
                del sys.path_importer_cache[path]
        sys.path_importer_cache.update(self._host_cache)
        self._attributes = _apply_attributes(self._host_attributes)
        for cls, attributes in self._attributes.items():
            lost = self._host_attributes[cls].keys() - attributes.keys() - {"find_spec"}
            finders = [*KEPT.first, *KEPT.last]
            KEPT.replaced.update((cls, name) for name in lost if any(hasattr(finder, name) for finder in finders))
        self._give_back_codecs()
        self._set_aside()

    def _give_back_codecs(self) -> None:
        codecs.register, codecs.unregister = self._host_codecs
        functions = self._codecs or []
        for function in functions:
            codecs.unregister(function)
        KEPT.codecs += [function for function in functions if self._is_new(function, KEPT.codecs)]
        for name, handler in _ERROR_HANDLERS.items():
            if codecs.lookup_error(name) is not handler:
                codecs.register_error(name, handler)

    def _set_aside(self) -> None:
        for owner in {_owner(one) for one in KEPT.everything()}:
            below = f"{owner}."
            modules = {name: module for name, module in sys.modules.items() if name == owner or name.startswith(below)}
            # Only Python code can be loaded a second time.
            if modules and owner not in self._host_modules and not any(map(_is_native, modules.values())):
                KEPT.set_aside[owner] = modules
                for name in modules:
                    del sys.modules[name]

    def _register(self, search_function: Any, /) -> None:
        self._host_codecs[0](search_function)
        assert self._codecs is not None
        self._codecs.append(search_function)

    def _unregister(self, search_function: Any, /) -> None:
        # Those of the host do not come from the script.
        if self._codecs and search_function in self._codecs:
            self._codecs.remove(search_function)
            self._host_codecs[1](search_function)

    def _is_new(self, one: Any, *known: list[Any]) -> bool:
        return not any(_has(each, one) for each in known) and self.is_kept(one)

    def is_kept(self, one: Any) -> bool:
        """Whether it came with an installed package, which does not add it again."""
        owner = _owner(one)
        top = owner.partition(".")[0]
        # Additions of the standard library were caused by the script; ours are for one worker.
        if owner not in sys.modules or top in sys.stdlib_module_names or top in ("__main__", _OURS):
            return False
        return self._is_shared(owner)


def _has(those: list[Any], one: object) -> bool:
    return any(each is one for each in those)


def _owner(one: Any) -> str:
    """The module that a finder, a class of finders or a function is from."""
    return str(getattr(one, "__module__", None))


def _class_of(finder: Any) -> type:
    return finder if isinstance(finder, type) else type(finder)


def _apply_attributes(wanted: dict[type, dict[str, Any]]) -> dict[type, dict[str, Any]]:
    """Sets these attributes of classes, and returns the previous values of those that changed."""
    changed = {cls: vars(cls).copy() for cls, attributes in wanted.items() if vars(cls) != attributes}
    for cls, now in changed.items():
        # Only differences: not everything in a class can be set.
        for name in now.keys() - wanted[cls].keys():
            delattr(cls, name)
        for name, value in wanted[cls].items():
            if now.get(name, now) is not value:
                setattr(cls, name, value)
    return changed


def _is_native(module: object) -> bool:
    return not str(getattr(module, "__file__", None) or ".py").endswith(".py")
