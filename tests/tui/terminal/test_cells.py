"""Numbers and times in few cells, and columns that fill a width exactly."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.catalogue.sort import SortKey
from store.terms.verdicts import Engine, Status
from tests.tui.console.fakes import MINUTE, NOW
from tui.console.text.columns import SHORT_ENGINES, columns, severity, status_label
from tui.console.widgets.list_header import header_line
from tui.terminal.cells import age, placed, short_size, zone_name

DAY = 1440 * MINUTE


@given(st.integers(0, 2**45))
def test_a_size_takes_at_most_six_cells(size: int) -> None:
    assert len(short_size(size)) <= 6


def test_sizes_are_binary() -> None:
    assert [short_size(size) for size in (0, 999, 1024, 86_000, 2_200_000, 3 * 2**30)] == [
        "0 B",
        "999 B",
        "1.0 KB",
        "84 KB",
        "2.1 MB",
        "3.0 GB",
    ]


@given(st.integers(-(2**60), 2**60), st.sampled_from([6, 12]))
def test_a_time_fits_its_column(ms: int, width: int) -> None:
    assert len(placed(ms, NOW, UTC, width)) <= width


def test_times_say_what_tells_them_apart() -> None:
    zone = timezone(timedelta(hours=2))
    assert placed(NOW, NOW, zone, 12) == "24 Nov 11:00"
    assert placed(NOW, NOW, zone, 6) == " 11:00"
    assert placed(NOW - 3 * DAY, NOW, zone, 6) == "21 Nov"
    assert placed(NOW - 400 * DAY, NOW, zone, 12) == "20 Oct  2025"
    assert placed(NOW - 400 * DAY, NOW, zone, 6) == "  2025"


def test_ages_are_rough() -> None:
    assert age(NOW - 11 * DAY, NOW) == "11 days"
    assert age(NOW - 61 * MINUTE, NOW) == "1 hour"
    assert age(NOW + DAY, NOW) == "a moment"


@pytest.mark.parametrize(
    ("minutes", "name"), [(0, "UTC"), (120, "UTC+2"), (-210, "UTC-3:30"), (345, "UTC+5:45"), (-60, "UTC-1")]
)
def test_a_zone_is_its_distance(minutes: int, name: str) -> None:
    assert zone_name(timezone(timedelta(minutes=minutes)), NOW) == name


@given(st.integers(32, 400))
def test_columns_fill_the_width_and_never_overlap(width: int) -> None:
    fitted = columns(width)
    for left, right in pairwise(fitted):
        assert left.x + left.width < right.x
    assert fitted[-1].x + fitted[-1].width == width


def test_wide_lists_show_every_column_of_the_spec() -> None:
    names = {column.name for column in columns(134)}
    assert names == {"mark", "outcome", "sign", "placed", "engine", "status", "from", "to", "subject", "size", "rule"}


@given(st.integers(32, 400))
def test_the_sender_and_the_subject_are_always_there(width: int) -> None:
    assert {"mark", "placed", "from", "subject"} <= {column.name for column in columns(width)}


def test_every_status_fits_where_it_is_cut_short() -> None:
    assert all(len(status_label(status, 14)) <= 14 for status in Status)
    assert all(len(label) <= 13 for label in SHORT_ENGINES.values())
    assert set(SHORT_ENGINES) == set(Engine)


@pytest.mark.parametrize("width", [*range(44, 79), 92, 100, 110, 125])
def test_who_blacklisted_is_told_where_no_column_names_the_engine(width: int) -> None:
    cells = next(column.width for column in columns(width) if column.name == "status")
    labels = [status_label(Status.BLACKLISTED, cells, engine) for engine in (Engine.ANTI_SPAM, Engine.BLACK_LIST)]
    assert labels[1] == "Black list" and labels[0] in ("Blacklisted", "Spam list")
    shown = [status_label(status, cells) for status in Status]
    assert len(set(shown)) == len(Status) and all(len(label) <= cells for label in shown if label != "Not scanned")


@given(st.integers(34, 200), st.sampled_from(SortKey), st.booleans())
def test_the_header_says_the_sort_at_every_width(width: int, key: SortKey, descending: bool) -> None:
    line = header_line(width, key.value, descending)
    sign, names = ("▾" if descending else "▴"), {"engine": ("Engine", "Status")}.get(key.value, (key.value.title(),))
    assert any(f"{name}{sign}" in line for name in names) and len(line) <= width
    plain = line.replace(sign, " ")
    assert all(f" {column.title} " in f" {plain} " for column in columns(width) if column.title != "Subject")


def test_infection_is_the_only_danger() -> None:
    assert {status for status in Status if severity(status) == "danger"} == {Status.INFECTED, Status.PROBABLY_INFECTED}
    assert severity(None) == "bulk"
