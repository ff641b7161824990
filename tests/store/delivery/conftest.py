"""Run the tests of what sends in every event loop that a gateway may run in."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests import event_loops

IN_ALL = ("test_ahead.py", "test_delivery_worker.py")


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, event_loops.LoopFactory]:
    """Return the event loops for a test."""
    return event_loops.for_file(item.path, IN_ALL)
