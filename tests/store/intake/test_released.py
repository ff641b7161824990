"""Released mail that comes back: our own fields found and limited, and a marker that is valid once, for one message."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.authority.settings import Settings
from store.database.connection import run
from store.delivery import leases
from store.delivery.access import StoreAccess
from store.delivery.marker import LIFE, digest_of, field_of, tag_of
from store.delivery.parcel import pack
from store.delivery.queue import release
from store.delivery.release_rows import Release, announce, rows_for
from store.enrolment.enrolled import beat
from store.enrolment.enrolment import enroll, open_with_credentials
from store.enrolment.revocation import revoke
from store.helpers.clock import now_ms
from store.intake.released import MOST_OWN, own_fields, passes, put_back
from store.mail.addresses import same
from store.mail.header_fields import header_of
from store.mail.incoming import Incoming
from store.mail.outcome import Outcome, State
from store.opening.opening import Unlock, open_store
from store.sealing.keys import LOCAL_ID
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE

NOW = now_ms()
LEASE = 60_000
SENDER, TO = "bounces@x.example", ("ann@corp.example", "bob@corp.example")
RECEIVED = b"Received: from mx1 by relay\r\n\tfor <x>; Mon, 1 Jan 2026 00:00:00 +0000\r\n"
RAW = (
    b'From: <a@x.example>\r\nSubject: one\r\nContent-Type: multipart/mixed; boundary="one two"\r\n\r\n'
    b"--one two\r\n\r\ntext\r\n--one two--\r\n"
)

_LINES = st.sampled_from(
    (b"X-Mailhold-Delivery: v=1", b"x-mailhold-verdict : a", b"X-MAILHOLD-: b", b"X-Mailhold-Delivery", b"Subject: x",
     b" X-Mailhold-Delivery: folded", b"\tX-Mailhold-Verdict: folded", b":X-Mailhold-A: c", b"AX-Mailhold-A: c",
     b"From x@example", b"", b"X-Mailhold-A B: d", b"X-Mailhold-A: \xff\0\rX-Mailhold-B: e")
)  # fmt: skip


@given(st.lists(st.tuples(_LINES, st.sampled_from((b"\r\n", b"\n", b"\r"))), max_size=12))
def test_they_are_those_that_the_header_cutter_finds(lines: list[tuple[bytes, bytes]]) -> None:
    raw = b"".join(line + end for line, end in lines)
    ours = [field for field in header_of(raw).fields() if field.name.startswith(b"x-mailhold-")]
    names = [field.name.decode() for field in ours]
    found = own_fields(raw)
    assert found.delete == tuple((name, names[: at + 1].count(name)) for at, name in enumerate(names))
    assert found.marker is None and bool(found.unmarked) is ("x-mailhold-delivery" in names)
    assert not found.too_many


def test_of_very_many_only_the_first_are_looked_at() -> None:
    line = b"X-Mailhold-Delivery: v=1\r\n"
    assert not own_fields(line * MOST_OWN).too_many
    found = own_fields(line * (MOST_OWN + 1))
    assert found.too_many and len(found.delete) == MOST_OWN


def test_a_marker_is_found_and_taken_off_with_all_fields_of_ours() -> None:
    raw = RECEIVED + field_of(bytes(16)) + b"X-Mailhold-Verdict: forged\r\nA: b\r\n\r\n"
    found = own_fields(raw)
    assert found.marker == (bytes(16), raw.index(b"X-Mailhold-Verdict")) and not found.unmarked
    assert found.delete == (("x-mailhold-delivery", 1), ("x-mailhold-verdict", 1))
    assert own_fields(RAW) == ((), None, "", False)


class Sent(NamedTuple):
    """A sent message: its bytes as a relay has them, and its recipients."""

    raw: bytes
    to: list[str]
    delivery: int


class Lab:
    """A store with the gateways mx1 and mx2, and the messages they send, without a network."""

    def __init__(self, vault: Vault, folder: Path) -> None:
        self.vault = vault
        for name in ("mx1", "mx2"):
            enroll(vault, name, folder / name)
        self.folder = folder
        self.gateways = {name: open_with_credentials(vault.location, folder / name) for name in ("mx1", "mx2")}

    def send(
        self,
        by: str = "mx1",
        *,
        raw: bytes = RAW,
        to: tuple[str, ...] = TO,
        sender: str = SENDER,
        now: int = NOW,
        ignored: frozenset[bytes] = frozenset(),
    ) -> Sent:
        """Release a copy, and announce it as a gateway does just before DATA."""
        gateway = self.gateways[by]
        copy_id = self.vault.put(raw, CopyRecord(envelope_sender=sender, envelope_recipients=to))
        beat(gateway)
        [queued] = release(self.vault, [copy_id], original=True, operator="op", again=True).queued
        beat(gateway, alive=False)
        with gateway.write():
            [claim] = leases.claim(gateway, StoreAccess(gateway).gateway_id, "w", 1, now_ms(), LEASE)
        parcel = pack(StoreAccess(gateway), claim, "mailhold@x.example", "mx1", now, ignored)
        rows = [parcel.rows[address] for address in parcel.rows]
        with gateway.write():
            leases.start_data(gateway, claim, rows, {}, now, LEASE, list(parcel.releases.values()))
            leases.settle(gateway, claim, dict.fromkeys(rows, Outcome(State.SENT, "250 Ok")), now_ms())
        return Sent(RECEIVED + parcel.message, list(parcel.rows), queued)

    def back(self, sent: Sent, **other: Any) -> str:
        """Return what a gateway's intake says when this message comes in."""
        raw, to = other.get("raw", sent.raw), other.get("to", sent.to)
        fields = own_fields(raw)
        if fields.marker is None:
            return fields.unmarked or "no field"
        incoming = Incoming(raw, other.get("sender", SENDER), list(to))
        vault, ignored = self.gateways[other.get("by", "mx2")], other.get("ignored", frozenset())
        return passes(vault, fields.marker, incoming, ignored=ignored, now=other.get("now", NOW)).why

    def rows(self) -> int:
        with self.vault.reading():
            [count] = run(self.vault.db, "SELECT COUNT(*) FROM release").fetchone()
        return int(count)

    def close(self) -> None:
        for each in self.gateways.values():
            each.close()


