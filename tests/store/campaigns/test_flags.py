"""The flags KNOWN (a known, authenticated sender) and ALIKE (a sender resembling a known one); on both databases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.authority.settings import read_settings, write_settings
from store.campaigns import flags as module
from store.campaigns.flags import Flagger, alike_of, flags_of, is_known
from store.campaigns.material import Flags
from store.helpers.clock import DAY_MS, now_ms
from store.sealing.counting import DOMAIN, RECIPIENT, SENDER
from store.terms.findings import Authentication, KnownSender
from store.terms.records import CopyRecord
from store.vault.known import Known
from store.vault.vault import Vault

PASS, FAIL = Authentication("dmarc", "pass", "riosol.example"), Authentication("dmarc", "fail", "riosol.example")
SILENT = Authentication("dkim", "none"), Authentication("spf", "neutral", "riosol.example")
OTHERS = Authentication("dkim", "pass", "mailer.example")
LOGIN = Authentication("auth", "pass", "anna")
ALWAYS, NEVER, WRITTEN = KnownSender(3, 0, 9, 0), KnownSender(0, 3, 0, 3), KnownSender(written_to=1)
STRANGER = KnownSender(0, 0, 50, 50)


def count(vault: Vault, deltas: Mapping[tuple[str, str], tuple[float, float]]) -> None:
    Known(vault).add(deltas, now_ms() // DAY_MS)


def put(vault: Vault, senders: Iterable[str], **fields: object) -> list[int]:
    records = (CopyRecord(from_=sender, **fields) for sender in senders)  # type: ignore[arg-type]
    return vault.put_many((b"Subject: x\n\nx\n", record, None) for record in records)


def set_local(vault: Vault, *domains: str) -> None:
    before = read_settings(vault)
    write_settings(vault, before, msgspec.structs.replace(before, local_domains=domains))


@pytest.mark.parametrize(
    ("known", "found", "own", "is_so"),
    [
        (ALWAYS, (PASS,), False, True),
        (NEVER, (PASS,), False, True),
        (WRITTEN, (PASS,), False, True),
        (ALWAYS, (FAIL, PASS), False, True),  # DKIM fails after a mailing list, SPF passes.
        (ALWAYS, (FAIL,), False, False),
        (NEVER, (FAIL,), False, False),
        (WRITTEN, (Authentication("spf", "softfail"),), False, False),
        (ALWAYS, (OTHERS, FAIL), False, False),
        (ALWAYS, SILENT, False, False),
        (ALWAYS, (OTHERS,), False, False),
        (NEVER, SILENT, False, True),
        (NEVER, (OTHERS,), False, True),
        (WRITTEN, SILENT, False, True),
        (ALWAYS, (), False, True),
        (ALWAYS, (Authentication("arc", "fail"),), False, True),
        (ALWAYS, (), None, True),
        (ALWAYS, (), True, False),
        (ALWAYS, (LOGIN,), True, True),
        (ALWAYS, (LOGIN, FAIL), None, True),
        (ALWAYS, (LOGIN, FAIL), False, False),  # A sender authenticated by login here is not the other firm.
        (STRANGER, (PASS,), False, False),
        (KnownSender(), (PASS,), False, False),
    ],
)
def test_who_is_known(known: KnownSender, found: tuple[Authentication, ...], own: bool | None, is_so: bool) -> None:
    assert is_known(found, known, "riosol.example", own=own) is is_so


def test_what_the_gateway_knew_counts(any_vault: Vault) -> None:
    (one,) = put(any_vault, ["Anna <Anna@riosol.example>"], known=ALWAYS, authentication=(PASS,))
    (two,) = put(any_vault, ["Anna <anna@riosol.example>"], known=ALWAYS, authentication=(FAIL,))
    (three,) = put(any_vault, ["Anna <anna@riosol.example>"], known=KnownSender())
    (four,) = put(any_vault, [""], envelope_sender="anna@riosol.example", known=WRITTEN)
    assert flags_of(any_vault, [one, two, three, four, four + 9]) == {one: Flags.KNOWN, four: Flags.KNOWN}
    assert flags_of(any_vault, []) == {}


def test_what_was_imported_is_asked_of_the_counters(any_vault: Vault) -> None:
    count(any_vault, {(SENDER, "anna@riosol.example"): (0, 2), (RECIPIENT, "bo@x.example"): (0, 1)})
    ids = put(any_vault, ["Anna <anna@riosol.example>", "bo@x.example", "anna@x.example", "nobody", "a@\ud800"])
    assert flags_of(any_vault, ids) == dict.fromkeys(ids[:2], Flags.KNOWN)
    (one,) = put(any_vault, ["anna@riosol.example"], known=KnownSender())
    assert flags_of(any_vault, [one]) == {}, "nothing was known when it was taken in"
    (one,) = put(any_vault, ["anna@riosol.example"], known=KnownSender(), source="import /x.mbox")
    assert flags_of(any_vault, [one]) == {one: Flags.KNOWN}


def test_an_own_domain_is_known_where_it_proves_it(any_vault: Vault) -> None:
    set_local(any_vault, "corp.example")
    count(any_vault, {(SENDER, "it@corp.example"): (9, 9), (DOMAIN, "corp.example"): (9, 9)})
    ids = put(any_vault, ["it@corp.example"])
    assert flags_of(any_vault, ids) == {}
    ids = put(any_vault, ["it@corp.example"], authentication=(LOGIN,))
    assert flags_of(any_vault, ids) == {ids[0]: Flags.KNOWN}


def test_it_looks_like_one_that_only_the_counters_know(any_vault: Vault) -> None:
    count(
        any_vault,
        {
            (DOMAIN, "riosol.example"): (1, 0),
            (DOMAIN, "xn--mnchen-3ya.example"): (0, 4),
            (DOMAIN, "cloudattic.com"): (0, 1),
            (RECIPIENT, "fernpay.example"): (9, 9),
        },
    )
    ids = put(
        any_vault,
        (
            *("a@rioso1.example", "a@munchen.example", "a@ri\u043esol.example", "a@sub.xn--riosl-mye.example"),
            *("a@riosol.example", "a@mx.riosol.example", "a@cloudattc.com", "a@fempay.example", "a@other.example"),
        ),
    )
    likes = alike_of(any_vault, ids)
    assert likes == dict(
        zip(ids[:4], ["riosol.example", "xn--mnchen-3ya.example", "riosol.example", "riosol.example"], strict=True)
    )
    assert flags_of(any_vault, ids) == dict.fromkeys(likes, Flags.ALIKE)


def test_one_with_a_history_of_its_own_looks_like_none(any_vault: Vault) -> None:
    count(any_vault, {(DOMAIN, "riosol.example"): (10, 0)})
    for known, alike in (
        (KnownSender(), True),
        (KnownSender(0, 0, 4, 0), True),
        (KnownSender(0, 0, 0, 5), False),  # its count is half of the known domain's
        (KnownSender(0, 0, 5, 0), False),
    ):
        module._flaggers.clear()
        ids = put(any_vault, ["a@rioso1.example"], known=known)
        assert bool(alike_of(any_vault, ids)) is alike, known


def test_it_looks_like_an_own_domain_or_one_seen_in_backup(any_vault: Vault) -> None:
    set_local(any_vault, "corporate.example", ".riosol.example")
    put(any_vault, ["bo@fernpay.example"], known=KnownSender(0, 0, 20, 0))
    ids = put(
        any_vault,
        (
            *("a@c0rporate.example", "a@corporate.example.help.net", "a@riosoll.example", "a@fempay.example"),
            *("a@corporate.example", "a@mx.corporate.example", "a@riosol.example", "a@fernpay.example"),
        ),
    )
    seen = alike_of(any_vault, range(1, ids[-1] + 1))
    own = "corporate.example"
    assert seen == dict(zip(ids[:4], [own, own, "riosol.example", "fernpay.example"], strict=True))


def test_no_more_domains_are_looked_up_than_an_hour_has_room_for(
    any_vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOKED_UP", 2)
    count(any_vault, {(DOMAIN, "riosol.example"): (9, 0)})
    ids = put(any_vault, ["a@rioso1.example", "a@riosoll.example", "b@ri0sol.example", "c@ri0sol.example"])
    flagger = Flagger(any_vault)
    assert [copy_id for copy_id, found in sorted(flagger.of(ids).items()) if found.like] == ids[1:], "newest first"
    assert Flagger(any_vault).of(ids[:1])[ids[0]].like == "riosol.example"


def test_what_was_counted_meanwhile_is_seen_an_hour_later(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = put(any_vault, ["a@rioso1.example"])
    flagger = Flagger(any_vault)
    assert not flagger.of(ids)[ids[0]].flags
    count(any_vault, {(DOMAIN, "riosol.example"): (9, 0)})
    assert not flagger.of(ids)[ids[0]].flags
    monkeypatch.setattr(module, "_LASTS", 0)
    assert flagger.of(ids)[ids[0]].flags == Flags.ALIKE


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.one_of(st.text(max_size=60), st.text('a@.<>"()\u202e\u05d0xn-,', max_size=300)), max_size=4))
def test_no_sender_is_too_hostile(vault: Vault, senders: list[str]) -> None:
    if not Known(vault).begins():
        count(vault, {(DOMAIN, "riosol.example"): (9, 0)})
    writable = [sender.encode("utf-8", "replace").decode() for sender in senders]
    ids = put(vault, [*writable, "a@" + "x" * 300 + ".example", "a@" + "x." * 90])
    assert set(flags_of(vault, ids)) <= set(ids)
