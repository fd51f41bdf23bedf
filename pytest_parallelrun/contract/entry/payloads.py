"""What mini-batches hold, taken apart and put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.emulator.splitting.model import Payload


def is_files(payload: Payload) -> bool:
    """Whether it is a list of paths, and neither rows of a table nor JSON lines."""
    return isinstance(payload, (list, tuple)) and not any(isinstance(item, dict) for item in payload[:1])


def paths_of(payload: Payload) -> list[str]:
    """The paths of a mini-batch of files; none of rows."""
    return [str(path) for path in payload] if is_files(payload) else []


def rows_of(payload: Payload) -> pd.DataFrame:
    """The rows of a mini-batch as a DataFrame; of JSON lines one that is made of them, nested values as texts."""
    import pandas as pd

    if not isinstance(payload, (list, tuple)):
        return cast("pd.DataFrame", payload)
    flat = [
        {name: str(value) if isinstance(value, (dict, list)) else value for name, value in row.items()}
        for row in cast("Sequence[dict[str, object]]", payload)
    ]
    made: pd.DataFrame = pd.DataFrame(flat)
    return made


def joined(payloads: Sequence[Payload]) -> Payload:
    """One mini-batch of the items of several of one kind."""
    if isinstance(payloads[0], (list, tuple)):
        return cast("Payload", [item for payload in payloads for item in cast("Sequence[object]", payload)])
    import pandas as pd

    return pd.concat([cast("pd.DataFrame", payload) for payload in payloads], ignore_index=True)


def some_of(payload: Payload, first: int, count: int) -> Payload:
    """So many items of a mini-batch from a position on, or as many as there are."""
    if isinstance(payload, (list, tuple)):
        return list(payload[first : first + count])
    frame = cast("pd.DataFrame", payload)
    return cast("pd.DataFrame", frame.iloc[first : first + count].reset_index(drop=True))
