"""Logging of the host while a script runs: in reach of its messages, out of reach of its configuration."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress


@contextmanager
def logging_restored() -> Iterator[None]:
    """Puts loggers, handlers and factories back, and closes the handlers that were made meanwhile."""
    root, manager = logging.root, logging.root.manager
    known = {name: log for name, log in manager.loggerDict.items() if isinstance(log, logging.Logger)}
    before = [_logger_state(log) for log in (root, *known.values())]
    disabled = manager.disable
    record_factory, logger_class = logging.getLogRecordFactory(), logging.getLoggerClass()
    captured = getattr(logging, "_warnings_showwarning", None)
    with _handlers_hidden():
        if root.handlers:
            root.handlers[:] = [_HostHandlers(root.handlers)]
        try:
            yield
        finally:
            # Through the method, since it drops the cached answers of isEnabledFor().
            logging.disable(disabled)
            logging.setLogRecordFactory(record_factory)
            logging.setLoggerClass(logger_class)
            # captureWarnings() takes a note here whether it is on; warnings themselves are restored elsewhere.
            setattr(logging, "_warnings_showwarning", captured)  # noqa: B010 - no name that a type checker knows
            for restore in before:
                restore()
            for name, log in manager.loggerDict.items():
                if name not in known and isinstance(log, logging.Logger):
                    log.handlers = []
                    log.setLevel(logging.NOTSET)


class _HostHandlers(logging.Handler):
    """Hands records to the handlers of the host's root logger.

    basicConfig(force=True) closes what it finds on the root logger, and pytest's --log-file would stay closed.
    """

    def __init__(self, handlers: Sequence[logging.Handler]) -> None:
        super().__init__()
        self._handlers = tuple(handlers)

    def emit(self, record: logging.LogRecord) -> None:
        for handler in self._handlers:
            if record.levelno >= handler.level:
                handler.handle(record)


@contextmanager
def _handlers_hidden() -> Iterator[None]:
    """logging.config closes every handler that the module `logging` knows of: let it know none of the host's."""
    references: list[weakref.ref[logging.Handler]] = getattr(logging, "_handlerList")  # noqa: B009 - private
    named: MutableMapping[str, logging.Handler] = getattr(logging, "_handlers")  # noqa: B009 - private
    references_before, named_before = list(references), dict(named)
    references.clear()
    named.clear()
    try:
        yield
    finally:
        for reference in reversed(references):
            handler = reference()
            if handler is not None:
                # A handler may be broken in any way: its stream is gone, or it is the script's own class.
                with suppress(Exception):
                    handler.close()
        references[:] = references_before
        named.clear()
        named.update(named_before)


def _logger_state(log: logging.Logger) -> Callable[[], None]:
    level, propagate, disabled = log.level, log.propagate, log.disabled
    handlers, filters = list(log.handlers), list(log.filters)

    def restore() -> None:
        if log.level != level:
            log.setLevel(level)
        log.propagate, log.disabled = propagate, disabled
        log.handlers[:] = handlers
        log.filters[:] = filters

    return restore
