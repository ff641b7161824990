"""Monitoring: the text of its bars, and that it fits."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from store.authority.settings import Settings
from store.catalogue.catalogue import Catalogue
from store.space.limits import Usage
from store.space.rotation import Forecast
from store.terms.records import CopyRecord
from store.terms.verdicts import Engine, Status, Verdict
from tests.tui.console.view_harness import NOW, ZONE, ViewApp, screen_text, settle
from tui.console.screens.monitoring import MonitoringView
from tui.console.text.monitoring_lines import Facts, bar, chart, monitoring_lines

DAY = 86_400_000
MIB = 1 << 20
COUNTS = {
    Engine.ANTI_SPAM: 79_020,
    Engine.ANTI_PHISHING: 3_105,
    Engine.CONTENT: 601,
    Engine.ANTI_VIRUS: 412,
    Engine.BLACK_LIST: 172,
}


def days(number: int = 90):
    start = NOW // DAY * DAY - (number - 1) * DAY
    return [
        (start + day * DAY, {engine: (day * 7919 % 13) * count // 600 for engine, count in COUNTS.items()})
        for day in range(number)
    ]


def facts(**changes) -> Facts:
    values = {
        "usage": Usage(83_310, 6053 * MIB, 7500 * MIB, 1447 * MIB, NOW - 11 * DAY),
        "settings": Settings(),
        "engines": COUNTS,
        "days": days(),
        "forecast": Forecast(NOW - 11 * DAY, 412 * MIB, NOW + 3 * DAY),
        "share": 1.0,
        "now": NOW,
        "zone": ZONE,
    }
    return Facts(**(values | changes))


def drawn(found: Facts, width: int = 79, height: int = 20) -> list[str]:
    return ["".join(span.text for span in line) for line in monitoring_lines(found, width, height)]


def test_all_rows_of_days_are_to_one_scale_which_is_said() -> None:
    assert chart([1, 2], 1, scale=8) == ["▁▂"]
    day = {Engine.ANTI_SPAM: 80, Engine.ANTI_VIRUS: 10}
    lines = drawn(facts(days=[(NOW, day)] * 14), 120)
    assert any("every row to one scale: 0 to 80 a day" in line for line in lines)
    for width in (40, 56, 79):
        assert any("scale 0 to 80" in line for line in drawn(facts(days=[(NOW, day)] * 14), width))
    rows = {line.split()[0]: line for line in lines if "max" in line}
    assert "█" in rows["Anti-Spam"] and "█" not in rows["Anti-Virus"] and "▁" in rows["Anti-Virus"]


@given(st.floats(0, 1), st.integers(1, 200))
def test_a_bar_fills_its_cells_and_shows_anything_above_nothing(value, width):
    shown = bar(value, width)
    assert len(shown) == width
    assert bool(shown.strip()) == (value > 0)
    assert abs(shown.count("█") - value * width) <= 1


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=90), st.integers(1, 4), st.integers(1, 3))
def test_a_chart_has_its_size_and_its_greatest_value_reaches_the_top(values, height, cells):
    rows = chart(values, height, cells)
    assert len(rows) == height
    assert {len(row) for row in rows} == {len(values) * cells}
    if max(values):
        at = values.index(max(values)) * cells
        assert all(row[at] == "█" for row in rows)
    for place, value in enumerate(values):
        assert (rows[-1][place * cells] == "·") == (value == 0)


@pytest.mark.parametrize("width", [57, 79, 100, 120, 200])
def test_no_line_is_wider_than_the_view(width):
    assert max(map(cell_len, drawn(facts(), width, 40))) <= width


def test_it_fits_the_smallest_terminal():
    assert len(drawn(facts(), 79, 21)) <= 21


def test_it_uses_the_height_there_is():
    assert len(drawn(facts(), 150, 46)) > 30


def test_it_says_what_is_used_free_and_oldest():
    text = "\n".join(drawn(facts()))
    assert "5.91 GB of 7.32 GB" in text
    assert "81 %" in text
    assert "1.41 GB  notify below 500 MB" in text
    assert "13 Nov 2026 09:41" in text
    assert "removes it in about 3 days, on 27 Nov 2026" in text
    assert "412 MB a day" in text


def test_it_counts_by_engine_the_most_first():
    text = drawn(facts())
    at = next(place for place, line in enumerate(text) if line.startswith("Copies by engine"))
    assert "83,310 in all" in text[at]
    assert [line.split()[0] for line in text[at + 1 : at + 6]] == [
        "Anti-Spam",
        "Anti-Phishing",
        "Content",
        "Anti-Virus",
        "Black",
    ]
    assert "79,020" in text[at + 1]
    assert "94.9 %" in text[at + 1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"forecast": Forecast(NOW - DAY, 412 * MIB, NOW - 1)}, "removing the oldest copies now"),
        ({"forecast": Forecast(NOW - DAY, 0, None)}, "not expected"),
        ({"forecast": Forecast(None, 0, None)}, "Backup is empty"),
        ({"settings": Settings(notify_below=2048 * MIB)}, "△ below the threshold of 2 GB"),
        ({"settings": Settings(notify_below=0)}, "no notification"),
        ({"share": 0.4}, "counting: 40 % so far"),
        ({"engines": COUNTS | {None: 7}}, "No verdict"),
    ],
)
def test_it_says_what_is_out_of_the_ordinary(changes, words):
    assert words in "\n".join(drawn(facts(**changes)))


def test_an_empty_store_is_drawn():
    empty = facts(
        usage=Usage(0, 0, 7500 * MIB, 7500 * MIB, None), engines={}, days=[], forecast=Forecast(None, 0, None)
    )
    text = "\n".join(drawn(empty))
    assert "0 in all" in text
    assert "none in the last 42 days" in text


async def test_it_follows_a_real_store(vault):
    def put(engine: Engine, status: Status, age: int) -> None:
        verdict = Verdict(engine, status)
        record = CopyRecord(verdicts=(verdict,), reason=verdict)
        vault.put(b"Subject: x\r\n\r\nx\r\n", record, stored_at=NOW - age * DAY)

    put(Engine.ANTI_VIRUS, Status.INFECTED, 3)
    put(Engine.ANTI_SPAM, Status.SPAM, 2)
    put(Engine.ANTI_SPAM, Status.SPAM, 0)
    catalogue = Catalogue(vault, now=lambda: NOW)
    catalogue.start()
    try:
        assert catalogue.wait_complete(30)
        app = ViewApp(vault, MonitoringView, catalogue=catalogue)
        async with app.run_test(size=(80, 24)) as pilot:
            await settle(pilot)
            assert "3 in all" in screen_text(app)
            assert "3 in 42 days" in screen_text(app)
            put(Engine.CONTENT, Status.BANNED_FILE_NAME, 0)
            catalogue.refresh()
            app.view.refresh_data()
            await settle(pilot)
            assert "4 in all" in screen_text(app)
            await pilot.press("escape")
            assert ("go", "backup") in app.asked
    finally:
        catalogue.close()


def test_days_are_named_in_the_zone_shown():
    text = drawn(facts(zone=UTC), 79, 20)
    assert [line for line in text if line][-1].split()[-2:] == ["24", "Nov"]


def test_the_oldest_time_is_the_same_to_the_minute_in_every_zone():
    for minutes in (0, 120, 330, 345, -210):
        [line] = [line for line in drawn(facts(zone=timezone(timedelta(minutes=minutes)))) if "Oldest" in line]
        assert line.rstrip().endswith("11 days") and line.count(":") == 1 and "UTC" not in line
