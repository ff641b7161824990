"""Asking before a command does what cannot be taken back, or does it to many copies.

Questions go to standard error and answers come from standard input, so that standard output stays clean. Where there
is no terminal to ask on, or the answer is another one, nothing is done and the command ends with exit code 2.
"""

from __future__ import annotations

import sys
import termios
from select import select

from store.terms.errors import UsageError


def can_ask() -> bool:
    """Whether somebody can answer: questions are shown on standard error and answered on standard input."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def ask(question: str) -> str:
    """Ask `question` and return what is typed. Ignores what was typed before it was shown. "" at end of file.

    Raises KeyboardInterrupt, which says that nothing was done.
    """
    from tui.terminal.safe import safe

    termios.tcflush(sys.stdin, termios.TCIFLUSH)
    try:
        print(safe(question, multiline=True), end="", file=sys.stderr, flush=True)
        select([sys.stdin], [], [])  # Ctrl-C ends this wait, but none for a line: Polars has the system begin that anew
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        raise KeyboardInterrupt("interrupted; nothing was done.") from None
    if not answer.endswith("\n"):
        print(file=sys.stderr)
    return answer.strip()


def confirm(what: str, *, yes: bool) -> None:
    """Have y typed before what comes after the sentence `what` is done. Raises UsageError where it is not.

    `yes`, the option of that name, stands for the answer.
    """
    if yes:
        return
    if not can_ask():
        raise UsageError(f"{what} Nothing was done: there is no terminal to ask on. Add --yes to confirm.")
    if ask(f"{what} Go on? [y/N] ").lower() not in ("y", "yes"):
        raise UsageError("Nothing was done: the answer was not y.")


def confirm_count(what: str, count: int, *, yes: bool) -> None:
    """Have `count` typed before what the sentence `what` says is done. Raises UsageError where it is not.

    `yes`, the option of that name, stands for the typed number. Nothing is asked where `count` is 0.
    """
    if yes or not count:
        return
    if not can_ask():
        raise UsageError(f"{what} Nothing was done: there is no terminal to ask on. Add --yes to confirm.")
    answer = ask(f"{what}\nType {count} to confirm: ")
    if answer.replace(",", "") != str(count):
        raise UsageError(f"Nothing was done: the answer was not {count}.")
