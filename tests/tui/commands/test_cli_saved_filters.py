"""Saved filters by name in every command that takes a query."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.filters.saved import save_filter
from store.opening.opening import Unlock, open_store
from tests.tui.commands.test_cli import Run, filled, mail, run

__all__ = ["filled", "mail", "run"]


@pytest.fixture
def saved(filled: Run, tmp_path: Path) -> Run:
    vault = open_store(str(tmp_path / "backup.db"), Unlock.key_file(tmp_path / "key"))
    save_filter(vault, "News letters", "from:news.example or from:evil.example")
    save_filter(vault, "billing", "from:billing")
    save_filter(vault, "blank", 'subject:" "')
    vault.close()
    return filled


def froms(run: Run, *words: str) -> set[str]:
    done = run("list", "--json", *words)
    assert done.code == 0, done.err
    return {row["from"].rpartition("@")[2].rstrip(">") for row in done.json}


def test_the_list_takes_names(saved: Run) -> None:
    assert froms(saved, "@news-letters") == froms(saved, "@News letters") == {"news.example", "evil.example"}
    assert (
        froms(saved, "@news-letters", "-from:evil") == froms(saved, "@News letters", "-from:evil") == {"news.example"}
    )
    assert froms(saved, "-@BILLING") == {"news.example", "evil.example"}
    assert froms(saved, "--limit", "1", "@billing") == {"acme.example"}
    assert froms(saved, "@corp.example") == {"acme.example", "news.example", "evil.example"}


@pytest.mark.parametrize(
    "words", [["list", "@biling"], ["delete", "--query", "x @biling"], ["deliver", "--query", "@biling", "--original"]]
)
def test_a_name_that_nobody_saved_is_told_with_those_near_it(saved: Run, words: list[str]) -> None:
    done = saved(*words)
    assert done.code in (1, 2) and "There is no saved filter @biling. Similar: @billing." in done.err
    assert len(saved("list", "--json").json) == 3


def test_acts_by_name_ask_as_acts_by_query_do(saved: Run, tmp_path: Path) -> None:
    done = saved("delete", "--query", "@news-letters")
    assert done.code == 2 and "This deletes 2 copies" in done.err and "--yes" in done.err
    done = saved("delete", "--query", "@blank", "--yes")
    assert done.code == 2 and "is empty, which would select every copy" in done.err
    done = saved("save", "--query", "@billing", "--to", tmp_path / "out", "--yes", "--json")
    assert len(done.json["saved"]) == 1
    assert saved("delete", "--query", "@news-letters", "--yes", "--json").json["deleted"] == 2
    assert froms(saved) == {"acme.example"}


def test_without_polars_names_are_taken_too(saved: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.commands.selection.installed", lambda library: False)
    assert froms(saved, "@news-letters", "-from:evil") == {"news.example"}
