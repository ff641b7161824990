"""The keys a gateway holds and the orders it obeys: no key of an earlier message, no change by a database writer."""

from __future__ import annotations

import os
import re
import smtplib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from store.delivery.queue import delivery_of, release
from store.judging.rules.rules import DEFAULT_RULE, Rule, write_rules
from store.mail.outcome import State
from store.sealing.epochs import EPOCH_STEPS
from tests.integration import clamd as virus
from tests.integration import rspamd as spam
from tests.integration.clamd import ClamdServer, clamd
from tests.integration.lab import BLACK, Lab, send_on, wait, why_not
from tests.integration.postfix import DOMAIN
from tests.integration.process_memory import children_of, keys_in, memory_of
from tests.integration.rspamd import RspamdServer, rspamd
from tests.plaintext import written_below

__all__ = ["clamd", "rspamd"]
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("gateway-secrets")]

MESSAGES = EPOCH_STEPS + 100
RELEASED, CLIENTS = 5, 4


@pytest.fixture
def lab(clamd: ClamdServer, rspamd: RspamdServer) -> Iterator[Lab]:
    if reason := why_not() or virus.why_not() or spam.why_not():
        pytest.skip(reason)
    made = Lab(clamd=clamd.unix, rspamd=rspamd.unix)
    yield made
    made.close()


def message(number: int) -> tuple[bytes, bytes]:
    """Make a message with a unique word in its text that no encoding hides."""
    word = f"w{number:05}{os.urandom(8).hex()}".encode()
    lines = (b"%s and its text that goes on for a line\r\n" % word) * 40
    return word, b"From: ann@example.org\r\nSubject: number %d\r\nX-Number: %d\r\n\r\n%s" % (number, number, lines)


def words_among(words: Iterable[bytes], pieces: Iterable[bytes]) -> set[bytes]:
    """Return which of the messages' words are in `pieces`. No two can overlap: each has one "w", at its beginning."""
    return {word for piece in pieces for word in re.findall(rb"w\d{5}[0-9a-f]{16}", piece)}.intersection(words)


def keys_of(lab: Lab) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return the keys of every message but the newest, each chain that they follow from, and the current chain.

    An operator derives them from the store. The newest message's keys stay in memory until the next message overwrites
    them.
    """
    vault = lab.vault
    rows = vault.rows(0, 10_000)
    earlier: dict[str, bytes] = {}
    for copy_id, epoch_id, step, *_ in rows[:-1]:
        chains = vault.epoch_reader.chains(epoch_id)
        record_key, body_key = chains.keys(step)
        earlier[f"record key of {copy_id}"], earlier[f"body key of {copy_id}"] = record_key, body_key
        earlier[f"chain after {copy_id}"] = chains._chain
    newest = vault.epoch_reader.chains(rows[-1][1])
    newest.keys(rows[-1][2])
    return earlier, {"chain in use": newest._chain}


def send_all(lab: Lab, first: int, count: int) -> list[bytes]:
    """Send messages that are kept, over a few connections; return the word of each."""

    def send_some(numbers: range) -> list[bytes]:
        words = []
        with smtplib.SMTP("127.0.0.1", lab.postfix.port, local_hostname="client.test", timeout=60) as client:
            client.ehlo()
            for number in numbers:
                word, raw = message(number)
                reply = send_on(client, raw, BLACK, (f"u{number}@{DOMAIN}",))
                assert reply.code == 250, reply
                words.append(word)
        return words

    with ThreadPoolExecutor(CLIENTS) as pool:
        shares = [range(first + client, first + count, CLIENTS) for client in range(CLIENTS)]
        return [word for words in pool.map(send_some, shares) for word in words]


@pytest.mark.timeout(900)
def test_no_key_of_an_earlier_message(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """Searched in its memory, its children's memory and every file, after an epoch ended and with releases."""
    words = send_all(lab, 0, MESSAGES)
    ids = lab.vault.ids()
    assert len(ids) == MESSAGES
    queued = release(lab.vault, ids[:RELEASED], original=True, operator="test").queued
    assert wait(
        lambda: [delivery_of(lab.vault, each).state for each in queued],
        lambda states: set(states) == {State.SENT},
        30,
    )
    words += send_all(lab, MESSAGES, 5)
    earlier, used = keys_of(lab)
    assert len(earlier) == 3 * (MESSAGES + 4)

    pieces = []
    for pid in children_of(lab.gateway.pid):
        pieces += list(memory_of(pid))
    found, searched = keys_in(pieces, earlier | used)
    control = found & set(used)
    found -= control
    texts = len(words_among(words, pieces))
    files = written_below(lab.folder)
    on_disk, written = keys_in(
        (path.read_bytes() for path in files if path != lab.key_file),
        earlier | used,
    )
    readable = [path for path in files if words_among(words, [path.read_bytes()])]
    with capsys.disabled():
        print(
            f"\nafter {len(words)} messages, {RELEASED} of them released: {len(found)} of {len(earlier)} keys of "
            f"earlier messages in {searched:,} bytes of memory, {len(on_disk)} in {written:,} bytes of {len(files)} "
            f"files; the text of {texts} of {len(words)} messages remains in memory, that of none may on disk"
        )
    assert control == set(used), "the search does not find what must be there"
    assert found == set(), sorted(found)[:10]
    assert on_disk == set()
    assert readable == []


