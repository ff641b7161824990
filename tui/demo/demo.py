"""The demo: a temporary store full of composed mail, and a local receiver for deliveries from it.

The store, its key and the Maildir are in one temporary folder (mode 0700). At the end everything but the delivered mail
is deleted. That mail stays in plain text, as in any recipient's mailbox.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import merge
from itertools import islice
from operator import itemgetter
from pathlib import Path
from random import Random

from store.authority.audit import record_event
from store.authority.deleting import bring_back, delete_copies
from store.authority.settings import Settings
from store.campaigns.finding import find
from store.helpers.clock import now_ms
from store.opening.opening import create_store
from store.space.changing_settings import change_settings
from store.terms.progress import Progress
from store.terms.records import CopyRecord
from store.terms.sizes import MIB
from store.terms.verdicts import Status
from store.vault.vault import Vault
from tui.demo.knowing import count_known, with_knowledge
from tui.demo.policy import write_policy
from tui.demo.receiver import FULL, GONE, HOST, Receiver
from tui.demo.rhythm import DAY, HOUR
from tui.demo.sample_mail import compose
from tui.demo.wave import wave

Composed = tuple[bytes, CopyRecord, int]

OPERATOR = "r.feldman"
_NIGHT_OPERATOR = "j.fischer"
#: Who set the store up. Not the operator of the console: undo would offer the operator acts that nobody at it did.
_ADMINISTRATOR = "k.lindqvist"
_GROUP = 100
#: Extra copies that are composed and deleted again, in larger demos.
_REMOVED = 3
#: Extra copies deleted into the bin by each of the two operators, and how many of them are brought back.
_BINNED, _KEPT_BACK = (9, 5), 2
#: Used share of the maximum size: large enough that Monitoring can foresee the end.
_USED = 0.78
_SEED = 2026
_LOCAL = ("example.org", ".example.org")


def fill_demo(
    vault: Vault,
    messages: int,
    *,
    now: int | None = None,
    seed: int = _SEED,
    relay: str = "",
    attack: int = 0,
    progress: Progress | None = None,
    finding: Progress | None = None,
) -> None:
    """Put copies, settings, events and (with a `relay`) deliveries into an empty store.

    With `attack`, about that many copies of an attack wave are mixed in, every record gets what a gateway would know of
    the message (`with_knowledge`), and campaigns are found, of which `finding` tells.
    """
    at = now_ms() if now is None else now
    _past(vault, at)
    removed = _REMOVED + sum(_BINNED) - _KEPT_BACK if messages >= _GROUP else 0
    composed = compose(messages + removed, now=at, seed=seed)
    if attack:
        composed = _under_attack(vault, composed, attack, at, seed)
    done = 0
    while group := list(islice(composed, _GROUP)):
        vault.put_many(group)
        done += len(group)
        if progress:
            progress(min(done, messages + attack), messages + attack)
    if removed:
        _remove_some(vault, at)
        _bin_some(vault)
    used = vault.count().used_bytes
    size = max(MIB, round(used / _USED / MIB) * MIB)
    settings = Settings(
        max_size=size,
        notify_below=size // 20 // MIB * MIB,
        relay=relay,
        administrator="postmaster@example.org",
        local_domains=_LOCAL if attack else (),
    )
    write_policy(vault, _ADMINISTRATOR)
    change_settings(vault, settings, operator=_ADMINISTRATOR)
    if relay:
        _deliver_some(vault)
    if attack:
        find(vault, progress=finding)


class Demo:
    """The demo's folder and its running receiver. Made by `new_demo`."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.folder = folder
        self._receiver = receiver
        self._before = 0

    def store(
        self, messages: int, progress: Progress | None = None, *, attack: int = 0, finding: Progress | None = None
    ) -> Vault:
        """Make a store of `messages` copies, some of them delivered to the receiver. The caller closes it.

        `attack` and `finding` are as in `fill_demo`. Raises what `create_store` raises.
        """
        vault, _recovery = create_store(
            str(self.folder / "backup.store"), key_file=self.folder / "key", operator=OPERATOR
        )
        try:
            relay = f"smtp://{HOST}:{self._receiver.port}"
            fill_demo(vault, messages, relay=relay, attack=attack, progress=progress, finding=finding)
        except BaseException:
            vault.close()
            raise
        self._before = self._receiver.arrived
        return vault

    def farewell(self) -> str:
        """Return the closing message: where the delivered mail is, and what was deleted."""
        arrived = self._receiver.arrived
        if not arrived:
            return "Nothing was delivered. The demo's store has been deleted."
        return (
            f"{arrived:,} delivered messages arrived, {arrived - self._before:,} of them while the console was open. "
            f"They are stored in plain text, as in any mailbox:\n  {self._receiver.maildir / 'new'}\nThe demo's store "
            "and its key have been deleted."
        )


