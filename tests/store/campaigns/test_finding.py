"""Campaigns are found, saved in the derived rows, and read as saved; on both databases."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import pytest

from store.campaigns import marks
from store.campaigns.finding import find
from store.campaigns.grouping import OddCopy
from store.campaigns.oddness import Reason
from store.campaigns.reading import StandingReader
from store.campaigns.standing import Standing
from store.campaigns.stored import Stored
from store.campaigns.titles import Speller
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.store.campaigns.mail import letter, put, put_wave


def sets(standing: Standing) -> dict[int, list[int]]:
    return {one.id: list(one.copies) for one in standing.campaigns}


def test_what_was_found_is_read(any_vault: Vault) -> None:
    first, second, rest = put_wave(any_vault)
    reader = StandingReader(any_vault)
    empty = reader.read()
    assert (empty.campaigns, empty.number, empty.waiting) == ((), 0, 65)
    told: list[tuple[int, int]] = []
    result = find(any_vault, progress=lambda done, total: told.append((done, total)))
    assert (result.indexed, result.failed, result.grouped, result.campaigns) == (65, [], True, 2)
    assert told[-1] == (65, 65)
    standing = reader.read()
    assert sets(standing) == {1: first, 2: second} and standing.number == 1 and standing.waiting == 0
    assert standing.found_at and not standing.problems
    one = standing.campaigns[0]
    assert len(one.fits) == 30 and min(one.fits) > 50 and one.mark == marks.Mark(1)
    assert one.title and one.title == one.title.lower() and len(one.title.split()) == 4
    assert set(one.texts) == {one.seed.key, *(each.key for each in one.evidence)} and all(one.texts.values())
    place = standing.place(first[0])
    assert place is not None and (place.campaign, place.reasons) == (1, ())
    assert standing.place(rest[0]) is None
    assert reader.read() is standing


def test_where_nothing_changed_nothing_is_found_anew(any_vault: Vault) -> None:
    put_wave(any_vault)
    assert find(any_vault).grouped
    assert not find(any_vault).grouped
    assert find(any_vault, again=True).grouped


def test_ids_last_and_are_never_given_out_twice(any_vault: Vault) -> None:
    first, second, _ = put_wave(any_vault)
    find(any_vault)
    third = put(any_vault, [letter(7, number) for number in range(40)])
    find(any_vault)
    reader = StandingReader(any_vault)
    assert sets(reader.read()) == {1: first, 2: second, 3: third}
    any_vault.delete(third)
    find(any_vault)
    assert sets(reader.read()) == {1: first, 2: second}
    fourth = put(any_vault, [letter(8, number) for number in range(40)])
    find(any_vault)
    assert sets(reader.read()) == {1: first, 2: second, 4: fourth}


def test_what_operators_say_holds_at_once(any_vault: Vault) -> None:
    first, second, _ = put_wave(any_vault)
    find(any_vault)
    reader = StandingReader(any_vault)
    marks.name(any_vault, 2, "Parcels")
    assert reader.read().campaigns[1].mark.name == "Parcels"
    marks.peel(any_vault, 1, first[:2], first[5])
    standing = reader.read()
    place = standing.place(first[0])
    assert place is not None and (place.campaign, place.reasons) == (1, (Reason.APART,))
    assert list(standing.campaigns[0].copies) == first[2:] and len(standing.campaigns[0].fits) == 28
    marks.join(any_vault, 1, 2)
    standing = reader.read()
    assert sets(standing) == {2: first[2:] + second} and standing.campaigns[0].parts == (1,)
    assert standing.campaign(1) is standing.campaigns[0] and standing.campaigns[0].mark.name == "Parcels"
    assert [each.copy for each in standing.campaigns[0].odd] == first[:2]
    marks.join(any_vault, 1, 0)
    assert sets(reader.read()) == {1: first[2:], 2: second}
    # The separation stays when campaigns are found anew.
    assert find(any_vault).grouped
    assert sets(reader.read()) == {1: first[2:], 2: second}


def test_damaged_rows_are_left_out_and_told(any_vault: Vault, sql: Callable[..., Any]) -> None:
    first, second, _ = put_wave(any_vault)
    find(any_vault)
    sql(any_vault, "UPDATE derived SET sealed = SUBSTR(sealed, 1, 40) WHERE id = -1 AND kind = 'campaign'")
    standing = StandingReader(any_vault).read()
    assert sets(standing) == {2: second} and "Campaign 1 is damaged" in standing.problems[0]
    sql(any_vault, "DELETE FROM derived WHERE id = -2 AND kind = 'campaign'")
    standing = StandingReader(any_vault).read()
    assert sets(standing) == {} and len(standing.problems) == 2
    sql(any_vault, "UPDATE derived SET sealed = SUBSTR(sealed, 1, 40) WHERE id = 0 AND kind = 'campaign'")
    standing = StandingReader(any_vault).read()
    assert sets(standing) == {} and "state of campaigns" in standing.problems[0].lower()
    # Campaigns are found anew under new ids, because the copies of the old ones are unknown.
    assert find(any_vault).grouped
    assert sets(StandingReader(any_vault).read()) == {3: first, 4: second}


def test_what_is_cancelled_changes_nothing(any_vault: Vault) -> None:
    put_wave(any_vault)
    assert find(any_vault, cancelled=lambda: True).cancelled
    find(any_vault)
    standing = StandingReader(any_vault).read()
    put(any_vault, [letter(7, number) for number in range(40)])
    asked = iter([False] * 42)
    assert find(any_vault, cancelled=lambda: next(asked, True)).cancelled
    assert sets(StandingReader(any_vault).read()) == sets(standing)


def test_rows_of_campaigns_stay_when_copies_go(any_vault: Vault) -> None:
    first, second, rest = put_wave(any_vault)
    find(any_vault)
    any_vault.delete(first + second + rest)
    assert sets(StandingReader(any_vault).read()) == {1: first, 2: second}


def test_what_is_in_the_bin_keeps_its_campaign_and_tells_what_is_like_it(any_vault: Vault) -> None:
    first, second, rest = put_wave(any_vault)
    find(any_vault)
    marks.name(any_vault, 1, "Parcels")
    reader = StandingReader(any_vault)
    any_vault.bin.put(first, until=1 << 50)
    assert not find(any_vault).grouped
    assert find(any_vault, again=True).grouped
    assert sets(reader.read()) == {1: first, 2: second}
    [more] = put(any_vault, [letter(0, 100)])
    find(any_vault)
    assert sets(reader.read()) == {1: [*first, more], 2: second}
    any_vault.bin.restore(first)
    assert sets(StandingReader(any_vault).read()) == {1: [*first, more], 2: second}
    assert reader.read().campaigns[0].mark.name == "Parcels"
    assert reader.read().place(rest[0]) is None


def test_what_joined_and_went_into_the_bin_has_its_place_when_it_comes_back(
    any_vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = put_wave(any_vault, (200,), 10)
    find(any_vault)
    monkeypatch.setattr("store.campaigns.finding._SOON_MS", -1)
    [joined, later] = put(any_vault, [letter(0, 500), letter(0, 501)])
    any_vault.bin.put([later], until=1 << 50)
    reader = StandingReader(any_vault)
    assert not find(any_vault).grouped
    any_vault.bin.put([joined], until=1 << 50)
    assert sets(StandingReader(any_vault).read()) == {1: [*first, joined]}
    any_vault.bin.restore([joined, later])
    # One of them has no traits yet.
    assert not find(any_vault).grouped
    assert sets(reader.read()) == sets(StandingReader(any_vault).read()) == {1: [*first, joined, later]}


def test_keys_that_few_copies_have_are_spelled_too(vault: Vault) -> None:
    """A link in one of six copies is evidence, although it is in none of the copies that the title is made from."""
    put(vault, [letter(0, number) + b"http://rare.example/offer\n" * (number % 6 == 5) for number in range(120)])
    put_wave(vault, (), 150)
    find(vault)
    [one] = StandingReader(vault).read().campaigns
    assert set(one.texts) == {one.seed.key, *(each.key for each in one.evidence)}


def test_a_campaign_of_odd_copies_has_a_title_too(vault: Vault) -> None:
    put_wave(vault)
    find(vault)
    _, handles = Stored(vault).handles()
    odd = tuple(OddCopy(copy, (Reason.REPLY,)) for copy in handles[1].copies)
    title, texts = Speller(vault, {}, lambda: None).spelled(handles[1]._replace(copies=array("Q"), fits=b"", odd=odd))
    assert len(title.split()) == 4 and texts[handles[1].seed.key]


def test_the_title_is_of_copies_that_can_be_read(vault: Vault) -> None:
    first, _, _ = put_wave(vault)
    find(vault)
    _, handles = Stored(vault).handles()
    title, _ = Speller(vault, {}, lambda: None).spelled(handles[1])
    vault.bin.put(first[:-1], until=1 << 50)
    known = dict.fromkeys((handles[1].seed.key, *(each.key for each in handles[1].evidence)), "known before")
    assert Speller(vault, known, lambda: None).spelled(handles[1])[0] == title


def test_a_title_without_letters_is_replaced_by_a_text_with_letters(vault: Vault) -> None:
    first, _, _ = put_wave(vault)
    find(vault)
    _, handles = Stored(vault).handles()
    one = handles[1]
    assert one.evidence
    vault.bin.put(first, until=1 << 50)
    texts = {each.key: f"text {place}" for place, each in enumerate(one.evidence)} | {one.seed.key: "# # #"}
    title, _ = Speller(vault, texts, lambda: None).spelled(one)
    assert title.startswith("text ")


def test_a_title_keeps_the_signs_of_its_letters(vault: Vault) -> None:
    written = "केवल आज सभी पर {} प्रतिशत छूट"
    for number in range(40):
        subject = written.format(number)
        raw = letter(0, number).replace(b"Subject: ", f"Subject: {subject}\nX-Was: ".encode())
        put(vault, [raw], CopyRecord(subject=subject))
    put_wave(vault, (), 30)
    find(vault)
    [one] = StandingReader(vault).read().campaigns
    assert one.title == written.format("#")
