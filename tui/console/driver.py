"""The terminal under the console: its loss is told at once, and what is drawn after that is dropped.

Textual's own driver goes on reading a terminal that is gone, as fast as it can, and its writing thread ends at the
first line that it cannot write, so that the next lines wait for it for ever.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import threading
from types import FrameType
from typing import Any, TextIO

from textual.driver import Driver
from textual.message import Message

from tui.console.textual_private import LinuxDriver, OpenApp, output_of, set_output
from tui.terminal.ending import SIGNALS, leave_by_force


class TerminalLost(Message):
    """The terminal is gone: no key will come, and nobody sees what is drawn."""


class _Output:
    """Standard error for Textual's writing thread, which no error may end. `gone` says that one was met."""

    def __init__(self, file: TextIO | None) -> None:
        assert file is not None
        self._file = file
        self.gone = False

    def write(self, text: str) -> None:
        try:
            self._file.write(text)
        except OSError:
            self.gone = True

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError:
            self.gone = True

    def fileno(self) -> int:
        return self._file.fileno()


class ConsoleDriver(LinuxDriver):
    """Textual's driver, which sends the app `TerminalLost` when the terminal hangs up or cannot be read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._output = _Output(output_of(self))
        set_output(self, self._output)
        self._lost = threading.Event()

    def write(self, data: str) -> None:
        if not self._lost.is_set() and not self._output.gone:
            super().write(data)

    def run_input_thread(self) -> None:
        ended, told = os.pipe()
        watcher = threading.Thread(target=self._watch, args=(ended,), name="terminal-watch", daemon=True)
        watcher.start()
        try:
            super().run_input_thread()
        except OSError:
            self._lose()
        finally:
            os.close(told)
            watcher.join()
            os.close(ended)

    def _watch(self, ended: int) -> None:
        """Wait until the terminal hangs up, or the thread that reads it ends: both show as a hang-up."""
        waiting = select.poll()
        waiting.register(self.fileno, 0)
        waiting.register(ended, 0)
        if any(number == self.fileno for number, _ in waiting.poll()):
            self._lose()

    def _lose(self) -> None:
        if not self._lost.is_set():
            self._lost.set()
            self.exit_event.set()
            try:
                self.send_message(TerminalLost())
            except RuntimeError:  # the app has ended meanwhile
                pass


class EndsWithTerminal(OpenApp):
    """An app that ends with its terminal, and by SIGHUP and SIGTERM, whatever its parent set for these."""

    #: The signal that ended the app (SIGHUP also for a lost terminal); 0 where the user left.
    ended_by = 0

    def get_driver_class(self) -> type[Driver]:
        usual = super().get_driver_class()
        return ConsoleDriver if usual is LinuxDriver else usual

    def on_mount(self) -> None:
        if self.is_headless:
            return
        loop = asyncio.get_running_loop()

        # Not by the loop, which gives the signal back to what it was before the store is closed, and which may itself
        # wait: for a terminal that takes nothing.
        def signalled(number: int, _frame: FrameType | None) -> None:
            if not self.ended_by:
                self.ended_by = number
                leave_by_force(number)
            try:
                loop.call_soon_threadsafe(self.told_to_end, number)
            except RuntimeError:  # it is ending already
                pass

        for number in SIGNALS:
            signal.signal(number, signalled)

    def on_terminal_lost(self, event: TerminalLost) -> None:
        event.stop()
        if not self.ended_by:
            leave_by_force(signal.SIGHUP)
        self.told_to_end(signal.SIGHUP)

    def last_words(self, defect: str) -> str | None:
        """Write a sentence for the user instead of a traceback, which would show message content and passphrases."""
        if "debug" in self.features:
            return None
        return (
            f"The console had to stop because of a defect in it ({defect}). Nothing in Backup was changed by that; "
            "work that was running stopped at a safe place. Start the console again."
        )

    def told_to_end(self, number: int) -> None:
        """Leave by the regular way, which gives the terminal back as it was."""
        self.ended_by = self.ended_by or number
        self.exit(return_code=128 + self.ended_by)
