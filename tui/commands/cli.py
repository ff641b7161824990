"""The `mailhold` command: finds the command, imports its module alone, and turns every error into one clear sentence.

Exit codes: 0 done; 1 failed or partly done (each item that failed is named on standard error); 2 wrong usage, or not
confirmed (nothing was done); 130 interrupted. No traceback reaches a user; `MAILHOLD_DEBUG=1` brings it back for a
developer. What this module imports is loaded already when Python starts: there is hardly a moment in which Ctrl-C is
not answered by `main`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence


def _run(argv: Sequence[str]) -> int:
    import importlib

    from tui.commands import COMMANDS
    from tui.commands.parser import parse

    args = parse(argv)
    if args.version:
        from importlib.metadata import version

        print(f"mailhold {version('mailhold')}")
        return 0
    module = importlib.import_module(COMMANDS[args.command or "console"][0])
    result: int = module.run(args)
    sys.stdout.flush()
    return result


def _open_streams() -> None:
    """Make standard input, output and error usable, whatever the caller left of them.

    A closed one becomes /dev/null, so that no file of the store takes its number and is written to as output. A
    character that the locale cannot show is written as an escape and stops nothing.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115  # it lives as long as the process
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def main(argv: Sequence[str] | None = None, run: Callable[[Sequence[str]], int] = _run) -> int:
    """Run `mailhold` with `argv` (the process's own by default) and return the exit code; or `run` as it is run."""
    _open_streams()
    try:
        return answered(sys.argv[1:] if argv is None else argv, run)
    except KeyboardInterrupt as interrupt:
        if argv is None:
            import signal

            signal.signal(signal.SIGINT, signal.SIG_IGN)  # another one must not interrupt the end
        _say(str(interrupt) or "interrupted; what was done up to here is kept.")
        return 130
    except BrokenPipeError:
        # The reader of our output went away: as for any Unix filter, that is the end and no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        _say(f"{error.strerror or error}{where}; what was done before that is kept.")
        return 1
    except ImportError as error:
        if os.environ.get("MAILHOLD_DEBUG"):
            raise
        said = " ".join(str(error).split()).rstrip(".")
        _say(
            f"a library does not load ({type(error).__name__}: {said}). Install it again in the Python that runs this."
        )
        return 1
    except Exception as error:
        if os.environ.get("MAILHOLD_DEBUG"):
            raise
        _say(
            f"an internal error ({type(error).__name__}) stopped this command; the store is as it was after the last "
            "finished step. Run it again with MAILHOLD_DEBUG=1 for the details that a bug report needs."
        )
        return 1


def answered(argv: Sequence[str], run: Callable[[Sequence[str]], int]) -> int:
    """Run, and say what an error of our own says."""
    from store.terms.errors import MailholdError, UsageError

    try:
        return run(argv)
    except MailholdError as error:
        _say(str(error))
        return 2 if isinstance(error, UsageError) else 1


def _say(message: str) -> None:
    from tui.terminal.safe import safe

    print(f"mailhold: {safe(message, multiline=True)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
