"""Released mail that comes back through a real Postfix: by port, content filter, to another gateway; and forged mail.

One Postfix has a port without a gateway, one port with each gateway's milter, and one port behind whose queue the first
gateway filters. All mail has a black-listed sender: without a valid marker it is kept and discarded.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.authority.settings import Settings, read_settings
from store.database.connection import run
from store.delivery import leases
from store.delivery.access import StoreAccess
from store.delivery.marker import field_of
from store.delivery.parcel import pack
from store.delivery.queue import delivery_of, release
from store.enrolment.enrolled import beat
from store.enrolment.enrolment import enroll, open_with_credentials
from store.enrolment.revocation import revoke
from store.helpers.clock import now_ms
from store.judging.rules.address_lists import AddressLists, write_lists
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.integration.gateway_process import GatewayProcess
from tests.integration.postfix import DOMAIN, Postfix, free_port, why_not
from tests.integration.test_milter_postfix import send as send_to

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("postfix-markers")]

SPAMMER = "offers@spam.example"
TO = (f"ann@{DOMAIN}", f"bob@{DOMAIN}")
WAYS = ("milter", "other", "filter")
MESSAGE = (
    b'From: <offers@spam.example>\r\nSubject: wanted\r\nContent-Type: multipart/mixed; boundary="one two"\r\n\r\n'
    b"--one two\r\n\r\nwanted after all \xff\r\n--one two--\r\n"
)
#: If set, release the entire corpus, not every tenth message.
WHOLE = "MAILHOLD_WHOLE_CORPUS" in os.environ


class Lab:
    """Two gateways on one store, the first of which delivers, and a Postfix with a port for each route."""

    def __init__(self) -> None:
        sink = free_port()
        self.ports = {way: free_port() for way in WAYS}
        plain = free_port()
        self.first = GatewayProcess(
            f'[[sink]]\nlisten = "127.0.0.1:{sink}"\nprotocol = "smtp"\nnext_hop = "smtp://127.0.0.1:{plain}"\n'
        )
        self.second = GatewayProcess("[delivery]\nenabled = false\n", beside=self.first)
        self.gateways = {"milter": self.first, "other": self.second, "filter": self.first}
        self.vault = self.first.vault()
        write_lists(self.vault, AddressLists(black=("spam.example",)))
        for each in (self.first, self.second):
            each.start()
        self.postfix = Postfix(services=self._services(plain, sink))
        self.ports["none"] = self.postfix.port
        self.use("none")

    def _services(self, plain: int, sink: int) -> str:
        milter = "127.0.0.1:{} inet n - n - - smtpd\n  -o smtpd_milters=unix:{}\n  -o milter_default_action=tempfail\n"
        return (
            milter.format(self.ports["milter"], self.first.socket)
            + milter.format(self.ports["other"], self.second.socket)
            + f"127.0.0.1:{plain} inet n - n - - smtpd\n"
            f"127.0.0.1:{self.ports['filter']} inet n - n - - smtpd\n"
            f"  -o content_filter=backupfilter:[127.0.0.1]:{sink}\n"
            "backupfilter unix - - n - 4 smtp\n"
            "  -o smtp_send_xforward_command=yes\n"
            "  -o disable_mime_output_conversion=yes\n"
            "  -o smtp_generic_maps=\n"
            "  -o smtp_line_length_limit=0"
        )

    def use(self, way: str, *, loops: bool = True) -> None:
        """Make a route's port the relay; wait until the gateways have read it."""
        relay = f"smtp://127.0.0.1:{self.ports[way]}"
        wanted = Settings(relay=relay, administrator=f"admin@{DOMAIN}", release_loops=loops)
        if wanted == read_settings(self.vault):
            return
        before = {gateway: len(gateway.log("configuration taken up")) for gateway in (self.first, self.second)}
        change_settings(self.vault, wanted)
        for gateway, count in before.items():
            gateway.wait_for(lambda g=gateway, c=count: len(g.log("configuration taken up")) > c)

    def release(self, raw: bytes = MESSAGE, to: tuple[str, ...] = TO, sender: str = SPAMMER) -> int:
        copy_id = self.vault.put(raw, CopyRecord(envelope_sender=sender, envelope_recipients=to))
        [queued] = release(self.vault, [copy_id], original=True, operator="olga").queued
        self.first.wait_for(lambda: delivery_of(self.vault, queued).state == "sent")
        return queued

    def send(self, raw: bytes, way: str = "milter", *, sender: str = SPAMMER, to: tuple[str, ...] = TO) -> bool:
        """Send a message to a route's port; return True if it passed, False if it was kept."""
        gateway, copies = self.gateways[way], self.vault.count().messages
        seen = len(gateway.log("message"))
        port, self.postfix.port = self.postfix.port, self.ports[way]
        try:
            assert send_to(self.postfix, raw, sender=sender, to=to)[0] == 250
        finally:
            self.postfix.port = port
        gateway.wait_for(lambda: len(gateway.log("message")) > seen)
        passed = gateway.log("message")[-1]["outcome"] == "released"
        assert self.vault.count().messages == copies + (not passed)
        return bool(passed)

    def delivered(self) -> bytes:
        """Return a released message as received behind all gateways: the marker and the message below it."""
        before = len(self.postfix.received())
        self.release()
        arrived = self.postfix.wait_for(before + 2)[-1].replace(b"\n", b"\r\n")
        return arrived[arrived.index(b"X-Mailhold-Delivery: 2; t=") :]

    def close(self) -> None:
        self.vault.close()
        self.postfix.stop()
        self.second.close()
        self.first.close()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    if reason := why_not():
        pytest.skip(reason)
    running = Lab()
    yield running
    running.close()


