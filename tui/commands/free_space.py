"""The administrator's notification of free space, where a command may have changed it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from store.terms.errors import MailholdError

if TYPE_CHECKING:
    from store.vault.vault import Vault


def look_at_free_space(vault: Vault) -> None:
    """Send the administrator the free space notification, if it is due now. What keeps it back fails no command."""
    from store.delivery.administrator import notify_administrator

    try:
        notify_administrator(vault)
    except MailholdError as error:
        print(f"mailhold: the free space could not be looked at: {error}", file=sys.stderr)
