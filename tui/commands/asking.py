"""Questions that a command asks before it does something irreversible, or something to many copies.

Questions go to standard error and answers come from standard input, so that standard output holds results only. Without
a terminal, or with any other answer, nothing is done and the command ends with exit code 2.
"""

from __future__ import annotations

import sys
import termios
from select import select

from store.terms.errors import UsageError


def can_ask() -> bool:
    """Return True if standard error (for questions) and standard input (for answers) are both a terminal."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def ask(question: str) -> str:
    """Ask `question` and return the typed line, stripped. Discards input typed before the question is shown.

    "" at end of file. Raises KeyboardInterrupt, whose message says that nothing was done.
    """
    from tui.terminal.safe import safe

    termios.tcflush(sys.stdin, termios.TCIFLUSH)
    try:
        print(safe(question, multiline=True), end="", file=sys.stderr, flush=True)
        select([sys.stdin], [], [])  # Ctrl-C ends select, but not readline: Polars makes the system restart that
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        raise KeyboardInterrupt("interrupted; nothing was done.") from None
    if not answer.endswith("\n"):
        print(file=sys.stderr)
    return answer.strip()


def confirm(what: str, *, yes: bool) -> None:
    """Show the sentence `what` and go on only if the user types y. Raises UsageError for any other answer.

    With `yes` (the --yes option) nothing is asked.
    """
    if yes:
        return
    if not can_ask():
        raise UsageError(f"{what} Nothing was done: there is no terminal to ask on. Add --yes to confirm.")
    if ask(f"{what} Go on? [y/N] ").lower() not in ("y", "yes"):
        raise UsageError("Nothing was done: you did not answer y.")


def confirm_count(what: str, count: int, *, yes: bool) -> None:
    """Show the sentence `what` and go on only if the user types `count`. Raises UsageError for any other answer.

    With `yes` (the --yes option), or if `count` is 0, nothing is asked.
    """
    if yes or not count:
        return
    if not can_ask():
        raise UsageError(f"{what} Nothing was done: there is no terminal to ask on. Add --yes to confirm.")
    answer = ask(f"{what}\nType {count} to confirm: ")
    if answer.replace(",", "") != str(count):
        raise UsageError(f"Nothing was done: you did not type {count}.")
