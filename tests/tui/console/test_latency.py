"""The settings that keep the time from key to paint short are in force while the console runs."""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import types

import pytest

from tui.commands import console as command
from tui.console import collecting, latency


def test_the_console_sets_them_before_textual_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}

    class App:
        return_code = 0
        ended_by = 0
        lock = types.SimpleNamespace(handover=None)

        def __init__(self, *_: object, **__: object) -> None:
            seen.update(switch=sys.getswitchinterval(), frames=os.environ["TEXTUAL_FPS"], young=gc.get_threshold()[0])

        def run(self) -> None: ...

    before = sys.getswitchinterval(), gc.get_threshold()
    monkeypatch.delenv("TEXTUAL_FPS", raising=False)
    monkeypatch.setattr(collecting, "_begun", False)
    monkeypatch.setattr(command, "is_terminal", lambda: True)
    monkeypatch.setattr(command, "open_vault", lambda *_: types.SimpleNamespace(close=lambda: None, opened_by="ada"))
    monkeypatch.setitem(sys.modules, "tui.console.app", types.SimpleNamespace(MailholdApp=App))  # type: ignore[arg-type]  # all that is asked of it
    try:
        assert command.run(argparse.Namespace()) == 0
    finally:
        sys.setswitchinterval(before[0])
        gc.set_threshold(*before[1])
        os.environ.pop("TEXTUAL_FPS", None)
    assert seen == {
        "switch": pytest.approx(latency.SWITCH),
        "frames": str(latency.FRAMES),
        "young": collecting.STARTING,
    }


def test_textual_takes_up_the_frame_rate() -> None:
    code = (
        "from tui.console import latency; latency.prepare(); "
        "from textual.screen import UPDATE_PERIOD; print(1 / UPDATE_PERIOD)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TEXTUAL_FPS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert float(done.stdout) == pytest.approx(latency.FRAMES)
