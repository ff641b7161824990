"""`mailhold list` with words on fields outside the list: all are read first, so the answer is exact."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tui.commands.test_cli_index import files
from tui.commands import selection
from tui.commands.cli import main

__all__ = ["files"]

LINK = "From: a@x.example\nTo: b@y.example\nSubject: s\n\nsee http://evil.example/a\n"


def listed(capfd: pytest.CaptureFixture[str], *query: str) -> tuple[list[int], str]:
    capfd.readouterr()
    assert main(["list", *query, "--json"]) == 0
    said = capfd.readouterr()
    return sorted(row["id"] for row in json.loads(said.out)), said.err


@pytest.mark.parametrize("polars", [True, False])
def test_links_are_found_in_what_was_looked_at_and_the_rest_is_told(
    files: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, polars: bool
) -> None:
    monkeypatch.setattr(selection, "installed", lambda name: polars or name != "polars")
    (tmp_path / "link.eml").write_text(LINK)
    assert main(["import", *files[:2], str(tmp_path / "link.eml")]) == 0
    assert main(["import", "--no-index", files[2]]) == 0
    assert listed(capfd, "subject:number") == ([1, 2, 4], "")
    for query, wanted in (("link:evil", [3]), ("-link:evil", [1, 2]), ("link:evil or subject:number", [1, 2, 3, 4])):
        found, said = listed(capfd, query)
        assert found == wanted
        assert said == (
            "mailhold: 1 copy is not indexed yet, so it was not searched for links and files. Run `mailhold index`.\n"
        )
    assert main(["index"]) == 0
    assert listed(capfd, "-link:evil") == ([1, 2, 4], "")
    assert listed(capfd, "campaign:none", "-link:evil") == ([1, 2, 4], "")
    assert listed(capfd, "known:no", "odd:no") == ([1, 2, 3, 4], "")
    assert listed(capfd, "client:10.0.0.0/8") == ([], "")
