"""Local domains: valid settings, which addresses are within, which are proposed, and their effect on a release."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.authority.settings import Settings, parse_setting, read_settings
from store.delivery.queue import NO_ENVELOPE, NOT_LOCAL, delivery_of, release
from store.gateway.policy import LivePolicy, Policy
from store.gateway.proposal import Proposal
from store.mail.local_domains import DomainCount, LocalDomains, parse_domains, seen_domains, seen_words, to_set
from store.space.changing_settings import change_settings
from store.terms.errors import SettingError
from store.terms.records import CopyRecord
from store.vault.vault import Vault

RAW = b"Subject: x\r\n\r\nbody\r\n"
HEADER = CopyRecord(to="Ann <ann@corp.example>, Out <out@else.example>", cc="bob@CORP.example, x@sub.corp.example")


@pytest.fixture
def ready(any_vault: Vault) -> Vault:
    change_settings(any_vault, Settings(relay="smtp://127.0.0.1:1", local_domains=("corp.example",)))
    return any_vault


def to(vault: Vault, delivery_id: int) -> list[str]:
    return [each.address for each in delivery_of(vault, delivery_id).recipients]


@pytest.mark.parametrize(
    ("text", "domains"),
    [
        ("", ()),
        ("corp.example", ("corp.example",)),
        (" Corp.Example,@b.example; .c.example\tcorp.EXAMPLE ", ("corp.example", "b.example", ".c.example")),
        ("bücher.example xn--bcher-kva.example", ("bücher.example",)),
    ],
)
def test_domains_are_read_from_text(text: str, domains: tuple[str, ...]) -> None:
    assert parse_domains(text) == domains
    assert parse_setting(Settings(), "local-domains", text)[0].local_domains == domains


@pytest.mark.parametrize("text", ["ann@corp.example", "a b..c", ".", "*", "corp.example/", "[127.0.0.1]", "a\x1bb"])
def test_what_is_no_domain_is_refused_by_name(text: str) -> None:
    with pytest.raises(SettingError, match="is not a domain"):
        parse_domains(text)


def test_the_setting_is_kept_and_what_changed_is_written_down(any_vault: Vault) -> None:
    from store.authority.audit import events

    change_settings(any_vault, Settings(local_domains=("corp.example", ".corp.example")))
    assert read_settings(any_vault).local_domains == ("corp.example", ".corp.example")
    assert "local_domains: - -> corp.example, .corp.example" in events(any_vault, 1)[0].detail


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("a@corp.example", True),
        ("a@CORP.Example", True),
        ("a@mx.corp.example", False),
        ("a@notcorp.example", False),
        ("a@below.example", False),
        ("a@x.below.example", True),
        ("a@x.y.below.example", True),
        ("a@notbelow.example", False),
        ("a@xn--bcher-kva.example", True),
        ("a@BÜCHER.example", True),
        ("corp.example", True),
        ("", False),
    ],
)
def test_a_domain_is_itself_and_with_a_dot_those_below_it(address: str, local: bool) -> None:
    assert (address in LocalDomains(("corp.example", ".below.example", "bücher.example"))) is local


@given(st.text())
def test_no_text_makes_looking_up_or_counting_fail(text: str) -> None:
    assert isinstance(text in LocalDomains(("corp.example",)), bool)
    count = DomainCount()
    count.add([text])
    assert all(name.isascii() and not set(name) & set(" '\"$`;&|<>\\") for name, _ in count.most())


def test_domains_of_envelopes_are_proposed_by_the_number_of_copies(any_vault: Vault) -> None:
    for recipients in (("a@corp.example", "b@CORP.example"), ("c@corp.example", "d@b.example"), ()):
        any_vault.put(RAW, CopyRecord(envelope_recipients=recipients, to="e@header.example"))
    seen = seen_domains(any_vault.newest(10))
    assert seen == [("corp.example", 2), ("b.example", 1)]
    assert seen_words(seen) == "corp.example (2 copies), b.example (1 copy)"
    assert to_set(seen) == "mailhold settings set local_domains=corp.example,b.example"


def test_a_gateway_tells_what_it_saw_once_and_only_where_none_is_set() -> None:
    said: list[dict[str, object]] = []
    live, seen = LivePolicy(lambda *_, **__: None), DomainCount()
    proposal = Proposal(seen, live, lambda event, **fields: said.append(fields))
    seen.add(["a@corp.example"])
    proposal.tell()
    assert said == []  # The settings are not known yet.
    live.policy = Policy(settings=Settings())
    proposal.tell()
    proposal.tell()
    assert [fields["set_them"] for fields in said] == ["mailhold settings set local_domains=corp.example"]
    seen.add(["a@b.example"])
    live.policy = Policy(settings=Settings(local_domains=("corp.example",)))
    proposal.tell()
    assert len(said) == 1
    live.policy = Policy(settings=Settings())
    proposal.tell()
    assert len(said) == 2


def test_header_addresses_are_used_only_where_they_are_asked_for_and_local(ready: Vault) -> None:
    copy_id = ready.put(RAW, HEADER)
    assert release(ready, [copy_id], original=True).refused == [(copy_id, NO_ENVELOPE)]
    result = release(ready, [copy_id], original=True, from_header=True)
    assert to(ready, result.queued[0]) == ["ann@corp.example", "bob@CORP.example"] and result.left_out == []


def test_outsiders_of_a_header_go_only_where_they_were_chosen(ready: Vault) -> None:
    copy_id = ready.put(RAW, HEADER)
    result = release(
        ready, [copy_id], original=True, from_header=True, outsiders=["OUT@else.example"], left_out=["ann@corp.example"]
    )
    assert to(ready, result.queued[0]) == ["out@else.example", "bob@CORP.example"]


def test_without_local_domains_no_header_address_is_used(ready: Vault) -> None:
    change_settings(ready, msgspec.structs.replace(read_settings(ready), local_domains=()))
    copy_id = ready.put(RAW, HEADER)
    assert release(ready, [copy_id], original=True, from_header=True).refused == [(copy_id, NOT_LOCAL)]


def test_an_envelope_needs_no_local_domain(ready: Vault) -> None:
    copy_id = ready.put(RAW, msgspec.structs.replace(HEADER, envelope_recipients=("x@anywhere.example",)))
    assert to(ready, release(ready, [copy_id], original=True).queued[0]) == ["x@anywhere.example"]


def test_header_addresses_that_were_not_asked_for_are_named_where_the_copy_goes_to_others(ready: Vault) -> None:
    copy_id = ready.put(RAW, HEADER)
    result = release(ready, [copy_id], original=True, additional=["Ann@corp.example"])
    assert to(ready, result.queued[0]) == ["Ann@corp.example"]
    assert [each.address for each in result.left_out] == ["out@else.example", "bob@CORP.example", "x@sub.corp.example"]
    assert release(ready, [copy_id], original=False, additional=["new@corp.example"]).left_out == []
