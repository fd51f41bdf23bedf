"""The errors for what the stand-ins do not cover.

Each is also the built-in error that a script would catch in such a place, so that scripts with a fallback
(`except ImportError`, `hasattr`) use it.
"""

from __future__ import annotations

from typing import ClassVar, NoReturn

SIDE_INPUTS = 'Give side inputs to the script as program arguments: --parallelrun-args="--lookup PATH".'


class NotCoveredError(Exception):
    """Base of the errors for what a stand-in does not cover."""


class NotCoveredImportError(NotCoveredError, ModuleNotFoundError):
    """A module, or a name imported from one."""


class NotCoveredAttributeError(NotCoveredError, AttributeError):
    """An attribute of a module, a class or an object."""


class NotCoveredKeyError(NotCoveredError, KeyError):
    """An entry of a mapping, or a secret."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which suits a key but not a sentence.
        return str(self.args[0])


def not_covered(thing: str, advice: str | None = None) -> str:
    """The message: what is missing, by its dotted Azure name, and what to do."""
    root = thing.partition(".")[0]
    alternative = f"put a package '{root}' of your own (with an __init__.py) below the code root"
    if root == "azureml":
        alternative = f"Install the real package and give --parallelrun-set azureml=installed, or {alternative}."
    else:
        alternative = f"{alternative[0].upper()}{alternative[1:]}."
    return f"{thing} is not covered by the stand-in for '{root}' in emulated workers. {advice or alternative}"


def refuse_attribute(owner: str, attribute: str, advice: str | None = None) -> NoReturn:
    """Raises the error for an attribute that `owner`, a dotted Azure name, does not have."""
    if attribute.startswith("__") and attribute.endswith("__"):
        raise AttributeError(f"{owner!r} has no attribute {attribute!r}")
    raise NotCoveredAttributeError(not_covered(f"{owner}.{attribute}", advice))


class _StandInType(type):
    advice: str | None

    def __getattr__(cls, name: str) -> NoReturn:
        refuse_attribute(f"{cls.__module__}.{cls.__qualname__}", name, cls.advice)


class StandIn(metaclass=_StandInType):
    """Base of the stand-in classes: what they lack is refused with a reason, on the class and on objects.

    advice: what to do instead, where the general advice does not fit.
    """

    advice: ClassVar[str | None] = None

    def __getattr__(self, name: str) -> NoReturn:
        refuse_attribute(f"{type(self).__module__}.{type(self).__qualname__}", name, self.advice)
