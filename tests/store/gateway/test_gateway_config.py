"""mailhold.toml: the example is valid, and every mistake is named with its line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from store.gateway.config import Config, example, parse_config, read_config, scanners_of
from store.terms.errors import UsageError
from store.terms.verdicts import Status

SMALL = '[store]\nlocation = "s"\ncredentials = "c"\n\n[milter]\nlisten = ["unix:/m"]\n'


def uncommented() -> str:
    """Return the example with every commented key enabled."""
    return re.sub(r"(?m)^# (?=[a-z_]+ = |\[)", "", example())


def test_the_example_parses() -> None:
    config = parse_config(example())
    assert config.milter.group == "postfix"
    assert [scanner.name for scanner in scanners_of(config.engines)] == ["clamd", "rspamd"]


def test_the_example_shows_the_defaults_of_every_key() -> None:
    config = parse_config(uncommented())
    plain = parse_config(example())
    assert (config.milter, config.delivery, config.metrics, config.log) == (
        plain.milter,
        plain.delivery,
        plain.metrics,
        plain.log,
    )
    document = tomllib.loads(uncommented())

    def keys(struct: object, table: dict[str, object], path: str) -> None:
        assert isinstance(struct, msgspec.Struct)
        assert set(table) == set(struct.__struct_fields__), path
        for name in struct.__struct_fields__:
            value, inner = getattr(struct, name), table[name]
            if isinstance(value, msgspec.Struct):
                assert isinstance(inner, dict)
                keys(value, inner, f"{path}.{name}")
            elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
                assert isinstance(inner, list)
                keys(value[0], inner[0], f"{path}.{name}")

    keys(config, document, "")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (SMALL + "lisen = []\n", 7, "milter.lisen"),
        (SMALL + "[stroe]\n", 7, "stroe"),
        (SMALL + '[engines.clamd]\naddress = "x:1"\ntimelimit = 3\n', 9, "engines.clamd.timelimit"),
        (SMALL + '[[sink]]\nlisten = "a:1"\n[[sink]]\nlisten = "a:1"\nprotocol = "uucp"\n', 11, "lmtp"),
        (SMALL + '[[sink]]\nlisten = "a:1"\n[[sink]]\nlisten = "a"\n', 10, "address"),
        (SMALL + "mode = 660\n", 7, "milter.mode"),
        (SMALL + 'mode = "999"\n', 7, "mode"),
        (SMALL + 'max_message = "many"\n', 7, "many"),
        (SMALL + 'max_message = "64"\n', 7, "64 has no unit"),
        (SMALL + "max_message = 64\n", 7, "64 MB"),
        (SMALL + '[metrics]\nlisten = "0.0.0.0:9464"\n', 8, "machine"),
        (SMALL + "[delivery]\nconnections = 0\n", 8, "connections"),
        (SMALL + '[engines.rspamd]\naddress = "a:1"\nsymbols = { A = "spam" }\n', 7, "symbol"),
        (SMALL + '[engines.clamd]\naddress = "a:1"\ntime_limit = 0\n', 9, "time limit"),
        (SMALL + "x = \n", 7, "line"),
        ('[store]\nlocation = ""\ncredentials = "c"\n', 2, "empty"),
        ('[store]\nlocation = "a"\n', 1, "credentials"),
        ('[store]\nlocation = "a"\ncredentials = "c"\n', 1, "listen"),
    ],
)
def test_mistakes_are_named_with_their_line(text: str, line: int, words: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_config(text, "m.toml")
    assert f"m.toml, line {line}:" in str(error.value)
    assert words in str(error.value)


def test_values_are_taken_over() -> None:
    config = parse_config(SMALL + '[engines.rspamd]\naddress = "a:1"\nsymbols = { A = "phishing" }\n')
    assert isinstance(config, Config)
    assert config.engines.rspamd is not None
    assert config.engines.rspamd.symbols == {"A": Status.PHISHING}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="example-config"):
        read_config(tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="UTF-8"):
        read_config(tmp_path / "bad")