def sql(lab: Lab, text: str, *values: object) -> list[tuple[object, ...]]:
    """Run SQL on the store as a writer of the database."""
    with lab.vault.write():
        cursor = lab.vault.db.execute_sql(text, values)
        return list(cursor.fetchall()) if cursor.description else []


def flipped(blob: object) -> bytes:
    """Return `blob` with one bit in the middle flipped."""
    assert isinstance(blob, bytes)
    at = len(blob) // 2
    return blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]


def kept(lab: Lab, sender: str = BLACK) -> int:
    """Send a message; return how many copies it added."""
    before = len(lab.vault.ids())
    assert lab.send(message(0)[1], sender=sender).code in (250, 451)
    return len(lab.vault.ids()) - before


@pytest.mark.parametrize("name", ["rules", "settings", "address-lists"])
@pytest.mark.parametrize("way", ["changed", "put back", "removed", "another's"])
def test_configuration_that_a_database_writer_changed(changing: Lab, name: str, way: str) -> None:
    """A rule, a setting, a list: the gateway logs that it refuses the change, and uses the last good version."""
    lab = changing
    columns = "id, name, version, changed_at, sealed, signature"
    present = sql(lab, f"SELECT {columns} FROM configuration WHERE name = ? ORDER BY id", name)
    newest = present[-1][0]
    mark = len(lab.gateway.log())
    if way == "changed":
        sql(lab, "UPDATE configuration SET sealed = ? WHERE id = ?", flipped(present[-1][4]), newest)
    elif way == "put back":
        older = lab.older[name]
        put_back = "UPDATE configuration SET version=?, changed_at=?, sealed=?, signature=? WHERE id=?"
        sql(lab, "DELETE FROM configuration WHERE name = ? AND id <> ?", name, newest)
        sql(lab, put_back, *older, newest)
    elif way == "removed":
        sql(lab, "DELETE FROM configuration WHERE name = ?", name)
    else:
        other = "settings" if name != "settings" else "rules"
        [row, *_] = sql(lab, "SELECT sealed, signature FROM configuration WHERE name = ? ORDER BY id DESC", other)
        sql(lab, "UPDATE configuration SET sealed = ?, signature = ? WHERE id = ?", *row, newest)
    try:
        lab.gateway.wait_for_log(f'"configuration refused".*"{name}"', after=mark)
        assert kept(lab) == 1
        assert kept(lab, f"newly-black@{DOMAIN}") == 1
        assert lab.vault.newest(1)[0].record.rule_name == "Renamed"
    finally:
        sql(lab, "DELETE FROM configuration WHERE name = ?", name)
        for row in present:
            sql(lab, f"INSERT INTO configuration ({columns}) VALUES (?, ?, ?, ?, ?, ?)", *row)
        lab.gateway.wait_for_log(f'"configuration verifies again".*"{name}"', after=mark)


@pytest.fixture(scope="module")
def changing() -> Iterator[Lab]:
    """Make a lab whose configuration was changed once by its operator, so that an older version can be put back."""
    from store.judging.rules.address_lists import AddressLists, write_lists

    if reason := why_not():
        pytest.skip(reason)
    lab = Lab(rules=(Rule(id=DEFAULT_RULE.id, name=DEFAULT_RULE.name),))
    columns = "name, version, changed_at, sealed, signature"
    rows = sql(lab, f"SELECT {columns} FROM configuration")
    lab.older = {row[0]: row[1:] for row in rows}
    mark = len(lab.gateway.log())
    lab.set(notify_below=1_000_000)
    write_rules(lab.vault, (Rule(id=DEFAULT_RULE.id, name="Renamed"),), "test")
    write_lists(lab.vault, AddressLists(black=(BLACK, f"newly-black@{DOMAIN}")), "test")
    for name in ("rules", "address-lists"):
        lab.gateway.wait_for_log(f'"configuration taken up".*"{name}"', after=mark)
    yield lab
    lab.close()


