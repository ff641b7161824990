"""The command line's words: options may stand anywhere, and no option is read as the value of another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.commands.cli import main
from tui.commands.parser import parse

#: A command's words in order, and its options with their values.
LINES = [
    (["settings", "set", "max_size=1GB", "relay="], [["--store", "S"], ["--json"], ["--key-file", "K"]]),
    (["settings", "get", "max_size"], [["--store=S"], ["--json"]]),
    (["list", "from:exa", "q"], [["--json"], ["--store", "S"], ["--limit", "3"], ["--sort", "-size"]]),
    (["gateway", "list"], [["--store", "S"], ["--config", "list"]]),
    (["save", "1", "7-9", "12"], [["--to", "save"], ["--store", "delete"], ["--json"]]),
    (["lists", "add", "black", "a@x.example", "b@x.example"], [["--user", "u@x.example"], ["--recovery"]]),
    (["rules", "set", "3"], [["--max-size", "5MB"], ["--scanner", "a"], ["--store", "S"]]),
    (["queue", "retry", "1", "2"], [["--json"], ["--key-file", "queue"]]),
    (["delete"], [["--query", "-from:exa"], ["--yes"], ["--store", "S"]]),
]


@given(st.sampled_from(LINES), st.data())
def test_options_may_stand_anywhere(line: tuple[list[str], list[list[str]]], data: st.DataObject) -> None:
    words, options = line
    expected = parse([words[0], *(word for option in options for word in option), *words[1:]])
    places = [data.draw(st.integers(0, len(words))) for _ in options]
    # Only options of `mailhold` itself stand before the command.
    own = ("--store", "--store=S", "--key-file", "--recovery")
    mixed: list[str] = []
    for position in range(len(words) + 1):
        for place, option in zip(places, options, strict=True):
            if (place if option[0] in own else max(place, 1)) == position:
                mixed += option
        mixed += words[position : position + 1]
    assert parse(mixed) == expected, mixed


def test_a_term_of_a_filter_line_that_begins_with_a_dash_is_no_option() -> None:
    assert parse(["list", "-from:evil", "--json", "rule:3"]).query == ["-from:evil", "rule:3"]
    assert parse(["list", "--json", "--", "-from:evil", "--json"]).query == ["-from:evil", "--json"]
    assert parse(["delete", "--query", "-from:evil", "--yes"]).query == "-from:evil"
    assert parse(["delete", "--query=--yes"]).query == "--yes"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["delete", "--query", "--yes"], "--query: expected one argument"),
        (["delete", "--yes", "--query"], "--query: expected one argument"),
        (["save", "--to", "--json", "1"], "--to: expected one argument"),
        (["list", "--store", "--json"], "--store: expected one argument"),
        (["settings", "set", "--frob", "max_size=1GB"], "mailhold settings: there is no option --frob"),
        (["list", "--frob"], "mailhold list: there is no option --frob"),
    ],
)
def test_what_is_wrong_is_said_of_the_command(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--query $QUERY --yes` with an unset variable used to mean all copies that do not contain `-yes`: all."""
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert why in capsys.readouterr().err
