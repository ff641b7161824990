"""A store with a small attack wave whose campaigns were found; and campaigns made by hand for tests without a store."""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from store.campaigns.finding import find
from store.campaigns.grouping import OddCopy, Why
from store.campaigns.keys import Kind, key_of
from store.campaigns.marks import Mark
from store.campaigns.oddness import Reason
from store.campaigns.order import Rank
from store.campaigns.reading import StandingReader
from store.campaigns.standing import Campaign
from store.catalogue.catalogue import Catalogue
from store.files.mailbox import import_paths
from store.opening.opening import Unlock, create_store, open_store
from store.vault.vault import Vault
from tests.tui.console.driven import make_console
from tests.tui.console.fakes import NOW
from tests.waves.wave import Size, make
from tui.console.app import MailholdApp

#: A wave with some campaigns, one of which has odd copies, and good mail.
WAVE = Size(300, 4, 20, 4, 20)


def make_wave_store(folder: Path) -> None:
    """Make a store with a wave and its campaigns in a folder: `s.db` and `key`."""
    make(folder / "wave", 7, WAVE)
    vault, _ = create_store(str(folder / "s.db"), key_file=folder / "key", operator="ada")
    with closing(vault):
        import_paths(vault, sorted((folder / "wave").glob("*.mbox")), operator="ada")
        find(vault)


@contextmanager
def wave_vault(made: Path, folder: Path) -> Iterator[Vault]:
    """Copy that store and open it."""
    for name in ("s.db", "key"):
        shutil.copy2(made / name, folder / name)
    with closing(open_store(str(folder / "s.db"), Unlock.key_file(folder / "key"))) as vault:
        yield vault


def now_of(vault: Vault) -> int:
    """Return a minute after the newest copy was placed (Unix ms)."""
    return max(copy.stored_at for copy in vault.newest(1)) + 60_000


def wave_console(vault: Vault) -> MailholdApp:
    """Make a console on it, for an operator named ada, whose catalogue is loaded and knows the campaigns."""
    now = now_of(vault)
    catalogue = Catalogue(vault, now=lambda: now)
    catalogue.standing = StandingReader(vault).read()
    catalogue.start()
    assert catalogue.wait_complete(60)
    app = make_console(vault, catalogue)
    app.context.clock = lambda: now
    app.arming_delay = None
    return app


def campaign(number: int, copies: int = 20, **changes: Any) -> Campaign:
    """Make up a campaign of this many copies."""
    first = number * 1000
    kit, subject = key_of(Kind.KIT, f"kit {number}"), key_of(Kind.SUBJECT, f"subject {number}")
    values: dict[str, Any] = {
        "id": number,
        "rank": Rank.PLAIN,
        "copies": array("Q", range(first, first + copies)),
        "fits": bytes([100] * copies),
        "odd": (),
        "seed": Why(0, subject, copies, 0),
        "evidence": (Why(0, subject, copies, 0), Why(2, kit, copies, 1)),
        "title": f"invoice 0000{number} overdue",
        "texts": {subject: f"invoice 0000{number}", kit: "program x"},
        "mark": Mark(number),
    }
    return Campaign(**(values | changes))


def odd(copy: int, *reasons: Reason) -> OddCopy:
    """Make an odd copy."""
    return OddCopy(copy, reasons or (Reason.FIT,))


__all__ = ["NOW", "campaign", "make_wave_store", "now_of", "odd", "wave_console", "wave_vault"]
