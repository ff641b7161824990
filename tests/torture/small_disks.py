"""Small disks: stores fill them to the last byte and are emptied again, while others use up freed space."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from store.enrolment.enrolment import open_with_credentials
from store.terms.errors import MailholdError
from store.vault.vault import Vault
from tests import small_disk
from tests.torture.ledger import Ledger
from tests.torture.processes import Process, mailhold
from tests.torture.running import Run, Torture, hold, remembering
from tests.torture.stores import Store, message, record_of
from tui.commands import cli

LAW = (
    "copies are deleted from a full disk whoever eats what comes free, nothing is lost, texts say that it is full and "
    "advise what works, with room again there is a ballast"
)
#: Megabytes, and the sizes of messages that fill such a disk.
DISKS = {12: (500, 3000, 48_000), 20: (3000, 48_000, 400_000), 60: (48_000, 200_000)}
_FULL = "its disk is full"


def fill(location: str, credentials: Path, sizes: tuple[int, ...], seed: int, first: int) -> int:
    """Put copies from number `first` on until the disk is full, printing each; exit like `mailhold` with that error."""
    try:
        vault = open_with_credentials(location, credentials)
        number = first
        while True:
            # The size of a message follows from the two.
            size = sizes[(number * 7919 + seed) % len(sizes)]
            print("put", vault.put(message(number, size), record_of(number)), number, flush=True)
            number += 1
    except MailholdError as error:
        cli._say(str(error))
        return 1


class _Disk:
    """A disk with a store on it."""

    def __init__(self, run: Run, folder: Path, disk: Path, sizes: tuple[int, ...]) -> None:
        self.run, self.dice, self.folder, self.disk, self.sizes = run, run.dice, folder, disk, sizes
        self.location = str(disk / "mail.store")
        self.store = Store(folder, self.location)
        self.credentials = self.store.enroll("mx1")
        self.ledger = Ledger()
        self.numbers = self.started = 0

    def fill(self) -> None:
        """Put until it is full, then use up the rest."""
        self.started += 1
        first = self.started * 1_000_000
        work = (self.location, self.credentials, self.sizes, self.dice.randrange(100), first)
        process = Process(self.folder, f"fill{self.started}", lambda: fill(*work)).wait().sane()
        hold("who finds no room says so", _FULL not in process.err and process.err)
        for words in process.lines():
            self.ledger.note_placed(int(words[1]), int(words[2]))
            self.run.counts["copies placed"] += 1
        small_disk.fill(self.disk)

    def command(self, *words: str, kill: bool = False) -> Process:
        """Run a command of `mailhold`, whether or not it completes."""
        self.started += 1
        process = mailhold(self.folder, f"{words[0]}{self.started}", list(words), self.store.environment)
        if kill:
            until = time.monotonic() + self.dice.uniform(0, 0.5)
            while process.running() and time.monotonic() < until:
                time.sleep(0.001)
            self.run.counts["kills"] += process.kill()
        return process.wait().sane()

    def look(self) -> None:
        """Run reading commands: they work on a full disk, and say so if they cannot."""
        for words in (["status", "--json"], ["list", "--json", "--limit", "3"], ["check", "--json"]):
            process = self.command(*words)
            hold(f"`{words[0]}` reads on a full disk", process.code and process.err)

    def put_more(self) -> None:
        """Put more mail: what does not fit is refused, and what is reported as placed is stored."""
        path = self.folder / f"more{self.started}.eml"
        number = 900_000_000 + self.started
        path.write_bytes(message(number, 400_000))
        process = self.command("import", "--json", str(path))
        said = process.json()
        placed = said["imported"] if said is not None else 0
        told = placed or _FULL in process.err or any(_FULL in each["error"] for each in said["failed"])
        hold("who finds no room says so", not told and process.err)

    def delete(self, ids: list[int]) -> None:
        """Delete these copies while another program uses up freed space."""
        self.ledger.doomed.update(ids)
        if self.dice.random() < 0.3:
            self.command("delete", "--yes", "--json", *map(str, ids), kill=True)
        left, deleted = ids, 0
        for how in ((), ("--for-good",)):
            process = self.command("delete", "--yes", "--json", *how, *map(str, left))
            said = process.json() or {"deleted": 0, "missing": [], "refused": [{"id": each} for each in left]}
            deleted += said["deleted"] + len(said["missing"])
            self.run.counts[f"copies deleted on a full disk{' for good' if how else ''}"] += said["deleted"]
            left = [each["id"] for each in said["refused"]]
            if not left:
                break
            hold("copies are deleted from a full disk", how and (process.err or said))
            hold("who finds no room in the bin says what works", "--for-good" not in process.err and process.err)
        hold("what was said to be deleted is gone", deleted != len(ids) and said)
        self.ledger.deleted.update(ids)

    def empty(self) -> None:
        """Delete everything, in parts, on a disk that is full each time."""
        ids = sorted(set(self.ledger.placed) - self.ledger.deleted)
        parts = self.dice.randint(2, 5)
        with small_disk.eater(self.disk):
            for part in range(parts):
                if part == self.dice.randrange(parts):
                    self.look()
                    self.put_more()
                small_disk.fill(self.disk)
                self.delete(ids[part::parts])
        for name in ("eaten", "filler"):
            (self.disk / name).unlink(missing_ok=True)

    def settle(self, *, whole: bool) -> None:
        with self.store.opened() as vault:
            self.run.sabotage(vault)
            self.ledger.settle(vault)
            if whole:
                self._usable(vault)

    def _usable(self, vault: Vault) -> None:
        number = 800_000_000 + self.started
        copy_id = vault.put(message(number), record_of(number))
        self.ledger.note_placed(copy_id, number)
        self.ledger.doomed.add(copy_id)
        hold("with room again there is a ballast", not Path(f"{self.location}.ballast").exists() and "there is none")


def work(run: Run) -> None:
    for megabytes, sizes in itertools.cycle(DISKS.items()):
        if not run.more():
            return
        folder = run.new_folder()
        with remembering(folder), small_disk.small_disk(megabytes) as path:
            disk = _Disk(run, folder, path, sizes)
            for _ in range(2):
                disk.fill()
                disk.settle(whole=False)
                disk.empty()
                disk.settle(whole=True)
            run.counts["disks"] += 1


SMALL_DISKS = Torture(LAW, work)