def test_an_enrolment_that_a_database_writer_changed(changing: Lab) -> None:
    """Other keys, another name, no row: no copy is placed in such a database, and the log says why."""
    lab = changing
    columns = "id, name, signing_key, delivery_key, enrolled_at, signature, alive_at"
    [row] = sql(lab, f"SELECT {columns} FROM gateway WHERE id = ?", lab.gateway_id)
    lab.set(if_unavailable="temporary-fail")
    for change in ("signing_key", "delivery_key", "name", ""):
        mark = len(lab.gateway.log())
        if change:
            value = "mx2.gw.test" if change == "name" else flipped(row[2 if change == "signing_key" else 3])
            sql(lab, f"UPDATE gateway SET {change} = ? WHERE id = ?", value, lab.gateway_id)
        else:
            sql(lab, "DELETE FROM gateway WHERE id = ?", lab.gateway_id)
        try:
            lab.gateway.wait_for_log('"configuration refused".*enrolment', after=mark)
            assert kept(lab) == 0
        finally:
            sql(lab, "DELETE FROM gateway WHERE id = ?", lab.gateway_id)
            sql(lab, f"INSERT INTO gateway ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", *row)
            lab.gateway.wait_for_log('"configuration verifies again".*enrolment', after=mark)
        assert wait(lambda: kept(lab), bool, 10)


def test_a_key_that_a_database_writer_changed(changing: Lab) -> None:
    """The key that copies are sealed to, and the signing key: no copy is placed in such a database."""
    lab = changing
    [(read_key, authority)] = sql(lab, "SELECT read_key, authority_key FROM store")
    for column, present in (("read_key", read_key), ("authority_key", authority)):
        mark = len(lab.gateway.log())
        sql(lab, f"UPDATE store SET {column} = ?", flipped(present))
        try:
            lab.gateway.wait_for_log('"configuration refused".*enrolment', after=mark)
            assert kept(lab) == 0
        finally:
            sql(lab, f"UPDATE store SET {column} = ?", present)
            lab.gateway.wait_for_log('"configuration verifies again".*enrolment', after=mark)


@pytest.mark.parametrize("column", ["order_blob", "order_signature", "sealed_body_key", "copy_id", "expires_at"])
def test_an_order_that_a_database_writer_changed(changing: Lab, column: str) -> None:
    """No recipient is sent anything, and the log names the delivery."""
    lab = changing
    lab.set(if_unavailable="process")
    while kept(lab, BLACK) == 0 or len(lab.vault.ids()) < 2:
        pass
    first, second = lab.vault.ids()[:2]
    # In one transaction, so that the gateway never sees the original order.
    with lab.vault.write():
        [delivery_id] = release(lab.vault, [first], original=True, operator="test").queued
        table = lab.vault.models.Delivery
        row = table.get_by_id(delivery_id)
        value = {"copy_id": second, "expires_at": row.expires_at + 1}.get(column)
        sql_value = flipped(bytes(getattr(row, column))) if value is None else value
        table.update({column: sql_value}).where(table.id == delivery_id).execute()
    before = len(lab.mailbox())
    lab.gateway.wait_for_log(f'"delivery refused".*"delivery":{delivery_id}\\b', timeout=20)
    state = wait(lambda: table.get_by_id(delivery_id).state, lambda s: s not in ("queued", "sending"), 20)
    assert state == State.FAILED
    assert len(lab.mailbox()) == before


def test_an_order_that_a_database_writer_made(changing: Lab) -> None:
    """An old order, made due again: the gateway's machine remembers sending it, and its key is gone."""
    lab = changing
    ids = lab.vault.ids() or [kept(lab)]
    [delivery_id] = release(lab.vault, [ids[0]], original=True, operator="test").queued
    assert wait(lambda: delivery_of(lab.vault, delivery_id).state, lambda s: s is State.SENT, 20) is State.SENT
    before = len(lab.mailbox())
    table = lab.vault.models.Delivery
    people = lab.vault.models.DeliveryRecipient
    with lab.vault.write():
        table.update(
            state=State.QUEUED, finished_at=None, next_attempt_at=0, lease_until=0, data_started_at=None
        ).where(table.id == delivery_id).execute()
        people.update(state=State.QUEUED).where(people.delivery_id == delivery_id).execute()
    lab.gateway.wait_for_log(f'"delivery refused".*"delivery":{delivery_id}\\b', timeout=20)
    state = wait(lambda: table.get_by_id(delivery_id).state, lambda s: s not in ("queued", "sending"), 20)
    assert state == State.UNKNOWN
    assert len(lab.mailbox()) == before
