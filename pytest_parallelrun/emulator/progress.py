"""How far a job is, in the words of the service's own overview."""

from __future__ import annotations

from typing import NamedTuple


class Progress(NamedTuple):
    """Mini-batches that were processed, of how many (None while a table is being split), after so many seconds."""

    processed: int
    total: int | None
    elapsed: float

    def __str__(self) -> str:
        """Source: recorded runs; the estimate takes what is to come to be like what was."""
        if not self.processed:
            return "No task has been processed yet."
        of = "" if self.total is None else f" of {self.total}"
        text = f"Processed {self.processed}{of} mini batches in {in_hours(self.elapsed)}."
        if self.total is None:
            return text
        remaining = self.elapsed / self.processed * (self.total - self.processed)
        return f"{text} Estimated remaining time {in_hours(remaining)}."


def in_hours(seconds: float) -> str:
    """Such as "5:02:14", in whole seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
