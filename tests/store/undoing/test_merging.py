"""Undoing a change among the changes of others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from store.undoing.merging import in_order, without_change, without_entries

keys = st.integers(0, 7)
mappings = st.dictionaries(keys, st.integers(0, 3))
entries = st.sets(keys)


@given(mappings, mappings)
def test_what_nobody_touched_since_is_as_it_was(before: dict[int, int], after: dict[int, int]) -> None:
    assert without_change(before, after, after) == (before, [])


@given(mappings, mappings, mappings)
def test_what_others_changed_stays(before: dict[int, int], after: dict[int, int], present: dict[int, int]) -> None:
    merged, kept = without_change(before, after, present)
    for key in {*before, *after, *present}:
        touched = before.get(key) != after.get(key)
        if touched and present.get(key) == after.get(key):
            assert merged.get(key) == before.get(key)
        else:
            assert merged.get(key) == present.get(key)
        assert (key in kept) == (touched and present.get(key) not in (before.get(key), after.get(key)))


@given(mappings, mappings, mappings)
def test_doing_it_again_brings_it_all_back(
    before: dict[int, int], after: dict[int, int], present: dict[int, int]
) -> None:
    merged, kept = without_change(before, after, present)
    again, kept_again = without_change(after, before, merged)
    assert sorted(kept_again) == sorted(kept)
    wanted = {key: after.get(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert all(again.get(key) == value for key, value in wanted.items() if key not in kept)


@given(entries, entries, entries)
def test_of_a_list_each_entry_by_itself(before: set[int], after: set[int], present: set[int]) -> None:
    assert without_entries(before, after, after) == before
    merged = without_entries(before, after, present)
    assert merged - before - after == present - before - after
    assert merged & before & after == present & before & after
    assert not merged & (after - before)
    assert merged >= before - after


@given(st.permutations(range(6)), entries, entries)
def test_what_comes_back_stands_behind_what_was_before_it(former: list[int], gone: set[int], new: set[int]) -> None:
    present = [*(key for key in former if key not in gone), *sorted(key + 100 for key in new)]
    items = {key: key for key in (*former, *present)}
    ordered = in_order(items, former, present, restore=lambda: False)
    assert sorted(ordered) == sorted(items)
    assert [key for key in ordered if key in former] == former


@given(st.permutations(range(6)), st.permutations(range(6)), st.sets(keys))
def test_a_former_order_is_put_back_around_what_is_new(former: list[int], moved: list[int], new: set[int]) -> None:
    present = [*moved[:3], *sorted(key + 100 for key in new), *moved[3:]]
    ordered = in_order({key: key for key in present}, former, present, restore=lambda: True)
    assert [key for key in ordered if key < 100] == former
    assert [place for place, key in enumerate(ordered) if key >= 100] == [
        place for place, key in enumerate(present) if key >= 100
    ]