@pytest.fixture
def lab(any_vault: Vault, tmp_path: Path) -> Iterator[Lab]:
    change_settings(any_vault, Settings(relay="smtp://127.0.0.1:9"))
    made = Lab(any_vault, tmp_path)
    yield made
    made.close()


def test_what_was_sent_passes_once_for_each_recipient_whichever_gateway_sees_it(lab: Lab) -> None:
    sent = lab.send()
    assert lab.rows() == 2
    assert "these recipients" in lab.back(sent, to=("c@corp.example",))
    assert "these recipients" in lab.back(sent, to=(*TO, "c@corp.example"))
    assert "without recipients" in lab.back(sent, to=())
    assert lab.rows() == 2
    assert lab.back(sent, to=TO[:1], by="mx1") == ""
    assert "was already used" in lab.back(sent)
    assert "was already used" in lab.back(sent, to=TO[:1])
    assert lab.back(sent, to=[TO[1], TO[1].replace("corp", "CORP")]) == ""
    assert "was already used" in lab.back(sent, to=TO[1:])
    assert lab.rows() == 0


@pytest.mark.parametrize("swapped", [False, True])
def test_a_name_that_a_relay_completed_takes_no_other_recipient_s_place(
    lab: Lab, sql: Callable[..., Any], swapped: bool
) -> None:
    sent = lab.send(to=("ann@corp.example",))
    [row] = rows_of(lab, sent)
    marker, columns = own_fields(sent.raw).marker, "delivery_id, gateway_id, digest, expires_at, signature"
    assert marker is not None
    copied = f"INSERT INTO release (tag, {columns}) SELECT ?, {columns} FROM release"
    name = tag_of(marker.token, "ann")
    sql(lab.vault, copied, name)
    back = ["ann@mx1.example", "ann@corp.example", "ann@mx1.example", "ann"]
    with lab.vault.reading():
        found = rows_for(lab.vault, marker.token, back[::-1] if swapped else back)
    assert sorted(each.tag for each in found) == sorted([row.tag, name])


def test_a_sender_without_a_domain_may_come_back_with_one(lab: Lab) -> None:
    sent = lab.send(sender="root")
    assert "not exactly the one" in lab.back(sent, sender="other@mx1.example")
    assert lab.back(sent, sender="root@mx1.example") == ""


def test_a_field_that_the_settings_name_may_be_added_on_the_way(lab: Lab) -> None:
    names = frozenset((b"x-relay",))
    sent = lab.send(ignored=names)
    relayed = sent.raw.replace(b"From: <a@", b"X-Relay: 1\r\nFrom: <a@")
    assert "not exactly the one" in lab.back(sent, raw=relayed)
    assert "not exactly the one" in lab.back(sent, raw=relayed.replace(b"X-Relay", b"X-Other"), ignored=names)
    assert "malformed" in lab.back(sent, raw=relayed.replace(b"X-Relay:", b"X-Relay :"), ignored=names)
    assert lab.back(sent, raw=relayed, ignored=names) == ""


