"""`mailhold campaigns`, and the campaigns in `mailhold list --json`."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from store.opening.opening import Unlock, open_store
from store.terms.records import CopyRecord
from store.terms.verdicts import Engine, Status, Verdict
from tests.store.campaigns.mail import letter, put, single
from tests.tui.commands.test_cli import Run
from tests.tui.commands.test_cli_rules import run
from tui.commands import campaigns

__all__ = ["run"]

SPAM = Verdict(Engine.ANTI_SPAM, Status.SPAM)
HOSTILE = CopyRecord(from_="\x1b[31mred <red@x.example>", subject="\x1b]0;owned\x07[@click=app.quit]x[/]", reason=SPAM)


def add(tmp_path: Path, raws: list[bytes], record: CopyRecord | None = None) -> list[int]:
    """Put messages into the test's store."""
    vault = open_store(str(tmp_path / "backup.db"), Unlock.key_file(tmp_path / "key"))
    try:
        return put(vault, raws, record)
    finally:
        vault.close()


@pytest.fixture
def wave(run: Run, tmp_path: Path) -> dict[int, list[int]]:
    """Make two campaigns, one with copies of a hostile sender, and letters in none."""
    record = CopyRecord(
        from_="A <a@x.example>", subject="Hi", to="u@corp.example", envelope_recipients=("u@corp.example",), reason=SPAM
    )
    first = add(tmp_path, [letter(0, number) for number in range(28)], record)
    first += add(tmp_path, [letter(0, number) for number in range(28, 30)], HOSTILE)
    second = add(tmp_path, [letter(1, number) for number in range(20)], record)
    add(tmp_path, [single(number) for number in range(15)], record)
    return {1: first, 2: second}


def found(run: Run, *words: str) -> list[dict[str, Any]]:
    done = run("campaigns", *words, "--json")
    assert done.code == 0, done.err
    return list(done.json)


def test_the_list_finds_what_is_new_and_says_what_it_comes_to(
    run: Run, wave: dict[int, list[int]], tmp_path: Path
) -> None:
    assert found(run, "--no-find") == [] and run("list", "--json").json[0]["campaign"] is None
    first, second = found(run)
    assert (first["id"], first["copies"], first["odd"], first["state"]) == (1, 30, 0, "new")
    assert (first["owner"], first["note"], first["offered"], first["rank"]) == (None, None, True, "plain")
    assert (first["recipients"], first["senders"]) == (1, 2)
    assert first["held_by"] == [{"engine": "anti-spam", "status": "spam", "copies": 30}]
    assert first["name"] == first["title"] and len(first["title"].split()) == 4
    assert first["first"] <= first["last"] and first["last_hour"] == 30
    seed, *others = first["evidence"]
    assert seed["seed"] and not any(each["seed"] for each in others) and seed["inside"] > 15 and seed["text"]
    assert {each["strand"] for each in first["evidence"]} == {"content", "payload", "origin"}
    assert second["copies"] == 20
    add(tmp_path, [letter(0, number) for number in range(30, 35)])
    assert found(run, "--no-find")[0]["copies"] == 30
    assert found(run)[0]["copies"] == 35
    table = run("campaigns")
    assert re.search(r"^ +1 +35 +- +1 +Spam \+1", table.out, re.MULTILINE)
    assert table.out.endswith("Not in a campaign: 15 copies from 1 sender\n")