@pytest.mark.parametrize("way", WAYS)
def test_what_is_released_comes_in_once_and_without_the_marker(lab: Lab, way: str) -> None:
    lab.use(way)
    before, copies = len(lab.postfix.received()), lab.vault.count().messages
    lab.release()
    arrived = lab.postfix.wait_for(before + 2)[before:]
    assert len(arrived) == 2 and lab.vault.count().messages == copies + 1
    assert all(b"X-Mailhold" not in each and b"Resent-From" in each for each in arrived)
    assert all(each.endswith(MESSAGE.replace(b"\r\n", b"\n")) for each in arrived)
    lab.gateways[way].wait_for(lambda: lab.gateways[way].log("message")[-1]["outcome"] == "released")
    with lab.vault.reading():
        assert lab.vault.db.execute_sql("SELECT COUNT(*) FROM release").fetchone() == (0,)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sender", ["", "root", '"an n"@spam.example', f"Ann@{DOMAIN.upper()}"])
def test_addresses_that_postfix_writes_otherwise_are_known(lab: Lab, way: str, sender: str) -> None:
    lab.use(way)
    to = (f'"ab"@{DOMAIN}', f'"a b"@{DOMAIN}', f'"a\\"b"@{DOMAIN}', f"a..b@{DOMAIN}", f"ANN@{DOMAIN.upper()}")
    before, copies = len(lab.postfix.received()), lab.vault.count().messages
    lab.release(to=to, sender=sender)
    assert len(lab.postfix.wait_for(before + len(to))) == before + len(to)
    assert lab.vault.count().messages == copies + 1


def test_without_the_setting_there_is_no_marker(lab: Lab) -> None:
    lab.use("none", loops=False)
    before = len(lab.postfix.received())
    lab.release()
    assert all(b"X-Mailhold" not in each for each in lab.postfix.wait_for(before + 2)[before:])


@pytest.mark.parametrize("way", WAYS)
def test_a_delivered_message_vouches_for_no_other(lab: Lab, way: str) -> None:
    lab.use("none")
    genuine = lab.delivered()
    for old, new in (
        (b"From: <offers@spam.example>", b"From: <ceo@gw.test>"),
        (b"Subject: wanted", b"Subject: Wanted"),
        (b'boundary="one two"', b"boundary=onetwo"),
        (b'boundary="one two"', b'boundary="one  two"'),
        (b"--one two\r\n", b"--one two \r\n"),
        (b"--one two\r\n\r\n", b"--one\r\rtwo\r\n\r\n"),
        (b"after all", b"AFTER ALL"),
        (b"--one two--\r\n", b"--one two--\r\n\r\n"),
        (b"X-Mailhold-Delivery", b"Subject: above\r\nX-Mailhold-Delivery"),
        (b"X-Mailhold-Delivery", b"Received: x\r\n \t\r\nX-Mailhold-Delivery"),
    ):
        forged = genuine.replace(old, new, 1)
        assert forged != genuine
        assert not lab.send(forged, way), new
    assert not lab.send(genuine, way, sender=f"ceo@{DOMAIN}".replace(DOMAIN, "spam.example"))
    assert not lab.send(genuine, way, to=(f"eve@{DOMAIN}",))
    assert lab.send(b"Received: by another relay\r\n" + genuine, way, to=TO[:1])
    assert not lab.send(genuine, way)
    assert lab.send(genuine, way, to=TO[1:])
    assert not any(lab.send(genuine, each, to=TO[:1]) for each in WAYS)


def test_a_revoked_gateways_file_vouches_for_nothing(lab: Lab, tmp_path: Path) -> None:
    lab.use("none")
    enroll(lab.vault, "stolen", tmp_path / "stolen")
    thief = open_with_credentials(lab.vault.location, tmp_path / "stolen")
    messages = [sent_by(lab.vault, thief) for _ in range(2)]
    assert lab.send(messages[0])
    db = sqlite3.connect(lab.vault.location, timeout=20)
    rows = db.execute("SELECT * FROM release").fetchall()
    assert len(rows) == 2
    revoke(lab.vault, "stolen")
    assert db.execute("SELECT COUNT(*) FROM release").fetchone() == (0,)
    assert not lab.send(messages[1])
    # The forger also writes to the database and puts the rows back.
    with db:
        db.executemany("INSERT INTO release VALUES (?, ?, ?, ?, ?, ?)", rows)
    assert not any(lab.send(messages[1], way) for way in WAYS)
    assert not lab.send(field_of(b"t" * 16) + MESSAGE)
    assert "signature" in lab.first.log("delivery marker refused")[-2]["why"]
    thief.close()
    db.close()


