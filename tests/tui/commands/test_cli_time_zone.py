"""Filters of commands read dates and times in the operator's time zone, as the console and the lists show them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from store.opening.opening import Unlock, open_store
from tests.tui.commands.test_cli import Run, filled, mail, run
from tui.terminal.cells import local_zone
from tui.terminal.times import full_time

__all__ = ["filled", "mail", "run"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def test_what_the_list_shows_finds_the_copy(filled: Run, tmp_path: Path, zone: str) -> None:
    vault = open_store(str(tmp_path / "backup.db"), Unlock.key_file(tmp_path / "key"))
    ids = [
        vault.put(b"Subject: x\r\n\r\n", vault.get(1).record, stored_at=round(each.timestamp() * 1000))
        for each in (datetime(2026, 7, 1, 12, tzinfo=UTC), datetime(2026, 1, 15, 3, tzinfo=UTC))
    ]
    vault.close()
    for copy_id in ids:
        [shown] = [line for line in filled("list").out.splitlines() if line.split()[0] == str(copy_id)]
        minute = "T".join(shown.split()[1:3])
        query = f"since:{minute} until:{minute}"
        assert [each["id"] for each in filled("list", "--json", query).json] == [copy_id]
        done = filled("save", "--query", query, "--to", tmp_path / "out", "--json", "--yes")
        assert len(done.json["saved"]) == 1
    assert filled("delete", "--query", f"since:{minute} until:{minute}", "--yes", "--json").json["deleted"] == 1


def test_show_has_the_times_of_the_message_view_and_json_has_utc(filled: Run, zone: str) -> None:
    placed = filled("show", 1, "--json").json["time_placed_in_backup"]
    moment = datetime.fromisoformat(placed)
    assert placed.endswith("Z")
    text = filled("show", 1).out
    [shown] = [line[36:] for line in text.splitlines() if line.startswith("Time placed in Backup")]
    assert shown == full_time(round(moment.timestamp() * 1000), local_zone())
    assert shown.split()[3] == moment.astimezone().strftime("%H:%M:%S")
    assert placed not in text


def test_the_local_zone_is_the_systems_at_every_moment(zone: str) -> None:
    tz = local_zone()
    for hour in range(366 * 24):
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
        there, system = moment.astimezone(tz), moment.astimezone()
        assert (there.replace(tzinfo=None), there.utcoffset()) == (system.replace(tzinfo=None), system.utcoffset())
        assert there - _EPOCH == moment - _EPOCH


def test_times_that_the_system_cannot_convert_have_the_offset_of_now(zone: str) -> None:
    for year in (2, 9998):
        assert datetime(year, 1, 1, tzinfo=UTC).astimezone(local_zone()).year in (year, year - 1)