def test_what_could_not_be_sent_on_passes_again_to_whom_it_did_not_go(lab: Lab) -> None:
    sent = lab.send()
    marker = own_fields(sent.raw).marker
    assert marker is not None
    passed = passes(lab.gateways["mx1"], marker, Incoming(sent.raw, SENDER, list(TO)))
    assert len(passed.rows) == 2 and lab.rows() == 0
    put_back(lab.gateways["mx1"], marker, passed.rows, TO[1:])
    assert "was already used" in lab.back(sent, to=TO[:1])
    assert lab.back(sent, to=TO[1:]) == "" and lab.rows() == 0


def test_of_two_gateways_at_the_same_moment_one_lets_it_pass(lab: Lab) -> None:
    for _ in range(5):
        sent, both = lab.send(to=TO[:1]), threading.Barrier(2)

        def back(by: str, sent: Sent = sent, both: threading.Barrier = both) -> str:
            both.wait(30)
            return lab.back(sent, by=by)

        with ThreadPoolExecutor(2) as pool:
            assert sorted(map(bool, pool.map(back, ("mx1", "mx2")))) == [False, True]


def test_an_operators_console_sends_and_a_gateway_knows_it(lab: Lab) -> None:
    lab.gateways["local"] = open_store(lab.vault.location, Unlock.passphrase(PASSPHRASE))
    copy_id = lab.vault.put(RAW, CopyRecord(envelope_sender=SENDER, envelope_recipients=TO))
    release(lab.vault, [copy_id], original=True, operator="op")
    local = lab.gateways["local"]
    with local.write():
        [claim] = leases.claim(local, LOCAL_ID, "w", 1, now_ms(), LEASE)
    parcel = pack(StoreAccess(local), claim, "mailhold@x.example", "mx1", NOW, frozenset())
    with local.write():
        leases.start_data(local, claim, claim.live, {}, NOW, LEASE, list(parcel.releases.values()))
    assert lab.back(Sent(parcel.message, list(TO), claim.id)) == ""


def test_a_released_message_does_not_vouch_for_another(lab: Lab) -> None:
    """The forger has what a recipient got: its marker above another sender, subject, boundary or body."""
    sent = lab.send()
    for old, new in (
        (b"From: <a@x.example>", b"From: <ceo@corp.example>"),
        (b"Subject: one", b"Subject: won"),
        (b'"one two"', b'"onetwo"'),
        (b"--one two\r\n", b"--one\rtwo\r\n"),
        (b"--one two\r\n", b"--one two \r\n"),
        (b"Content-Type", b"Content-Type "),
        (b"text", b"TEXT"),
        (b"--one two--\r\n", b"--one two--\r\n\r\n"),
    ):
        changed = sent.raw.replace(old, new, 1)
        assert changed != sent.raw
        assert "not exactly the one" in lab.back(sent, raw=changed), new
    assert "not exactly the one" in lab.back(sent, sender="offers@spam.example")
    assert "Received" in lab.back(sent, raw=b"Subject: above\r\n" + sent.raw)
    assert lab.rows() == 2 and lab.back(sent) == ""


def test_a_revoked_gateway_vouches_for_nothing(lab: Lab, sql: Callable[..., Any]) -> None:
    sent = lab.send()
    columns = "tag, delivery_id, gateway_id, digest, expires_at, signature"
    rows = [tuple(map(_plain, row)) for row in sql(lab.vault, f"SELECT {columns} FROM release")]
    kept = lab.send("mx2")
    revoke(lab.vault, "mx1")
    assert lab.rows() == 2  # those of the other gateway
    assert "these recipients" in lab.back(sent)
    for row in rows:
        sql(lab.vault, f"INSERT INTO release ({columns}) VALUES (?, ?, ?, ?, ?, ?)", *row)
    assert "signature" in lab.back(sent)
    assert lab.back(kept) == ""


