"""`python -m tui.locked N`: what a console becomes when it locks, with what it was looking at in file descriptor N."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tui import cli, latency
from tui.ending import ends_cleanly, say_ended
from tui.lock import received, show_typing


def run(argv: Sequence[str]) -> int:
    """Ask for the passphrase, and go on with the console; returns its return code."""
    handover = received(int(argv[0]))
    with ends_cleanly():
        latency.prepare()
        try:
            from tui.lock_app import LockApp

            app = LockApp(handover.location, why=handover.why, theme=handover.theme)
        finally:
            show_typing(handover.echo)
        app.run()
        vault = app.vault
        if vault is not None and not app.ended_by:
            from tui.commands.console import run_console

            return run_console(vault, handover.operator, view=handover.view, theme=handover.theme)
        if vault is not None:
            vault.close()
        if app.ended_by:
            say_ended(())
        return app.return_code or 0


if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:], run))
