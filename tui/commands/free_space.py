"""The free space notification, sent after commands that change the used space, and the warning of damaged settings."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from store.terms.errors import MailholdError

if TYPE_CHECKING:
    from store.vault.vault import Vault


def look_at_free_space(vault: Vault) -> None:
    """Send the administrator the free space notification if it is due.

    A failure is printed and does not fail the command.
    """
    from store.delivery.administrator import notify_administrator

    try:
        notify_administrator(vault)
    except MailholdError as error:
        print(f"mailhold: the free space could not be checked: {error}", file=sys.stderr)


def warn_of_settings(vault: Vault) -> None:
    """Print to standard error if the settings do not verify, and which limits rotation uses then.

    The command goes on: copies can be listed without settings.
    """
    from store.space.limits import last_known

    if (known := last_known(vault)) is not None:
        print(f"mailhold: {known.problem} {known} Copies are still listed.", file=sys.stderr)
