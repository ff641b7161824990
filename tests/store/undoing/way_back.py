"""Actions and observations for the model of undo (`test_way_back_model`), and processes that die in the middle.

An act is a tuple: action, operator, objects. `perform` does it, in this process or in one that kills itself before a
statement. Those are forked by a process that was forked before any store was open, since SQLite does not survive a
fork.
"""

from __future__ import annotations

import json
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from store.authority.deleting import bring_back, delete_copies, empty_bin
from store.authority.settings import read_settings
from store.database.connection import run
from store.database.orm import SqliteDatabase
from store.delivery.outbox import call_back
from store.delivery.queue import release
from store.enrolment.enrolment import open_with_credentials
from store.filters.saved import read_saved_filters, remove_filter, save_filter
from store.judging.rules.address_lists import added, change_lists, read_lists, removed
from store.opening.opening import Unlock, open_store
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.undoing.undoing import carry_out, next_plan
from store.vault.vault import Vault

PASSPHRASE = "model"
FILTER = "Mine"
MESSAGE = b"Subject: x\r\n\r\ny\r\n"
RECORD = CopyRecord(subject="x", envelope_sender="s@x.example", envelope_recipients=("a@x.example",))
AT = 1_790_000_000_000

#: Action, operator, objects.
Act = tuple[str, str, Any]


class Seen(NamedTuple):
    """The content of a store: Backup, the bin with its acts, buried ids (as often as buried), and the queue."""

    copies: list[int]
    binned: dict[int, int]
    buried: list[int]
    queue: dict[int, tuple[int, str]]
    black: frozenset[str]
    administrator: str
    line: str | None


def seen(vault: Vault) -> Seen:
    """Return what an operator's vault shows."""
    with vault.reading():
        queue = run(vault.db, "SELECT id, copy_id, state FROM delivery").fetchall()
    filters = {each.name: each.line for each in read_saved_filters(vault)}
    return Seen(
        vault.ids(),
        {copy_id: each.act for each in vault.bin.acts() for copy_id in vault.bin.ids(each.act)},
        sorted(vault.tombstones_since(0)[1]),
        {each: (copy_id, state) for each, copy_id, state in queue},
        frozenset(read_lists(vault).black),
        read_settings(vault).administrator,
        filters.get(FILTER),
    )


def perform(vault: Vault, act: Act) -> Any:
    """Do an act; return its result."""
    what, operator, how = act
    match what:
        case "put":
            return vault.put_many([(MESSAGE, RECORD, AT)] * how)
        case "delete":
            return delete_copies(vault, how, operator=operator)
        case "bring back":
            return bring_back(vault, how, operator=operator)
        case "empty":
            return empty_bin(vault, how, operator=operator)
        case "release":
            return release(vault, how, original=True, operator=operator)
        case "call back":
            return call_back(vault, how, operator)
        case "block":
            return change_lists(vault, lambda lists: added(lists, "black", [how]), operator)
        case "unblock":
            return change_lists(vault, lambda lists: removed(lists, "black", [how]), operator)
        case "administrator":
            changed = msgspec.structs.replace(read_settings(vault), administrator=how)
            return change_settings(vault, changed, operator=operator)
        case "filter":
            if how is None:
                return remove_filter(vault, FILTER, operator=operator)
            return save_filter(vault, FILTER, how, operator=operator)
        case _:
            plan = next_plan(vault, operator, again=what == "redo")
            return plan and carry_out(vault, plan, operator=operator)


def opened(location: str, credentials: Path | None = None) -> Vault:
    """Open the store as an operator's console or with a gateway's credentials."""
    if credentials is not None:
        return open_with_credentials(location, credentials)
    return open_store(location, Unlock.passphrase(PASSPHRASE))


class Mortal:
    """Starts processes that do an act and die before a statement of it that changes anything."""

    def __init__(self, asks: int, answers: int) -> None:
        self._asks, self._answers = asks, answers

    def perform(self, location: str, credentials: Path | None, act: Act, statements: int) -> bool:
        """Return True if the process died. Raises AssertionError if it failed."""
        words = json.dumps([location, str(credentials) if credentials else None, act, statements])
        os.write(self._asks, words.encode() + b"\n")
        answer = os.read(self._answers, 4)
        assert answer in (b"dead", b"done"), "it failed, as is said on standard error"
        return answer == b"dead"


@contextmanager
def mortal() -> Iterator[Mortal]:
    """Start the forking process; enter this while this process has no store open."""
    asked, asks = os.pipe()
    answers, answer = os.pipe()
    parent = os.fork()
    if parent == 0:
        os.close(asks)
        try:
            for line in os.fdopen(asked, "rb"):
                os.write(answer, _die(*json.loads(line)))
        finally:
            os._exit(0)
    os.close(asked)
    os.close(answer)
    try:
        yield Mortal(asks, answers)
    finally:
        os.close(asks)
        os.close(answers)
        os.waitpid(parent, 0)


def _die(location: str, credentials: str | None, act: list[Any], statements: int) -> bytes:
    child = os.fork()
    if child:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return {0: b"done", -signal.SIGKILL: b"dead"}.get(code, b"fail")
    try:
        signal.alarm(60)
        with closing(opened(location, Path(credentials) if credentials else None)) as vault:
            kill_before(vault, statements)
            perform(vault, tuple(act))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def kill_before(vault: Vault, number: int) -> None:
    """Kill this process before the statement `number` that changes anything, counted from now."""
    left = [number]

    def before(text: str) -> None:
        left[0] -= not text.lstrip().startswith("SELECT")
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if isinstance(vault.db, SqliteDatabase):
        vault.db.connection().set_trace_callback(before)
        return
    import psycopg

    def counting(real: Callable[..., Any], words: str = "") -> Callable[..., Any]:
        def counted(self: Any, *arguments: Any, **options: Any) -> Any:
            before(words or str(arguments[0]))
            return real(self, *arguments, **options)

        return counted

    psycopg.Cursor.execute = counting(psycopg.Cursor.execute)  # type: ignore[method-assign]
    psycopg.Cursor.executemany = counting(psycopg.Cursor.executemany)  # type: ignore[method-assign]
    psycopg.Connection.commit = counting(psycopg.Connection.commit, "COMMIT")  # type: ignore[method-assign]
