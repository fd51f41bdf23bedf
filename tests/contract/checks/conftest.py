from __future__ import annotations

import pytest


@pytest.fixture
def size(request: pytest.FixtureRequest) -> int:
    """A mini_batch_size for the three files of the sample: one, or all. Parameters get them in turn, as all pairs of
    both would take twice as long.
    """
    (index, *_) = request.node.callspec.indices.values()
    return (1, 3)[index % 2]
