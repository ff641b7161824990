"""Acts of operators and gateways on a store of known copies, and how much of each the store shows afterwards.

Each act runs with a disturbance: a fault in a call, or a kill. `Act.settle` compares what it reported with the store.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from store.authority.acts import folded
from store.authority.audit import events
from store.authority.deleting import delete_copies
from store.authority.settings import read_settings
from store.database.committing import DOUBT
from store.delivery.listing import deliveries
from store.delivery.queue import release
from store.enrolment.enrolment import open_with_credentials
from store.helpers.clock import now_ms
from store.judging.rules.address_lists import read_lists
from store.vault.vault import Vault
from tests.torture.ledger import Ledger, conserved
from tests.torture.processes import Process
from tests.torture.running import hold, remembering
from tests.torture.stores import Store, message, number_of, record_of
from tui.commands import cli

#: Copies that the store has at the start, and those of them waiting to be sent.
DELETED, WAITING = 4, 3
#: Numbers of messages new to the store, and of messages in a folder to import.
NEW, INCOMING = 1000, 120
BLACK = "black@bad.example"


def made(folder: Path, held: int) -> Store:
    """Make the store that acts start with, with `held` copies; close it."""
    store = Store(folder, relay="smtp://127.0.0.1:9", allow_infected=True)
    store.held = held
    store.enroll("mx1")
    with store.opened() as vault:
        vault.put_many([(message(each), record_of(each), None) for each in range(held + DELETED)])
        delete_copies(vault, range(1, DELETED + 1), operator="test")
        release(vault, range(DELETED + 1, DELETED + 1 + WAITING), original=True, operator="test")
    incoming = folder / "incoming"
    incoming.mkdir()
    for number in range(NEW, NEW + INCOMING):
        (incoming / f"{number}.eml").write_bytes(message(number, 1500))
    return store


@contextmanager
def at_hand(folder: Path, first: Store) -> Iterator[Store]:
    """Copy a store to `folder` for `mailhold`. The folder is removed unless a law is broken."""
    folder.mkdir()
    store = copy(first)
    store.folder, store.key_file = folder, folder / "key"
    if "://" not in first.location:
        store.location = str(folder / "mail.store")
    for path in first.folder.iterdir():
        if path.name == "incoming":
            (folder / path.name).symlink_to(path)
        elif path.is_file() and path.suffix not in (".out", ".err"):
            shutil.copyfile(path, folder / path.name)
            (folder / path.name).chmod(0o600)
    with remembering(folder), pytest.MonkeyPatch.context() as patch:
        for name, value in store.environment.items():
            patch.setenv(name, value)
        yield store
    shutil.rmtree(folder)


def put(store: Store) -> int:
    """Put some copies one by one and some together, as a gateway does; print the ids once they are stored."""
    from store.terms.errors import MailholdError

    try:
        vault = open_with_credentials(store.location, store.folder / "mx1.credentials")
        for number in range(NEW, NEW + 4):
            print("put", vault.put(message(number), record_of(number)), number, flush=True)
        numbers = range(NEW + 4, NEW + 34)
        for copy_id, number in zip(
            vault.put_many((message(each), record_of(each), None) for each in numbers), numbers, strict=True
        ):
            print("put", copy_id, number, flush=True)
        vault.close()
    except MailholdError as error:
        cli._say(str(error))
        return 1
    return 0


class Found(NamedTuple):
    """How much of an act the store shows."""

    imported: int = 0
    deleted: int = 0
    queued: int = 0
    changed: bool = False
    listed: bool = False


def found(store: Store, vault: Vault) -> Found:
    """Look at the store. Raises Broken if a delivery is there in part."""
    orders = deliveries(vault)
    hold("no delivery is queued in part", [each.id for each in orders if not each.recipients or each.damage])
    ids = vault.ids()
    new = sum(number_of(vault.raw(each))[0] >= NEW for each in ids)
    changed = read_settings(vault).max_size != store.settings.max_size
    return Found(new, store.held - (len(ids) - new), len(orders) - WAITING, changed, BLACK in read_lists(vault).black)


class Act(NamedTuple):
    """An act. `words` are those of `mailhold` (none for `put`); when complete, `field` of `Found` is `whole`.

    `said` reads from the output how much is reported as done, and `also` compares reported files with these.
    """

    words: Callable[[Store], list[str]]
    field: str = ""
    whole: Callable[[Store], int] = lambda _store: 0
    said: Callable[[Any], int] = lambda _said: 1
    also: Callable[[Store, Process, Any], None] = lambda *_: None

    def run(self, store: Store) -> int:
        """Do it in the tortured process."""
        return cli.main(words) if (words := self.words(store)) else put(store)

    def settle(self, store: Store, process: Process, ruin: Callable[..., None]) -> int:
        """Compare its report with the store; return how much is done. Raises Broken."""
        ledger = Ledger(doomed=set(range(1, DELETED + store.held + 1)))
        for words in process.lines():
            if words[:1] == ["put"] and len(words) == 3:
                ledger.note_placed(int(words[1]), int(words[2]))
        with store.opened() as vault:
            ruin(vault)
            ledger.settle(vault)
            seen = found(store, vault)
            self._told(vault, seen)
        others = [name for name, value in seen._asdict().items() if value and name != self.field]
        hold("only what was asked for is done", others)
        done = int(getattr(seen, self.field)) if self.field else 0
        report = process.json() if self.words(store) else None
        self.also(store, process, report)
        doubt = process.killed or process.code == 9 or DOUBT in process.err
        if process.code == 0:
            hold("who says that all went well did all", done != self.whole(store) and f"{done} of {self.whole(store)}")
        elif self.field and (report is not None or ledger.placed):
            said = self.said(report) if report is not None else len(ledger.placed)
            wrong = done < said if doubt or ledger.placed else done != said
            hold("as much is done as is said", wrong and f"{done} done, {said} said")
        elif not doubt:
            hold("who says nothing of what was done did nothing", done and f"{done} done")
        return done

    def _told(self, vault: Vault, seen: Found) -> None:
        """Assert that the trail reports the right number of copies, and an early end if there was one."""
        action = {"imported": "import", "deleted": "delete"}.get(self.field)
        told = [each for each in folded(events(vault), now_ms() + 120_000) if each.action == action]
        if action == "delete":
            told = [each for each in told if list(each.copies)[:1] != [1]]
        elif self.words is _no_words:
            return
        number = sum(len(each.copies) for each in told)
        hold("events tell as many copies as there were", action and number != getattr(seen, self.field) and number)


def _saved(store: Store, process: Process, report: Any) -> None:
    """Assert that files reported as saved are there, byte for byte."""
    for each in (report or {"saved": []})["saved"]:
        number, whole = number_of(Path(each["path"]).read_bytes())
        hold("what is saved is the message", (not whole or number != each["id"] - 1) and each)
    hold("who says that all went well did all", process.code == 0 and len(report["saved"]) != 33)


def _backed_up(store: Store, process: Process, report: Any) -> None:
    """Assert that a backup is complete or absent."""
    target = store.folder / "copy"
    hold("who says that all went well did all", process.code == 0 and not target.exists())
    if not target.exists():
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "location", str(target))
        # Without the memory of the store itself, because a backup is older than that.
        patch.setenv("XDG_STATE_HOME", str(store.folder / "elsewhere"))
        with store.opened() as vault:
            hold("a backup holds every copy", len(conserved(vault).copies) != store.held)


def _no_words(_store: Store) -> list[str]:
    return []


ACTS: dict[str, Act] = {
    "put": Act(_no_words, "imported", lambda _store: 34),
    "import": Act(
        lambda store: ["import", "--json", str(store.folder / "incoming")],
        "imported",
        lambda _store: INCOMING,
        lambda said: int(said["imported"]),
    ),
    "delete": Act(
        lambda store: ["delete", "--yes", "--json", f"{DELETED + WAITING + 1}-{DELETED + store.held}"],
        "deleted",
        lambda store: store.held - WAITING,
        lambda said: int(said["deleted"]),
    ),
    "deliver": Act(
        lambda _store: ["deliver", "--original", "--json", "20-29"],
        "queued",
        lambda _store: 10,
        lambda said: int(said["queued"]),
    ),
    "settings": Act(lambda _store: ["settings", "set", "max_size=900MB", "--json"], "changed", lambda _store: 1),
    "lists": Act(lambda _store: ["lists", "add", "black", BLACK, "--json"], "listed", lambda _store: 1),
    "save": Act(lambda store: ["save", "8-40", "--to", str(store.folder / "saved"), "--json"], also=_saved),
    "backup": Act(lambda store: ["backup", str(store.folder / "copy"), "--json"], also=_backed_up),
    "check": Act(lambda _store: ["check", "--json"]),
}
