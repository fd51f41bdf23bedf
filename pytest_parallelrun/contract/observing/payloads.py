"""What mini-batches hold, taken apart and put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.emulator.splitting.handed import Payload


def paths_of(payload: Payload) -> list[str]:
    """The paths of a mini-batch of files; none of a table."""
    return [str(path) for path in payload] if isinstance(payload, (list, tuple)) else []


def joined(payloads: Sequence[Payload]) -> Payload:
    """One mini-batch of the items of several of one kind."""
    if isinstance(payloads[0], (list, tuple)):
        return [path for payload in payloads for path in paths_of(payload)]
    import pandas as pd

    return pd.concat([cast("pd.DataFrame", payload) for payload in payloads], ignore_index=True)


def some_of(payload: Payload, first: int, count: int) -> Payload:
    """So many items of a mini-batch from a position on, or as many as there are."""
    if isinstance(payload, (list, tuple)):
        return list(payload[first : first + count])
    frame = cast("pd.DataFrame", payload)
    return cast("pd.DataFrame", frame.iloc[first : first + count].reset_index(drop=True))