def test_who_writes_the_database_vouches_for_nothing(lab: Lab, sql: Callable[..., Any]) -> None:
    """Each change of a row by a database writer without a gateway's key, one at a time."""
    sent, other = lab.send(to=TO[:1]), lab.send("mx2", to=("eve@corp.example",))
    token = own_fields(sent.raw).marker
    assert token is not None
    forged = sent.raw.replace(b"text", b"TEXT")
    digest = digest_of(token.token, same(SENDER), forged, token.below)
    [(tag, signature)] = sql(lab.vault, "SELECT tag, signature FROM release WHERE delivery_id = ?", sent.delivery)
    [(theirs,)] = sql(lab.vault, "SELECT signature FROM release WHERE delivery_id = ?", other.delivery)
    for column, value, raw, why in (
        ("digest", digest, forged, "signature"),
        ("digest", b"", sent.raw, "not exactly the one"),
        ("gateway_id", 2**40, sent.raw, "another gateway"),
        ("delivery_id", other.delivery, sent.raw, "another gateway"),
        ("delivery_id", 99, sent.raw, "does not exist"),
        ("gateway_id", 3, sent.raw, "another gateway"),
        ("expires_at", NOW + 2 * LIFE, sent.raw, "signature"),
        ("signature", theirs, sent.raw, "only gateway 2"),
        ("signature", b"", sent.raw, "signature"),
        ("signature", _plain(signature)[:-1] + bytes([_plain(signature)[-1] ^ 1]), sent.raw, "signature"),
    ):
        [(before,)] = sql(lab.vault, f"SELECT {column} FROM release WHERE tag = ?", tag)
        sql(lab.vault, f"UPDATE release SET {column} = ? WHERE tag = ?", value, tag)
        assert why in lab.back(sent, raw=raw), column
        sql(lab.vault, f"UPDATE release SET {column} = ? WHERE tag = ?", before, tag)
    new = tag_of(token.token, "eve@corp.example")
    sql(
        lab.vault,
        "INSERT INTO release (tag, delivery_id, gateway_id, digest, expires_at, signature) "
        "SELECT ?, delivery_id, gateway_id, digest, expires_at, signature FROM release WHERE tag = ?",
        new,
        tag,
    )
    assert "signature" in lab.back(sent, to=("eve@corp.example",))
    assert lab.back(sent) == ""


def test_each_of_the_rows_must_be_of_the_message(lab: Lab, sql: Callable[..., Any]) -> None:
    sent = lab.send()
    [one, other] = rows_of(lab, sent)
    sql(lab.vault, "UPDATE release SET digest = ? WHERE tag = ?", bytes(32), other.tag)
    assert "not exactly the one" in lab.back(sent) and "not exactly the one" in lab.back(sent, to=TO[::-1])
    sql(lab.vault, "UPDATE release SET digest = ? WHERE tag = ?", one.digest, other.tag)
    assert lab.back(sent) == ""


def test_a_delivery_that_is_not_in_force_vouches_for_nothing(lab: Lab, sql: Callable[..., Any]) -> None:
    sent = lab.send()
    [(state, order)] = sql(lab.vault, "SELECT state, order_signature FROM delivery WHERE id = ?", sent.delivery)
    for column, value, before, why in (
        ("state", "cancelled", state, "cancelled"),
        ("order_signature", bytes(64), order, "order"),
        ("copy_id", 99, 1, "order"),
        ("gateway_id", 3, 2, "another gateway"),
    ):
        sql(lab.vault, f"UPDATE delivery SET {column} = ? WHERE id = ?", value, sent.delivery)
        assert why in lab.back(sent)
        sql(lab.vault, f"UPDATE delivery SET {column} = ? WHERE id = ?", before, sent.delivery)
    assert lab.back(sent) == ""


def test_a_marker_expires_and_its_rows_go(lab: Lab) -> None:
    old = lab.send()
    assert lab.back(old, now=NOW + LIFE + 1) == "it has expired"
    assert lab.rows() == 2
    lab.send(now=NOW + LIFE + 1)
    assert lab.rows() == 2
    late = lab.send(to=TO[:1], now=NOW + 3 * LIFE)
    lab.send(now=NOW + LIFE)
    assert lab.back(late, now=NOW + 4 * LIFE) == ""
    assert lab.rows() == 0


def test_a_marker_is_good_for_a_day(lab: Lab) -> None:
    sent = lab.send()
    day = 86_400_000
    assert {row.expires_at for row in rows_of(lab, sent)} == {NOW + day}
    assert lab.back(sent, to=TO[:1], now=NOW + day + 1) == "it has expired"
    for address in TO:
        assert lab.back(sent, to=(address,), now=NOW + day) == "", "nor does the other's row go before that"


def test_an_attempt_over_another_connection_announces_the_same_marker_again(lab: Lab) -> None:
    sent = lab.send()
    rows = list(rows_of(lab, sent))
    with lab.gateways["mx1"].write():
        announce(lab.gateways["mx1"], rows, NOW)
    assert lab.rows() == 2 and lab.back(sent) == ""


def rows_of(lab: Lab, sent: Sent) -> list[Release]:
    """Read the rows of the sent message from the store."""
    marker = own_fields(sent.raw).marker
    assert marker is not None
    with lab.vault.reading():
        return rows_for(lab.vault, marker.token, sent.to)


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value
