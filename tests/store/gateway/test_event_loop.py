"""The gateway's event loop: uvloop's where it is installed and loads, else asyncio's own."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.gateway import event_loop


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make Python forget that it loaded uvloop, and remember it afterwards."""
    with monkeypatch.context() as patch:
        for name in [name for name in sys.modules if name.partition(".")[0] == "uvloop"]:
            patch.delitem(sys.modules, name)
        yield


def loop_of_a_run() -> str:
    found: list[str] = []

    async def main() -> None:
        await asyncio.sleep(0)
        found.append(type(asyncio.get_running_loop()).__module__.partition(".")[0])

    event_loop.run(main())
    return found[0]


def test_it_is_uvloop_s_where_that_is_installed() -> None:
    pytest.importorskip("uvloop", reason="uvloop is not installed (pip install 'mailhold[gateway]')")
    assert loop_of_a_run() == "uvloop"


def test_it_is_asyncio_s_without_uvloop(
    unloaded: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop_of_a_run() == "asyncio" and not caplog.records


def test_an_uvloop_that_does_not_load_is_named_and_not_used(
    unloaded: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "uvloop.py").write_text("raise ImportError('libuv.so.1 is missing')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with caplog.at_level(logging.WARNING, "mailhold.gateway"):
        assert loop_of_a_run() == "asyncio"
    assert [record.getMessage() for record in caplog.records] == ["uvloop is not used"]


def test_what_the_loop_s_main_raises_is_raised() -> None:
    async def main() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        event_loop.run(main())


def test_what_exists_after_the_start_is_not_collected_again() -> None:
    before = gc.get_freeze_count()
    try:
        event_loop.settle()
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
