"""A process killed in the middle of an act of the bin, and a full disk: nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from store.authority.acts import folded
from store.authority.audit import events
from store.authority.deleting import bring_back, delete_copies, last_act
from store.check import check
from store.database.connection import DiskFull
from store.helpers.clock import now_ms
from store.opening.opening import create_store
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests import small_disk
from tests.conftest import PASSPHRASE

#: Deletes all copies into the bin, or brings them back; prints its progress, and waits there to be killed.
_CHILD = """
import sys
from store.authority.deleting import bring_back, delete_copies
from store.opening.opening import Unlock, open_store
location, passphrase, what, at = sys.argv[1:5]
vault = open_store(location, Unlock.passphrase(passphrase))
work, ids = (delete_copies, vault.ids()) if what == "in" else (bring_back, vault.bin.ids())
def progress(done, of):
    if done >= int(at):
        print(done, flush=True)
        sys.stdin.read()
work(vault, ids, operator="anna", progress=progress)
"""


def fill(vault: Vault, count: int) -> list[int]:
    return vault.put_many((b"x%d" % number, CopyRecord(), None) for number in range(count))


def killed(location: str, what: str, at: int) -> int:
    """Kill a process once it has moved at least `at` copies; return how many it moved."""
    command = [sys.executable, "-c", _CHILD, location, PASSPHRASE, what, str(at)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    done = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    child.communicate()
    return done


@pytest.mark.parametrize("at", [1, 700])
def test_a_process_that_is_killed_leaves_a_part(any_store: str, open_again: Callable[[], Vault], at: int) -> None:
    vault = open_again()
    ids = fill(vault, 2000)
    done = killed(any_store, "in", at)
    assert at <= done < 2000
    assert vault.bin.ids() == ids[:done] and vault.ids() == ids[done:]
    assert check(vault).broken == []
    act = last_act(vault, "anna")
    assert act is not None and (act.copies, act.left) == (done, done)
    [event] = folded([each for each in events(vault) if each.action == "delete into the bin"], now_ms() + 120_000)
    assert event.detail.startswith(f"interrupted after {done:,} of 2,000")
    back = killed(any_store, "out", 1)
    assert vault.bin.ids() == ids[back:done] and check(vault).broken == []
    assert bring_back(vault, vault.bin.ids(act.act), operator="anna").restored == ids[back:done]
    assert vault.ids() == ids and check(vault).broken == []


def test_where_the_disk_is_full_what_does_not_fit_into_the_bin_stays(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(vault, 60)
    delete_copies(vault, ids[:10], operator="anna")
    put, calls = vault.bin._put_batch, []

    def full(*args: object) -> bytes:
        calls.append(args)
        raise DiskFull("full")

    monkeypatch.setattr(vault.bin, "_put_batch", full)
    monkeypatch.setattr(vault.room, "make", lambda **_options: False)
    result = delete_copies(vault, ids[20:30], operator="anna")
    assert (result.binned, result.deleted, result.no_room) == ([], [], ids[20:30]) and len(calls) == 1
    assert result.refused == [(copy_id, "the disk is full: the bin has no room") for copy_id in ids[20:30]]
    assert vault.bin.ids() == ids[:10] and vault.ids() == ids[10:]
    monkeypatch.setattr(vault.bin, "_put_batch", put)
    assert delete_copies(vault, ids[40:], operator="anna").binned == ids[40:]
    assert vault.bin.ids() == [*ids[:10], *ids[40:]] and check(vault).broken == []


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    with small_disk.small_disk(12) as disk:
        vault, _ = create_store(str(disk / "mail.store"), passphrase=PASSPHRASE)
        ids = vault.put_many((os.urandom(60_000), CopyRecord(), None) for _ in range(60))
        delete_copies(vault, ids[:20], operator="anna")
        small_disk.fill(disk)
        result = delete_copies(vault, ids[20:50], operator="anna")
        assert result.deleted == [] and sorted([*result.binned, *result.no_room]) == ids[20:50]
        assert sorted([*vault.ids(), *vault.bin.ids()]) == ids
        vault.close()
