"""The console's terminal driver: reports a lost terminal at once, and drops output after that.

Textual's driver keeps reading a lost terminal in a busy loop. Its writing thread ends at the first failed write, so
that later output waits for it for ever.
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
from tui.terminal.job_control import stop_starters


class TerminalLost(Message):
    """The terminal is gone: there will be no more keys, and output is not seen."""


class _Output:
    """Standard error for Textual's writing thread. Errors do not end that thread; they set `gone`."""

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
    """Textual's driver, which also posts `TerminalLost` when the terminal hangs up or cannot be read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._output = _Output(output_of(self))
        set_output(self, self._output)
        self._lost = threading.Event()

    def write(self, data: str) -> None:
        if not self._lost.is_set() and not self._output.gone:
            super().write(data)

    def suspend_application_mode(self) -> None:
        """Give the terminal back before the process is stopped, and stop with it what started it."""
        super().suspend_application_mode()
        stop_starters()

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
        """Wait until the terminal hangs up or the reading thread ends.

        That thread closes the pipe `ended` when it ends, which poll reports like a hang-up.
        """
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
    """An app that ends when its terminal is lost, and on SIGHUP and SIGTERM, whatever handlers it inherited."""

    #: The signal that ended the app (SIGHUP also for a lost terminal); 0 if the user left.
    ended_by = 0

    def get_driver_class(self) -> type[Driver]:
        usual = super().get_driver_class()
        return ConsoleDriver if usual is LinuxDriver else usual

    def on_mount(self) -> None:
        if self.is_headless:
            return
        loop = asyncio.get_running_loop()

        # signal.signal, not loop.add_signal_handler: the loop restores the old handler before the store is closed, and
        # it may block on a terminal that accepts no output.
        def signalled(number: int, _frame: FrameType | None) -> None:
            if not self.ended_by:
                self.ended_by = number
                leave_by_force(number)
            try:
                loop.call_soon_threadsafe(self.told_to_end, number)
            except RuntimeError:  # the loop is closed: the app is ending already
                pass

        for number in SIGNALS:
            signal.signal(number, signalled)

    def on_terminal_lost(self, event: TerminalLost) -> None:
        event.stop()
        if not self.ended_by:
            leave_by_force(signal.SIGHUP)
        self.told_to_end(signal.SIGHUP)

    def last_words(self, defect: str) -> str | None:
        """Return a sentence to show instead of a traceback, which would contain message text and passphrases."""
        if "debug" in self.features:
            return None
        return (
            f"The console stopped because of an error in it ({defect}). What you confirmed before may have been done. "
            "Start the console again: Events lists every action, and z shows your last one."
        )

    def told_to_end(self, number: int) -> None:
        """End by the normal exit path, which restores the terminal."""
        self.ended_by = self.ended_by or number
        self.exit(return_code=128 + self.ended_by)