@contextmanager
def new_demo() -> Iterator[Demo]:
    """Make a demo. At the end its folder is deleted except for delivered mail. Raises OSError."""
    folder = Path(tempfile.mkdtemp(prefix="mailhold-demo-"))
    receiver = Receiver(folder / "received")
    try:
        receiver.start()
        yield Demo(folder, receiver)
    finally:
        receiver.stop()
        _clear(folder, keep=receiver.maildir)


def _clear(folder: Path, keep: Path) -> None:
    """Delete the demo's folder, but keep delivered mail."""
    if keep.is_dir() and any((keep / "new").iterdir()):
        for entry in folder.iterdir():
            if entry != keep:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    else:
        shutil.rmtree(folder)


def _under_attack(vault: Vault, composed: Iterator[Composed], attack: int, now: int, seed: int) -> Iterator[Composed]:
    """Merge the composed messages, with a gateway's knowledge added, and the attack wave by time."""
    count_known(vault, now)
    rng = Random(f"{seed}/knowing")
    known = ((raw, with_knowledge(record, rng), at) for raw, record, at in composed)
    return merge(known, wave(attack, now=now, seed=seed), key=itemgetter(2))


def _past(vault: Vault, now: int) -> None:
    """Add events of past days, so that Events shows operators at work."""
    for before, operator, action, detail in (
        (61 * DAY + 3 * HOUR, OPERATOR, "settings changed", "if_unavailable: reject -> temporary-fail"),
        (61 * DAY + 2 * HOUR, OPERATOR, "settings changed", "if_unavailable: temporary-fail -> process"),
        (33 * DAY + 5 * HOUR, _NIGHT_OPERATOR, "settings changed", "allow_infected: no -> yes"),
        (33 * DAY + 4 * HOUR, _NIGHT_OPERATOR, "settings changed", "allow_infected: yes -> no"),
    ):
        record_event(vault, action, operator=operator, detail=detail, at=now - before)


def _remove_some(vault: Vault, now: int) -> None:
    """Add save and delete events, and delete the copies of the latter, so that Events is not empty."""
    ids = vault.ids()
    at = len(ids) * 7 // 10
    saved, deleted = ids[at : at + 4], ids[at + 20 : at + 20 + 2 * _REMOVED : 2]
    record_event(vault, "save", operator=OPERATOR, copies=saved, detail="to /srv/evidence", at=now - 2 * DAY)
    vault.delete(deleted, operator=_NIGHT_OPERATOR)
    record_event(vault, "delete", operator=_NIGHT_OPERATOR, copies=deleted, at=now - DAY - 3 * HOUR)


def _bin_some(vault: Vault) -> None:
    """Delete copies into the bin as two other operators, and bring some back."""
    newest = vault.newest(2000)
    spam = [copy.id for copy in newest if copy.record.reason and copy.record.reason.status is Status.SPAM]
    spam += sorted({copy.id for copy in newest}.difference(spam))  # small demos have too little spam
    at = 20
    for operator, count in zip((_NIGHT_OPERATOR, _ADMINISTRATOR), _BINNED, strict=True):
        delete_copies(vault, spam[at : at + count], operator=operator)
        at += count
    bring_back(vault, spam[at - _KEPT_BACK : at], operator=_ADMINISTRATOR)


def _deliver_some(vault: Vault) -> None:
    """Release a few copies held by mistake: most arrive, one recipient does not exist, one mailbox is full."""
    from store.delivery.queue import cancel, release
    from store.delivery.worker import DeliveryWorker

    harmless = [copy for copy in vault.newest(2000) if not copy.record.dangerous and copy.record.size < 300_000]

    def addressed(record: CopyRecord, address: str) -> bool:
        return address in record.envelope_recipients

    def first(count: int, wanted: Callable[[CopyRecord], bool]) -> Iterator[int]:
        return islice((copy.id for copy in harmless if wanted(copy.record)), count)

    several = first(1, lambda record: addressed(record, GONE) and len(record.envelope_recipients) > 1)
    full = first(1, lambda record: addressed(record, FULL))
    easy = first(4, lambda record: not addressed(record, GONE) and not addressed(record, FULL))
    chosen = list(dict.fromkeys([*several, *full, *easy]))
    if not chosen:
        return
    queued = release(vault, chosen, original=True, operator=_NIGHT_OPERATOR, hold=0).queued
    if len(queued) > 2:
        cancel(vault, queued[-1], operator=_NIGHT_OPERATOR)
    asyncio.run(DeliveryWorker(vault, owner="demo").run_until_idle(deadline=3))
