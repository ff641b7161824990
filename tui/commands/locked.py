"""`python -m tui.commands.locked N`: the program that replaces a console when it locks.

File descriptor N holds the handover, with the sealed view to show again after unlocking.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tui.commands import cli
from tui.commands.console import run_console
from tui.console import latency
from tui.console.lock.lock import received, show_typing
from tui.terminal.ending import ends_cleanly, say_ended


def run(argv: Sequence[str]) -> int:
    """Ask for the passphrase, then run the console again; return the app's return code."""
    handover = received(int(argv[0]))
    with ends_cleanly():
        latency.prepare()
        try:
            from tui.console.lock.lock_app import LockApp

            app = LockApp(handover.location, why=handover.why, theme=handover.theme)
        finally:
            show_typing(handover.echo)
        app.run()
        vault = app.vault
        if vault is not None and not app.ended_by:
            return run_console(vault, vault.opened_by, view=handover.view, theme=handover.theme)
        if vault is not None:
            vault.close()
        if app.ended_by:
            say_ended(())
        return app.return_code or 0


if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:], run))
