"""What a gateway seals with a copy about its sender and the scanners' results, and how it counts passed mail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from store.authority.settings import Settings
from store.check import check
from store.database.connection import run
from store.enrolment.enrolment import enroll, open_with_credentials
from store.enrolment.revocation import revoke
from store.gateway import knowing as module
from store.gateway.handling import Intake
from store.gateway.metrics import Metrics
from store.gateway.policy import LivePolicy, Policy
from store.intake.unavailable import Outage
from store.judging.engines.engine import EngineResult
from store.judging.rules.address_lists import AddressLists
from store.judging.rules.rules import DEFAULT_RULE
from store.mail.incoming import Accept, Incoming, Outcome
from store.sealing.counting import SENDER
from store.terms.errors import StoreUnavailable
from store.terms.findings import Authentication, Finding, KnownSender
from store.terms.records import CopyRecord
from store.terms.verdicts import Engine, Status, Verdict
from store.vault import known as rows
from store.vault.known import Known
from store.vault.vault import Vault

SETTINGS = Settings(local_domains=("corp.example",))
ANNA, BOB = "anna@example.net", "bob@corp.example"


class Spamd:
    """A scanner that answers as the test says."""

    name = "rspamd"
    engines = frozenset((Engine.ANTI_SPAM,))

    def __init__(self) -> None:
        self.status = Status.CLEAN
        self.symbols: tuple[tuple[str, float | None], ...] = ()

    async def scan(self, incoming: Incoming) -> EngineResult:
        verdict = Verdict(Engine.ANTI_SPAM, self.status)
        return EngineResult(True, (verdict,), engines=self.engines, score=14.2, required=15.0, symbols=self.symbols)

    async def ping(self) -> str:
        return ""

    async def close(self) -> None:
        return None


class Side:
    """The intake of one gateway."""

    def __init__(self, vault: Vault, operator: Vault) -> None:
        self.operator = operator
        self.opened: Vault | None = vault
        self.vault = vault
        self.scanner = Spamd()
        self.live = LivePolicy(lambda *_args, **_fields: None)
        self.live.policy = Policy(SETTINGS, (DEFAULT_RULE,), AddressLists(black=("black@example.net",)))
        self.pool = ThreadPoolExecutor(4)
        outage = Outage(lambda *_args, **_fields: None)
        self.intake = Intake(lambda: self.opened, self.live, (self.scanner,), self.pool, Metrics(), outage)
        self.knowing = self.intake.knowing

    async def takes(self, from_: str = ANNA, to: str = BOB, raw: bytes = b"", **more: object) -> Outcome:
        raw = raw or f"From: <{from_}>\r\nTo: <{to}>\r\nSubject: hi\r\n\r\nhi\r\n".encode()
        incoming = Incoming(raw, from_, [to], client_address="192.0.2.7", client_name="mail.example.net")
        for name, value in more.items():
            setattr(incoming, name, value)
        return await self.intake.filter(incoming)

    async def keeps(self, from_: str = ANNA, **more: object) -> CopyRecord:
        """Return the record of a spam message."""
        self.scanner.status = Status.SPAM
        assert await self.takes(from_, **more) != Accept()  # type: ignore[arg-type]
        self.scanner.status = Status.CLEAN
        return self.newest()

    def newest(self) -> CopyRecord:
        """Return the record of the newest copy, as an operator reads it."""
        return self.operator.newest(1)[0].record


@pytest.fixture
def sides(any_vault: Vault, tmp_path: Path) -> Iterator[list[Side]]:
    """Open two gateways of one store."""
    made = []
    for name in ("mx1", "mx2"):
        enroll(any_vault, name, tmp_path / name)
        made.append(Side(open_with_credentials(any_vault.location, tmp_path / name), any_vault))
    yield made
    for side in made:
        side.pool.shutdown()
        side.vault.close()


async def test_a_copy_tells_how_often_its_sender_was_let_through(sides: list[Side], any_vault: Vault) -> None:
    first, second = sides
    assert (await first.keeps()).known == KnownSender()
    for _ in range(3):
        assert isinstance(await first.takes(), Accept)
    await first.takes("carl@example.net")
    await first.takes(BOB, ANNA)
    seen = KnownSender(0, 3, 0, 4, 1)
    assert (await first.keeps()).known == seen, "at once, from memory"
    assert (await second.keeps()).known == KnownSender(), "nothing is written for a message"
    first.knowing.flush()
    second.knowing.flush()
    assert (await first.keeps()).known == (await second.keeps()).known == seen
    await second.takes()
    second.knowing.flush()
    assert (await second.keeps()).known == KnownSender(0, 4, 0, 5, 1)
    first.knowing.flush()
    assert (await first.keeps()).known == KnownSender(0, 4, 0, 5, 1), "what another gateway counted"
    assert not check(any_vault).broken


async def test_authenticated_mail_is_counted_apart(sides: list[Side]) -> None:
    side = sides[0]
    side.scanner.symbols = (("DMARC_POLICY_ALLOW", -0.5),)
    await side.takes()
    side.scanner.symbols = (("DMARC_POLICY_REJECT", 2.0),)
    await side.takes()
    await side.takes()
    assert (await side.keeps()).known == KnownSender(1, 2, 1, 2, 0)


async def test_who_only_keeps_takes_a_new_key_up(sides: list[Side], any_vault: Vault, tmp_path: Path) -> None:
    side = sides[0]
    await side.keeps()
    side.knowing.flush()  # flushing looks for expired rows and so caches the key
    enroll(any_vault, "mx3", tmp_path / "mx3")
    revoke(any_vault, "mx3", operator="olga")
    await sides[1].takes()
    sides[1].knowing.flush()
    side.knowing.flush()
    assert (await side.keeps()).known == KnownSender(0, 1, 0, 1, 0)


async def test_what_is_not_let_through_is_not_counted(sides: list[Side]) -> None:
    side = sides[0]
    await side.keeps()
    await side.takes("black@example.net")
    assert (await side.keeps()).known == KnownSender()


async def test_a_copy_tells_what_scanners_said_and_who_sent_it(sides: list[Side]) -> None:
    side = sides[0]
    side.scanner.symbols = (("BAD", 9.0), ("R_SPF_ALLOW", -0.2))
    record = await side.keeps()
    assert record.findings == (Finding("rspamd", 14.2, 15.0, side.scanner.symbols),)
    assert (record.client_address, record.client_name) == ("192.0.2.7", "mail.example.net")
    assert record.authentication == (Authentication("spf", "pass", "example.net", "rspamd"),)
    raw = (
        b"Authentication-Results: mx.corp.example; dmarc=fail header.from=example.net\r\n"
        b"X-Spam-Status: Yes, score=8.1 required=5.0 tests=[A=1.2]\r\nFrom: <anna@example.net>\r\n\r\nhi\r\n"
    )
    assert (await side.keeps(raw=raw)).authentication == record.authentication, "anybody can write such a field"
    record = await side.keeps(raw=raw, trusted_headers=True)
    assert record.authentication[0] == Authentication("dmarc", "fail", "example.net", "mx.corp.example")
    assert record.findings[1] == Finding("header fields", 8.1, 5.0, (("A", 1.2),))


async def test_fields_of_the_server_that_is_named_are_believed(sides: list[Side]) -> None:
    side = sides[0]
    side.knowing._server = "MX.corp.example"
    raw = (
        b"Authentication-Results: other.example; dmarc=pass header.from=example.net\r\n"
        b"Authentication-Results: (ours) mx.corp.example 1;\r\n\tdkim=pass header.d=mail.example.net\r\n"
        b"Authentication-Results: mx.corp.example; dmarc=fail\r\nFrom: <anna@example.net>\r\n\r\nhi\r\n"
    )
    await side.takes(raw=raw)
    record = await side.keeps(raw=raw)
    assert record.authentication == (Authentication("dkim", "pass", "mail.example.net", "mx.corp.example"),)
    assert record.known == KnownSender(1, 0, 1, 0, 0)
    body = b"From: <anna@example.net>\r\n\r\nAuthentication-Results: mx.corp.example; dmarc=pass\r\n"
    assert (await side.keeps(raw=body)).authentication == ()


async def test_a_quarantined_message_has_the_same(sides: list[Side]) -> None:
    side = sides[0]
    await side.takes()
    raw = (
        b"Authentication-Results: mx.corp.example; dkim=pass header.d=example.net\r\n"
        b"X-Spam-Status: Yes, score=8.1 required=5.0 tests=[A=1.2]\r\nFrom: <anna@example.net>\r\n\r\nhi\r\n"
    )
    incoming = Incoming(raw, "", ["spam@quarantine"], client_name="scanner.corp.example", trusted_headers=True)
    assert await side.intake.take(incoming) == Accept()
    record = side.newest()
    assert record.known == KnownSender(0, 1, 0, 1, 0)
    assert record.findings == (Finding("header fields", 8.1, 5.0, (("A", 1.2),)),)
    assert record.authentication == (Authentication("dkim", "pass", "example.net", "mx.corp.example"),)
    assert record.client_name == "scanner.corp.example"


async def test_what_cannot_be_written_is_counted_later(sides: list[Side], monkeypatch: pytest.MonkeyPatch) -> None:
    side = sides[0]
    await side.takes()
    before = Known.add

    def fails(*_args: object) -> None:
        raise StoreUnavailable("The store is not available.")

    monkeypatch.setattr(Known, "add", fails)
    with pytest.raises(StoreUnavailable):
        side.knowing.flush()
    await side.takes()
    assert (await side.keeps()).known == KnownSender(0, 2, 0, 2, 0)
    monkeypatch.setattr(Known, "add", before)
    side.opened = None
    side.knowing.flush()  # There is no open store to write to.
    side.knowing.flush(side.vault)
    [count] = Known(side.vault).counts([(SENDER, ANNA)], module._today())
    assert count.other == 2
    side.opened = side.vault
    assert (await side.keeps()).known == KnownSender(0, 2, 0, 2, 0)


async def test_a_write_that_is_cut_short_leaves_whole_counters(
    sides: list[Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    side = sides[0]
    monkeypatch.setattr(rows, "GROUP", 2)
    names = [f"{number}@s{number}.example" for number in range(5)]
    for name in names:
        await side.takes(name)
    made: list[int] = []
    fades = rows.fades

    def killed(count: rows.Count) -> int:
        made.append(1)
        if len(made) == 6:  # During the third transaction.
            raise KeyboardInterrupt
        return fades(count)

    monkeypatch.setattr(rows, "fades", killed)
    with pytest.raises(KeyboardInterrupt):
        side.knowing.flush()
    day = module._today()
    written = [each.other for each in Known(sides[1].vault).counts([(SENDER, name) for name in names], day)]
    assert written == [1, 1, 0, 0, 0]
    monkeypatch.setattr(rows, "fades", fades)
    side.knowing.flush()
    written = [each.other for each in Known(sides[1].vault).counts([(SENDER, name) for name in names], day)]
    assert written == [1] * 5, "nothing twice"


async def test_memory_and_table_are_bounded(sides: list[Side], monkeypatch: pytest.MonkeyPatch) -> None:
    side = sides[0]
    monkeypatch.setattr(module, "MOST_WAITING", 6)
    monkeypatch.setattr(rows, "MOST", 10)
    for number in range(12):
        await side.takes(f"{number}@s{number}.example")
    assert len(side.knowing._waiting) == 6
    for start in range(0, 40, 3):
        for number in range(start, start + 3):
            await side.takes(f"{number}@s{number}.example")
        side.knowing.flush()
        assert run(side.vault.db, "SELECT COUNT(*) FROM known").fetchone()[0] <= 10


async def test_a_store_that_does_not_say_keeps_no_copy_from_being_placed(
    sides: list[Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    side = sides[0]

    def fails(*_args: object) -> None:
        raise StoreUnavailable("The store is not available.")

    monkeypatch.setattr(Known, "counts", fails)
    record = await side.keeps()
    assert record.known is None and record.subject == "hi"


async def test_counting_while_others_write_loses_nothing(sides: list[Side]) -> None:
    ended = threading.Event()

    def flushing(side: Side) -> None:
        while not ended.is_set():
            side.knowing.flush()

    threads = [threading.Thread(target=flushing, args=(side,)) for side in sides]
    for thread in threads:
        thread.start()
    try:
        for _ in range(40):
            for side in sides:
                await side.takes()
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    for side in sides:
        side.knowing.flush()
    assert (await sides[0].keeps()).known == KnownSender(0, 80, 0, 80, 0)
