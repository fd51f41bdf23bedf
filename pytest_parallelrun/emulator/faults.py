"""Faults injected into a job, each with an address: mini-batch, attempt, worker. Never random.

A missing part of the address matches all: `Fault.raises(ValueError(), mini_batch=2)` hits every attempt at mini-batch
2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from pytest_parallelrun.emulator.errors import FaultError

FaultKind = Literal["raises", "times_out", "crashes", "returns", "drops", "delivers_twice", "load_fails", "init_raises"]
_ExceptionLike = BaseException | type[BaseException]


class _Printer(Protocol):
    def text(self, text: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault, created by the class methods. `payload` is what it raises or returns, or the number it drops."""

    kind: FaultKind
    mini_batch: int | None = None
    attempt: int | None = None
    worker: int | None = None
    payload: object = None

    def __post_init__(self) -> None:
        for name, lowest in (("mini_batch", 0), ("attempt", 1), ("worker", 0)):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < lowest):
                raise FaultError(f"{self}: {name} must be a whole number of {lowest} or more.")

    @classmethod
    def raises(
        cls,
        error: _ExceptionLike,
        *,
        mini_batch: int | None = None,
        attempt: int | None = None,
        worker: int | None = None,
    ) -> Fault:
        """The attempt fails with this exception; run() is not called."""
        return cls(
            kind="raises",
            mini_batch=mini_batch,
            attempt=attempt,
            worker=worker,
            payload=_checked_exception("Fault.raises", error),
        )

    @classmethod
    def times_out(
        cls, *, mini_batch: int | None = None, attempt: int | None = None, worker: int | None = None
    ) -> Fault:
        """The attempt times out, without waiting; run() is not called, the worker restarts."""
        return cls(kind="times_out", mini_batch=mini_batch, attempt=attempt, worker=worker)

    @classmethod
    def crashes(cls, *, mini_batch: int | None = None, attempt: int | None = None, worker: int | None = None) -> Fault:
        """The worker process dies; run() is not called, the worker is replaced."""
        return cls(kind="crashes", mini_batch=mini_batch, attempt=attempt, worker=worker)

    @classmethod
    def returns(
        cls,
        value: object,
        *,
        mini_batch: int | None = None,
        attempt: int | None = None,
        worker: int | None = None,
    ) -> Fault:
        """The attempt returns this value; run() is not called."""
        return cls(kind="returns", mini_batch=mini_batch, attempt=attempt, worker=worker, payload=value)

    @classmethod
    def drops(
        cls,
        count: int,
        *,
        mini_batch: int | None = None,
        attempt: int | None = None,
        worker: int | None = None,
    ) -> Fault:
        """run() is called, and its last `count` results are lost."""
        if type(count) is not int or count < 1:
            raise FaultError(f"Fault.drops({count!r}): the count must be a whole number of 1 or more.")
        return cls(kind="drops", mini_batch=mini_batch, attempt=attempt, worker=worker, payload=count)

    @classmethod
    def delivers_twice(
        cls, *, mini_batch: int | None = None, attempt: int | None = None, worker: int | None = None
    ) -> Fault:
        """run() is called, and the same attempt is delivered again at the end of the queue.

        The second delivery replaces the first in the counts, as on the service.
        """
        return cls(kind="delivers_twice", mini_batch=mini_batch, attempt=attempt, worker=worker)

    @classmethod
    def load_fails(
        cls, *, mini_batch: int | None = None, attempt: int | None = None, worker: int | None = None
    ) -> Fault:
        """The mini-batch cannot be loaded; run() is not called."""
        return cls(kind="load_fails", mini_batch=mini_batch, attempt=attempt, worker=worker)

    @classmethod
    def init_raises(cls, error: _ExceptionLike = RuntimeError, *, worker: int | None = None) -> Fault:
        """init() of that worker fails with this exception; it is not called."""
        return cls(kind="init_raises", worker=worker, payload=_checked_exception("Fault.init_raises", error))

    def exception(self) -> BaseException:
        if isinstance(self.payload, BaseException):
            return self.payload
        if isinstance(self.payload, type) and issubclass(self.payload, BaseException):
            return self.payload(f"injected by {self}")
        raise FaultError(f"{self} raises nothing.")

    def __repr__(self) -> str:
        shown = []
        if self.kind in ("raises", "init_raises") and isinstance(self.payload, type):
            shown.append(self.payload.__name__)
        elif self.kind in ("raises", "init_raises", "returns", "drops"):
            shown.append(repr(self.payload))
        for name in ("mini_batch", "attempt", "worker"):
            if getattr(self, name) is not None:
                shown.append(f"{name}={getattr(self, name)}")
        return f"Fault.{self.kind}({', '.join(shown)})"

    def _repr_pretty_(self, printer: _Printer, cycle: bool) -> None:
        """For IPython and Hypothesis, which otherwise print a dataclass by its fields."""
        printer.text(repr(self))


def _checked_exception(where: str, error: object) -> object:
    if isinstance(error, BaseException):
        return error
    if isinstance(error, type) and issubclass(error, BaseException):
        try:
            error("a text")
        except Exception as why:
            raise FaultError(f"{where}({error.__name__}): it is not made from a text; give an instance.") from why
        return error
    raise FaultError(f"{where}({error!r}): give an exception or an exception class.")


class FaultPlan:
    """The faults of a job, and which of them happened. The first that matches an address is used."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults = tuple(faults)
        for fault in self._faults:
            if not isinstance(fault, Fault):
                raise FaultError(f"faults={fault!r}: give Fault objects, for example Fault.raises(ValueError()).")
        self._fired: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._faults)

    def for_attempt(self, mini_batch: int, attempt: int, worker: int) -> Fault | None:
        """The fault at this address, marked as used."""
        for index, fault in enumerate(self._faults):
            if (
                fault.kind != "init_raises"
                and fault.mini_batch in (None, mini_batch)
                and fault.attempt in (None, attempt)
                and fault.worker in (None, worker)
            ):
                self._fired.add(index)
                return fault
        return None

    def for_init(self, worker: int) -> Fault | None:
        """The fault for init() of this worker, marked as used."""
        for index, fault in enumerate(self._faults):
            if fault.kind == "init_raises" and fault.worker in (None, worker):
                self._fired.add(index)
                return fault
        return None

    def never_fired(self) -> list[Fault]:
        return [fault for index, fault in enumerate(self._faults) if index not in self._fired]
