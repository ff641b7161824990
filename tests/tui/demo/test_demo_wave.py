"""The demo's attack wave: its campaigns are found, no act includes good mail, and aimed letters are odd."""

from __future__ import annotations

import email
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from store.authority.settings import read_settings
from store.campaigns.flags import alike_of, flags_of
from store.campaigns.material import Flags
from store.campaigns.reading import StandingReader
from store.opening.opening import create_store
from store.terms.records import Copy, CopyRecord
from store.terms.verdicts import is_kept
from store.vault.vault import Vault
from tui.demo.demo import fill_demo
from tui.demo.wave import texts, wave

NOW = 1_795_508_000_000
COUNT = 390
Placed = tuple[bytes, CopyRecord, int]


@pytest.fixture(scope="module")
def mail() -> list[Placed]:
    return wave(COUNT, now=NOW, seed=2026)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """Make a small demo under attack, with its campaigns."""
    folder: Path = tmp_path_factory.mktemp("demo")
    with closing(create_store(str(folder / "demo.store"), key_file=folder / "key")[0]) as vault:
        fill_demo(vault, 60, now=NOW, attack=COUNT)
        yield vault


def named(record: CopyRecord) -> str:
    """Return the campaign of a wave's record, by its sender's host; "" for none."""
    host = re.sub(r"\d", "#", record.from_.rpartition("@")[2].rstrip(">"))
    return next((one.name for one in texts().campaign if host in one.hosts), "")


def good(copies: list[Copy]) -> list[Copy]:
    addresses = {one.from_.address for one in texts().good} | {texts().thread.from_.address}
    return [copy for copy in copies if copy.record.envelope_sender in addresses]


def aimed(copies: list[Copy]) -> list[Copy]:
    return [copy for copy in copies if copy.record.from_.rpartition("@")[2].rstrip(">") in texts().thread.aimed]


def test_one_seed_is_one_mail(mail: list[Placed]) -> None:
    assert mail == wave(COUNT, now=NOW, seed=2026)
    assert {raw for raw, _, _ in mail}.isdisjoint(raw for raw, _, _ in wave(COUNT, now=NOW, seed=1))
    times = [at for _, _, at in mail]
    assert times == sorted(times) and times[0] > NOW - 92 * 3_600_000 and times[-1] <= NOW


def test_it_is_as_large_as_asked_for_and_all_of_it_is_what_backup_keeps(mail: list[Placed]) -> None:
    found = Counter(named(record) for _, record, _ in mail)
    assert set(found) == {"", *(one.name for one in texts().campaign)}
    assert found[""] == len(texts().good) + len(texts().thread.texts) + len(texts().thread.aimed) == 13
    assert abs(sum(found.values()) - found[""] - COUNT) < 5
    assert sum(named(record) != "" for _, record, _ in wave(100, now=NOW, seed=1)) < 110
    for raw, record, _ in mail:
        assert record.reason is not None and record.reason.detail and "{" not in record.reason.detail
        assert is_kept(record.reason.engine, record.reason.status, record.action)
        assert record.findings and record.client_name and record.known is not None
        text = "".join(str(part.get_payload(decode=True)) for part in email.message_from_bytes(raw).walk())
        assert not re.search(r"\{[a-z]+\}", text + record.subject)


def test_only_domains_that_are_reserved_for_examples(mail: list[Placed]) -> None:
    for raw, record, _ in mail:
        text = raw.decode("latin-1") + "\n" + record.from_ + "\n" + record.to + "\n"
        for part in email.message_from_bytes(raw).walk():
            if part.get_content_maintype() == "text":
                payload = part.get_payload(decode=True)
                assert isinstance(payload, bytes)
                text += "\n" + payload.decode("latin-1")
        for pair in re.findall(r"[\w.+-]@([A-Za-z0-9.-]+\.[A-Za-z]+)|https?://([A-Za-z0-9.-]+)", text):
            assert re.search(r"(^|\.)(example|test|invalid)(\.(com|net|org))?$", pair[0] or pair[1]), pair


def test_its_campaigns_are_found_and_no_good_mail_is_in_an_act(demo: Vault) -> None:
    standing = StandingReader(demo).read()
    copies = {copy.id: copy for copy in demo.get_many(demo.ids())}
    assert len(copies) == 60 + len(wave(COUNT, now=NOW, seed=2026))
    acted = {copy_id for one in standing.campaigns if one.rank.offered for copy_id in one.copies}
    found, total = (
        Counter(named(copies[one].record) for one in acted),
        Counter(named(c.record) for c in copies.values()),
    )
    for one in texts().campaign:
        if not one.answers:
            assert found[one.name] >= 0.8 * total[one.name], one.name
    wrongly = good(list(copies.values()))
    assert len(wrongly) == len(texts().good) + len(texts().thread.texts)
    assert not acted & {copy.id for copy in wrongly}
    assert not [
        copy_id for copy_id in acted if copies[copy_id].record.from_.rpartition("@")[2][:-1] in texts().thread.aimed
    ]


def test_what_a_gateway_knows_is_there(demo: Vault) -> None:
    copies = demo.get_many(demo.ids())
    assert all(copy.record.known is not None and copy.record.client_name for copy in copies if "@" in copy.record.from_)
    assert sum(bool(copy.record.findings) for copy in copies) > 0.8 * len(copies)
    ids = [copy.id for copy in aimed(copies)]
    assert alike_of(demo, ids) == dict.fromkeys(ids, "construcciones-sol.example") and len(ids) == 3
    known = flags_of(demo, [copy.id for copy in good(copies)])
    assert list(known.values()).count(Flags.KNOWN) >= 7
    assert read_settings(demo).local_domains == ("example.org", ".example.org")
