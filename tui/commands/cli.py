"""The `mailhold` command: imports the module of the named command only, and reports every error as one clear sentence.

Exit codes: 0 done; 1 failed or partly done (each item that failed is named on standard error); 2 wrong usage, or not
confirmed (nothing was done); 130 interrupted. Users never see a traceback; developers set `MAILHOLD_DEBUG=1` to see it.
This module imports at its top only what Python has loaded at its start anyway, so that `main` handles Ctrl-C almost
from the start.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence


class _Output(io.FileIO):
    """Standard output. It notes that it failed: an error such as "No space left" does not say on which disk."""

    failed = False

    def write(self, data: object, /) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError:
            self.failed = True
            raise


def _run(argv: Sequence[str]) -> int:
    import importlib

    from tui.commands import COMMANDS
    from tui.commands.parser import parse

    try:
        args = parse(argv)
    except SystemExit:  # --help was printed
        sys.stdout.flush()
        raise
    if args.version:
        from importlib.metadata import version

        print(f"mailhold {version('mailhold')}", flush=True)
        return 0
    module = importlib.import_module(COMMANDS[args.command or "console"][0])
    result: int = module.run(args)
    sys.stdout.flush()
    return result


def _open_streams() -> None:
    """Make standard input, output and error usable, however the caller left them.

    A closed stream becomes /dev/null; otherwise the next opened file, such as the store, would get its number and be
    overwritten with output. On standard output, characters that the locale cannot encode are written as escapes.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # opens as the lowest free number, which is `number`
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115  # it lives as long as the process
    out = sys.stdout
    if not isinstance(out, io.TextIOWrapper):  # a test's
        return
    if out is sys.__stdout__ and out.fileno() == 1:
        raw = _Output(1, "w", closefd=False)
        sys.stdout = out = io.TextIOWrapper(
            raw if isinstance(out.buffer, io.RawIOBase) else io.BufferedWriter(raw),
            encoding=out.encoding,
            line_buffering=out.line_buffering,
            write_through=out.write_through,
        )
    out.reconfigure(errors="backslashreplace")


def main(argv: Sequence[str] | None = None, run: Callable[[Sequence[str]], int] = _run) -> int:
    """Run `mailhold` with `argv` (default: the process's own arguments) through `run`, and return the exit code."""
    _open_streams()
    at_once = argv is None and sys.argv[1:2] == ["list"]
    if at_once:
        import gc

        gc.disable()  # its collections, and freeing all memory at the end, take a fifth of the time
    try:
        code = answered(sys.argv[1:] if argv is None else argv, run)
        if at_once:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        return code
    except KeyboardInterrupt as interrupt:
        if argv is None:
            import signal

            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the exit
        _say(str(interrupt) or "interrupted; what was done so far is kept.")
        return 130
    except BrokenPipeError:
        # The reader of standard output is gone, as with `| head`: end without a message, as Unix filters do.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        why = error.strerror or str(error)
        if _output_fails():
            why = f"the output cannot be written ({why})"
        elif error.filename:
            why = f"{why}: {error.filename}"
        _say(f"{why}; what was done so far is kept.")
        return 1
    except ImportError as error:
        if os.environ.get("MAILHOLD_DEBUG"):
            raise
        said = " ".join(str(error).split()).rstrip(".")
        _say(
            f"a library does not load ({type(error).__name__}: {said}). Reinstall it in the Python that runs Mailhold."
        )
        return 1
    except Exception as error:
        if os.environ.get("MAILHOLD_DEBUG"):
            raise
        _say(
            f"an internal error ({type(error).__name__}) stopped this command. The store is as the last finished step "
            "left it. For a bug report, run the command again with MAILHOLD_DEBUG=1 and send the traceback."
        )
        return 1


def answered(argv: Sequence[str], run: Callable[[Sequence[str]], int]) -> int:
    """Call `run(argv)` and return its exit code. A MailholdError is printed; then return 2 for UsageError, else 1."""
    from store.terms.errors import MailholdError, UsageError

    try:
        return run(argv)
    except MailholdError as error:
        _say(str(error))
        return 2 if isinstance(error, UsageError) else 1


def _output_fails() -> bool:
    """Return whether standard output, such as a file on a full disk, does not take what is written to it."""
    buffer = getattr(sys.stdout, "buffer", None)
    failed = getattr(getattr(buffer, "raw", buffer), "failed", False)
    try:
        sys.stdout.flush()
    except OSError:
        failed = True
    if failed:
        # Otherwise Python tries again at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return failed


def _say(message: str) -> None:
    try:
        from tui.terminal.safe import safe
    except ImportError:  # It needs libraries too. Printable ASCII is safe as it is.
        shown = ascii(message)[1:-1]
    else:
        shown = safe(message, multiline=True)
    print(f"mailhold: {shown}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
