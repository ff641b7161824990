"""Address lists: whose entries apply to whom, several recipients, and the stored form of the lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.authority import audit
from store.judging.rules.address_lists import (
    AddressLists,
    added,
    change_lists,
    check_lists,
    each_list,
    match,
    needs_from,
    read_lists,
    removed,
    write_lists,
)
from store.judging.rules.rules import Rule, write_rules
from store.terms.errors import RuleError, TamperedError
from store.vault.vault import Vault

ANN, BOB, EVE = "ann@corp.example", "bob@corp.example", "eve@corp.example"
SENDER = "offers@news.example"
LISTS = AddressLists(
    black=("*.bad.example", "shop.example"),
    white=("partner.example", "good@shop.example"),
    user_black={ANN: ("news.example",), BOB: ("offers@news.example", "partner.example")},
    user_white={EVE: ("news.example",), ANN: ("shop.example",)},
)


@pytest.mark.parametrize(
    ("sender", "recipients", "color", "blacklisted_by", "whitelisted_by"),
    [
        # the organisation's lists apply to all users
        ("x@a.bad.example", [ANN], "black", (), ()),
        ("x@a.bad.example", [ANN, EVE], "black", (), ()),
        ("x@a.bad.example", [], "black", (), ()),
        ("x@partner.example", [ANN, EVE], "white", (), ()),
        ("x@else.example", [ANN], "", (), ()),
        ("", [ANN], "", (), ()),
        # a more exact entry is an exception to a less exact one
        ("good@shop.example", [EVE], "white", (), ()),
        ("bad@shop.example", [EVE], "black", (), ()),
        # a user's lists apply to the user's mail
        (SENDER, [ANN], "black", (ANN,), ()),
        (SENDER, [EVE], "white", (), (EVE,)),
        (SENDER, ["Ann+shop@CORP.example"], "black", (ANN,), ()),
        # no user's list decides for another user
        (SENDER, [ANN, BOB], "black", (ANN, BOB), ()),
        (SENDER, [ANN, "zoe@corp.example"], "", (ANN,), ()),
        (SENDER, [EVE, "zoe@corp.example"], "", (), (EVE,)),
        (SENDER, [ANN, EVE], "", (ANN,), (EVE,)),
        # a user cannot lift the organisation's block, but can block what it allows
        ("bad@shop.example", [ANN], "black", (), (ANN,)),
        ("x@partner.example", [BOB], "black", (BOB,), ()),
        ("x@partner.example", [BOB, EVE], "", (BOB,), ()),
    ],
)
def test_whose_list_counts(
    sender: str, recipients: list[str], color: str, blacklisted_by: tuple[str, ...], whitelisted_by: tuple[str, ...]
) -> None:
    found = match(LISTS, sender, recipients)
    assert (found.black, found.white) == (color == "black", color == "white")
    assert (found.blacklisted_by, found.whitelisted_by) == (blacklisted_by, whitelisted_by)
    assert bool(found.entry) is bool(color)


def test_the_entry_says_whose_it_is() -> None:
    assert match(LISTS, "x@a.bad.example", [ANN]).entry == "organisation: *.bad.example"
    assert match(LISTS, SENDER, [ANN]).entry == f"{ANN}: news.example"
    assert match(LISTS, SENDER, [ANN, BOB]).entry == f"{ANN}: news.example and 1 more"
    assert match(LISTS, "x@partner.example", [ANN, BOB]).entry == ""
    half = AddressLists(black=("a.example",), user_black={ANN: ("a.example",)})
    assert match(half, "x@a.example", [ANN, BOB]).entry == "organisation: a.example"


def test_black_looks_at_from_too_and_white_does_not() -> None:
    assert match(LISTS, "bounce@mailer.example", [ANN], ["me@else.example", SENDER]).black
    assert not match(LISTS, "bounce@mailer.example", [EVE], [SENDER]).white
    assert match(LISTS, "good@shop.example", [EVE], ["x@a.bad.example"]).white
    assert needs_from(LISTS)
    assert not needs_from(AddressLists(white=("a.b",)))


def test_equally_exact_is_black() -> None:
    lists = AddressLists(black=("a@x.org", "y.org"), white=("A@X.org", "y.org"))
    assert match(lists, "a@x.org", [ANN]).black
    assert match(lists, "b@y.org", [ANN]).black


ADDRESSES = st.sampled_from(["a@x.org", "b@x.org", "c@y.org", "d@sub.x.org", ""])
USERS = st.sampled_from([ANN, BOB, EVE])
ENTRIES = st.lists(st.sampled_from(["a@x.org", "x.org", "*.x.org", "*@y.org", "<>"]), max_size=3).map(tuple)
ALL_LISTS = st.builds(
    AddressLists,
    black=ENTRIES,
    white=ENTRIES,
    user_black=st.dictionaries(USERS, ENTRIES, max_size=3),
    user_white=st.dictionaries(USERS, ENTRIES, max_size=3),
)


@given(ALL_LISTS, ADDRESSES, st.lists(USERS, min_size=1, max_size=4), st.lists(ADDRESSES, max_size=2))
def test_a_message_to_many_is_what_it_is_to_each(
    lists: AddressLists, sender: str, recipients: list[str], from_: list[str]
) -> None:
    whole = match(lists, sender, recipients, from_)
    alone = [match(lists, sender, [recipient], from_) for recipient in recipients]
    assert whole.black is all(each.black for each in alone)
    assert whole.white is all(each.white for each in alone)
    assert not (whole.black and whole.white)
    assert set(whole.blacklisted_by) == {user for each in alone for user in each.blacklisted_by}
    assert set(whole.whitelisted_by) == {user for each in alone for user in each.whitelisted_by}
    assert match(lists, sender, recipients[::-1], from_).black is whole.black


@given(st.text(), st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=2))
def test_no_envelope_makes_it_raise(sender: str, recipients: list[str], from_: list[str]) -> None:
    match(LISTS, sender, recipients, from_)


def test_kept_sorted_once_and_without_empty_lists() -> None:
    lists = check_lists(
        AddressLists(
            black=("z@b.org", "a.org", "@A.org", "a@b.org"),
            user_black={"Ann@corp.example": ("x.org",), "ann@CORP.example": ("y.org",), BOB: ()},
            user_white={"ann@corp.example": ("z.org",)},
        )
    )
    assert lists == AddressLists(
        black=("a.org", "a@b.org", "z@b.org"),
        user_black={"Ann@corp.example": ("x.org", "y.org")},
        user_white={"Ann@corp.example": ("z.org",)},
    )
    assert check_lists(lists) == lists
    assert lists.users == ["Ann@corp.example"]
    assert lists.of("white", "ANN@corp.example") == ("z.org",)
    assert [(user, color) for user, color, _ in each_list(lists)] == [
        ("", "black"),
        ("", "white"),
        ("Ann@corp.example", "black"),
        ("Ann@corp.example", "white"),
    ]


@pytest.mark.parametrize(
    "lists",
    [
        AddressLists(black=("a b",)),
        AddressLists(black=("*",)),
        AddressLists(white=("*@*",)),
        AddressLists(white=("*.*",)),
        AddressLists(user_white={"nobody": ("a.b",)}),
        AddressLists(user_black={ANN: ("",)}),
    ],
)
def test_what_is_no_list(lists: AddressLists) -> None:
    with pytest.raises(RuleError):
        check_lists(lists)


def test_added_to_and_removed_from_one_list() -> None:
    lists = added(AddressLists(), "black", ["a.org", "b@c.org"])
    lists = added(lists, "white", ["d.org"], ANN)
    assert lists == AddressLists(black=("a.org", "b@c.org"), user_white={ANN: ("d.org",)})
    lists = removed(lists, "black", ["@A.org", "not.there"])
    assert lists.black == ("b@c.org",)
    assert check_lists(removed(lists, "white", ["d.org"], "ANN@corp.example")).user_white == {}


def test_written_and_read_again(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    assert read_lists(any_vault) == AddressLists()
    written = write_lists(any_vault, LISTS, operator="ada")
    assert read_lists(open_again()) == written
    change_lists(any_vault, lambda lists: removed(lists, "black", ["shop.example"]), operator="bea")
    change_lists(any_vault, lambda lists: lists, operator="bea")
    newer, older = audit.events(any_vault)
    assert (newer.operator, newer.action) == ("bea", "address lists changed")
    assert newer.detail == "black list of the organisation: removed shop.example"
    assert f"white list of {EVE}: added news.example" in older.detail


def test_a_long_change_is_told_in_short(vault: Vault) -> None:
    change_lists(vault, lambda lists: added(lists, "black", [f"d{n:04}.org" for n in range(1500)]))
    detail = audit.events(vault)[0].detail
    assert detail.endswith("d0004.org and 1,495 more")
    with pytest.raises(RuleError, match="at most"):
        write_lists(vault, AddressLists(black=tuple(f"d{n}.org" for n in range(100_001))))
    assert len(read_lists(vault).black) == 1500


def test_lists_that_were_altered_are_not_used(vault: Vault) -> None:
    write_lists(vault, LISTS)
    vault.models.Configuration.update(sealed=b"x" * 99).execute()
    with pytest.raises(TamperedError, match="Address-lists"):
        read_lists(vault)


def test_no_rule_and_no_list_stands_in_the_files_in_plain_text(vault: Vault) -> None:
    write_rules(vault, [Rule(name="Zebra crossing", senders=("quagga.example",))], "root")
    write_lists(vault, AddressLists(black=("okapi.example",), user_white={"gnu@corp.example": ("eland.example",)}))
    written = b"".join(path.read_bytes() for path in Path(vault.location).parent.iterdir() if path.is_file())
    assert len(written) > 10_000
    for word in (b"Zebra", b"quagga", b"okapi", b"gnu@", b"eland"):
        assert word not in written