def sent_by(vault: Vault, gateway: Vault) -> bytes:
    """Return a message as a gateway sends it, with the gateway's rows written."""
    copy_id = vault.put(MESSAGE, CopyRecord(envelope_sender=SPAMMER, envelope_recipients=TO))
    beat(gateway)
    with gateway.write():  # A release goes to the gateway that was heard last; others may be heard just now.
        run(gateway.db, "UPDATE gateway SET alive_at = alive_at + 5000 WHERE id = ?", StoreAccess(gateway).gateway_id)
    [queued] = release(vault, [copy_id], original=True, operator="op", again=True).queued
    beat(gateway, alive=False)
    access = StoreAccess(gateway)
    with gateway.write():
        [claim] = leases.claim(gateway, access.gateway_id, "thief", 1, now_ms(), 60_000)
    assert claim.id == queued
    parcel = pack(access, claim, f"mailhold@{DOMAIN}", "mx", now_ms(), frozenset())
    with gateway.write():
        leases.start_data(gateway, claim, claim.live, {}, now_ms(), 60_000, list(parcel.releases.values()))
    return parcel.message


def test_who_writes_the_database_vouches_for_nothing(lab: Lab) -> None:
    lab.use("none")
    one, other = lab.delivered(), lab.delivered()
    db = sqlite3.connect(lab.vault.location, timeout=20)
    rows = db.execute("SELECT tag, delivery_id, gateway_id, digest, expires_at, signature FROM release").fetchall()
    deliveries = sorted({row[1] for row in rows})[-2:]
    for columns in (
        ("digest",),
        ("digest", "signature"),
        ("delivery_id",),
        ("expires_at",),
        ("gateway_id", "signature"),
    ):
        with db:
            for name in columns:
                value = {"digest": b"d" * 32, "delivery_id": deliveries[0], "gateway_id": 3, "expires_at": 2**60}.get(
                    name
                )
                value = value if value is not None else rows[0][5]
                db.execute(f"UPDATE release SET {name} = ? WHERE delivery_id = ?", (value, deliveries[1]))
        assert not any(lab.send(other, way) for way in WAYS), columns
        with db:
            db.execute("DELETE FROM release")
            db.executemany("INSERT INTO release VALUES (?, ?, ?, ?, ?, ?)", rows)
    with db:
        db.execute("UPDATE delivery SET state = 'cancelled' WHERE id = ?", (deliveries[1],))
    assert not lab.send(other)
    with db:
        db.execute("UPDATE delivery SET state = 'sent' WHERE id = ?", (deliveries[1],))
    assert lab.send(one) and lab.send(other, "filter")
    db.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", ["milter", "filter"])
def test_real_messages_come_back_as_they_were_sent(
    lab: Lab, way: str, corpus_files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A message that Postfix repairs on the way gets no marker; every other message passes."""
    lab.use("none")
    lab.use(way)
    raws = [raw for path in corpus_files[:: 1 if WHOLE else 10] if (raw := path.read_bytes()) and len(raw) < 4_000_000]
    gateway = lab.gateways[way]
    names = ("message", "delivery marker refused", "released without a delivery marker")
    before = {name: len((gateway if name != names[2] else lab.first).log(name)) for name in names}
    record = CopyRecord(envelope_sender=SPAMMER, envelope_recipients=(TO[0],))
    ids = lab.vault.put_many((raw, record, None) for raw in raws)
    queued = release(lab.vault, ids, original=True, operator="op").queued

    def new(name: str) -> list[dict[str, object]]:
        return (gateway if name != names[2] else lab.first).log(name)[before[name] :]

    done = ("sent", "failed")
    lab.first.wait_for(lambda: all(delivery_of(lab.vault, each).state in done for each in queued), 300)
    sent = sum(delivery_of(lab.vault, each).state == "sent" for each in queued)
    gateway.wait_for(lambda: len(new("message")) >= sent, 120)
    passed = [each for each in new("message") if each["outcome"] == "released"]
    refused, unmarked = new(names[1]), new(names[2])
    with capsys.disabled():
        whys = sorted({re.sub(r"\d+", "", str(each["why"])) for each in (*refused, *unmarked)})
        print(
            f"\n{way}: of {len(raws)} real messages {sent} were sent, {len(passed)} passed, {len(unmarked)} had no "
            f"marker, {len(refused)} came back otherwise: {whys}"
        )
    assert len(passed) + len(refused) + len(unmarked) == sent
    assert len(passed) >= 0.95 * sent