def test_what_polars_sums_up_is_the_same(run: Run, wave: dict[int, list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    plainly, words = found(run), run("campaigns").out
    monkeypatch.setattr(campaigns, "MANY_COPIES", 0)
    assert found(run) == plainly and run("campaigns").out == words


def test_a_campaign_is_shown_with_its_copies_and_the_odd_ones(
    run: Run, wave: dict[int, list[int]], tmp_path: Path
) -> None:
    assert run("campaigns", "show", 1).code == 0
    assert run("campaigns", "peel", 1, wave[1][0], f"{wave[1][1]}-{wave[1][2]}").code == 0
    assert run("delete", wave[1][3], "--yes").code == 0
    shown = run("campaigns", "show", 1, "--no-find", "--json").json
    assert [each["id"] for each in shown["members"]] == wave[1][4:]
    assert all(50 < each["fit"] <= 100 for each in shown["members"])
    assert [(each["id"], each["reasons"][0]) for each in shown["odd_members"]] == [
        (copy, "apart") for copy in wave[1][:3]
    ]
    assert (shown["copies"], shown["odd"]) == (26, 3)
    words = run("campaigns", "show", 1, "--no-find", "--limit", 26).out
    assert "peeled off, or similar" in words and "more (--limit" not in words
    assert "\x1b" not in words and "\x07" not in words and "red@x.example" in words
    assert "and 16 copies more (--limit N" in run("campaigns", "show", 1, "--no-find", "--limit", 10).out
    missing = run("campaigns", "show", 9)
    assert missing.code == 2 and "There is no campaign 9" in missing.err


def test_the_list_of_copies_only_reads(run: Run, wave: dict[int, list[int]], tmp_path: Path) -> None:
    rows = {row["id"]: row for row in run("list", "--json").json}
    assert all((row["campaign"], row["fit"], row["odd"]) == (None, None, None) for row in rows.values())
    found(run)
    run("campaigns", "peel", 2, wave[2][0])
    rows = {row["id"]: row for row in run("list", "--json").json}
    one, odd = rows[wave[2][1]], rows[wave[2][0]]
    assert (one["campaign"], one["odd"], one["odd_reasons"]) == (2, False, []) and 50 < one["fit"] <= 100
    assert (odd["campaign"], odd["fit"], odd["odd"], odd["odd_reasons"]) == (2, None, True, ["apart"])
    assert sum(row["campaign"] is None for row in rows.values()) == 15
    new = add(tmp_path, [letter(1, 50)])
    assert next(row for row in run("list", "--json").json if row["id"] == new[0])["campaign"] is None


def test_what_is_said_of_a_campaign_is_printed_and_taken_back(run: Run, wave: dict[int, list[int]]) -> None:
    found(run)
    for words, said in (
        (["name", 1, "Invoices", "overdue"], "Campaign 1 is named Invoices overdue. `mailhold undo` takes this back."),
        (["own", 1], "Campaign 1 belongs to "),
        (["note", 1, "blocked at the proxy"], 'Note on campaign 1: "blocked at the proxy".'),
        (["state", 1, "done"], "Campaign 1 is done."),
        (["peel", 1, wave[1][0]], "1 copy taken out of campaign 1. Similar copies that arrive later stay out too."),
        (["join", 2, 1], "Campaign 2 is joined to campaign 1."),
    ):
        done = run("campaigns", *words)
        assert done.code == 0 and done.out.startswith(said), done
    [one] = found(run, "--no-find")
    assert (one["id"], one["copies"], one["odd"], one["joined"]) == (1, 49, 1, [2])
    assert (one["name"], one["state"], one["note"]) == ("Invoices overdue", "done", "blocked at the proxy")
    assert one["owner"] and one["title"] != one["name"]
    assert "Campaign 2 is no longer joined to another." in run("campaigns", "join", 2, 0).out
    assert len(found(run, "--no-find")) == 2
    assert run("campaigns", "name", 1, "").out.startswith("Campaign 1 has no name.")
    assert run("campaigns", "own", 1, "", "--json").json["owner"] is None
    assert "belongs to ann" in run("campaigns", "own", 1, "ann").out


def test_a_colleagues_campaign_is_asked_about(
    run: Run, wave: dict[int, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found(run)
    assert run("campaigns", "own", 2, "ann\x1b[31m").code == 2
    assert run("campaigns", "own", 2, "ann").code == 0
    done = run("campaigns", "state", 2, "done")
    assert done.code == 2 and "Campaign 2 belongs to ann, not to you." in done.err and "--yes" in done.err
    assert run("campaigns", "join", 1, 2).code == 2
    asked: list[str] = []
    monkeypatch.setattr("tui.commands.asking.can_ask", lambda: True)
    monkeypatch.setattr("tui.commands.asking.ask", lambda question: asked.append(question) or "n")
    assert run("campaigns", "name", 2, "mine").code == 2 and asked[0].endswith("Go on? [y/N] ")
    assert found(run)[1]["name"] != "mine"
    monkeypatch.setattr("tui.commands.asking.ask", lambda question: "y")
    assert run("campaigns", "name", 2, "mine").code == 0
    assert run("campaigns", "state", 2, "done", "--yes").code == 0


@pytest.mark.parametrize(
    "words",
    [
        *(["list", "1"], ["show"], ["show", "1-2"], ["show", "x"], ["show", "1", "2"], ["peel", "1"], ["join", "1"]),
        *(["join", "1", "x"], ["name", "1"], ["state", "1", "shut"], ["own"], ["peel", "1", "x"]),
        *(["name", "1", "a", "--no-find"], ["list", "--limit", "3"]),
    ],
)
def test_wrong_words_are_refused_before_the_store_is_opened(run: Run, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "backup.db").write_bytes(b"not a store")
    done = run("campaigns", *words)
    assert done.code == 2 and "not a Mailhold store" not in done.err and "Traceback" not in done.err


def test_copies_that_are_not_in_it_or_all_of_them_are_not_taken_out(run: Run, wave: dict[int, list[int]]) -> None:
    found(run)
    done = run("campaigns", "peel", 1, wave[2][0])
    assert done.code == 2 and f"Copy {wave[2][0]} is not in campaign 1" in done.err
    done = run("campaigns", "peel", 1, f"{wave[1][0]}-{wave[1][-1]}")
    assert done.code == 2 and "Leave at least one that fits" in done.err
    assert run("campaigns", "name", 7, "x").code == 2


def test_what_is_damaged_is_named(run: Run, wave: dict[int, list[int]], tmp_path: Path) -> None:
    found(run)
    with sqlite3.connect(tmp_path / "backup.db") as database:
        database.execute("UPDATE derived SET sealed = x'00' WHERE kind = 'campaign' AND id = -2")
        database.execute("UPDATE message SET record = x'00' WHERE id = ?", (wave[1][0],))
    done = run("campaigns", "list", "--no-find")
    assert done.code == 1 and "Campaign 2 is damaged" in done.err and "Traceback" not in done.err
    assert run("list", "--json", "--limit", "1").err.count("Campaign 2") == 1
    done = run("campaigns", "show", 1, "--no-find", "--json")
    assert done.code == 1 and f"copy {wave[1][0]}" in done.err and len(done.json["members"]) == 29
    assert [each["copies"] for each in found(run)] == [29, 20] and run("campaigns", "--no-find").code == 0


def test_a_store_that_can_only_be_read_is_read(run: Run, wave: dict[int, list[int]], tmp_path: Path) -> None:
    found(run)
    add(tmp_path, [letter(0, number) for number in range(30, 35)])
    (tmp_path / "backup.db").chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        done = run("campaigns", "--json")
    finally:
        tmp_path.chmod(0o700)
    assert done.code == 0 and done.json[0]["copies"] in (30, 35)


def test_a_campaign_in_the_bin_is_not_listed_and_comes_back_as_it_was(
    run: Run, wave: dict[int, list[int]], tmp_path: Path
) -> None:
    found(run)
    assert run("campaigns", "name", 1, "Parcels").code == 0
    assert run("delete", f"{wave[1][0]}-{wave[1][-1]}", "--yes").code == 0
    add(tmp_path, [letter(7, number) for number in range(20)])
    assert [each["id"] for each in found(run)] == [2, 3]
    assert not re.search(r"^ +1 ", run("campaigns").out, re.MULTILINE)
    assert run("undo", "--yes").code == 0
    first = found(run)[0]
    assert (first["id"], first["copies"], first["name"]) == (1, 30, "Parcels")
