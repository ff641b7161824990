"""Errors in `mailhold.toml`: each names the line, the key, what was expected, and an example or the choices."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from store.gateway.config import parse_config, read_config
from store.terms.errors import UsageError

GOOD = """\
[store]
location = "/var/lib/mailhold/mail.store"
credentials = "/etc/mailhold/gateway.credentials"
[milter]
listen = ["unix:/run/mailhold/milter.sock"]
"""
LISTEN = '["unix:/run/mailhold/milter.sock"]'
CLAMD = GOOD + '[engines.clamd]\naddress = "127.0.0.1:1"\n'
SINK = GOOD + '[[sink]]\nlisten = "127.0.0.1:10030"\n'
TABLES = "the tables are store, milter, sink, engines, authentication, delivery, metrics, log"

WRONG = {
    "empty": ("", "line 1: `store` is missing: add the table [store]."),
    "no = sign": (GOOD + "foo bar\n", "line 6: this is neither `key = value`, nor a [table], nor a # comment."),
    "open quote": (GOOD.replace('mail.store"', "mail.store"), "line 2: a text has no closing quote."),
    "open bracket": (GOOD.replace('sock"]', 'sock"'), "a list has no closing bracket ]."),
    "no quotes": (GOOD + "group = postfix\n", "line 6: the value after = is not valid: put texts in quotes."),
    "two values": (GOOD + 'group = "a" b\n', "line 6: unexpected text after the value: put texts in quotes."),
    "table twice": (
        GOOD + '[store]\nlocation = "x"\n',
        "line 6: the table [store] is here a second time: put its keys under one header.",
    ),
    "key twice": (
        GOOD.replace("[milter]", 'location = "y"\n[milter]'),
        "line 4: this key is here a second time: remove one of them.",
    ),
    "no location": (
        GOOD.replace("location", "#location"),
        'line 1: `store.location` is missing: add for example location = "/var/lib/mailhold/mail.store".',
    ),
    "unknown table": (GOOD + "[foo]\na = 1\n", f"line 6: unknown key `foo`: {TABLES}."),
    "capital": (GOOD.replace("[milter]", "[Milter]"), f"line 4: unknown key `Milter`: {TABLES}."),
    "unknown key": (
        GOOD + 'grup = "postfix"\n',
        "line 6: unknown key `milter.grup`: `milter` can have listen, group, mode, max_message.",
    ),
    "engine unknown": (
        GOOD + '[engines.clamav]\naddress = "x"\n',
        "line 6: unknown key `engines.clamav`: `engines` can have tell_after, clamd, rspamd, spamd.",
    ),
    "engine without address": (
        GOOD + "[engines.clamd]\n",
        'line 6: `engines.clamd.address` is missing: add for example address = "unix:/run/clamav/clamd.ctl".',
    ),
    "listen is a text": (
        GOOD.replace(LISTEN, '"unix:/x"'),
        f"line 5: `milter.listen` must be a list of texts in brackets, for example listen = {LISTEN}.",
    ),
    "listen of numbers": (
        GOOD.replace(LISTEN, "[10025]"),
        "line 5: `milter.listen 1` must be a text in quotes",
    ),
    "mode is a number": (
        GOOD + "mode = 660\n",
        'line 6: `milter.mode` must be a text in quotes, for example mode = "0660".',
    ),
    "mode": (GOOD + 'mode = "999"\n', "line 6: `milter.mode`: '999' is not a mode of a socket"),
    "size without unit": (
        GOOD + "max_message = 64\n",
        'line 6: `milter.max_message` must be a text in quotes, for example max_message = "64 MB".',
    ),
    "time limit is a text": (
        CLAMD + 'time_limit = "60"\n',
        "line 8: `engines.clamd.time_limit` must be a number, without quotes, for example time_limit = 60.0.",
    ),
    "concurrency": (
        CLAMD + "concurrency = 1.5\n",
        "line 8: `engines.clamd.concurrency` must be a whole number, without quotes, for example concurrency = 8.",
    ),
    "concurrency 0": (
        CLAMD + "concurrency = 0\n",
        "line 8: `engines.clamd.concurrency`: 0 is not a number of connections from 1 to 256.",
    ),
    "symbols": (
        GOOD + '[engines.rspamd]\naddress = "127.0.0.1:1"\nsymbols = { A = "foo" }\n',
        'must be a status, for example symbols = { MY_BLACKLIST = "blacklisted" }.',
    ),
    "symbols are a text": (
        GOOD + '[engines.rspamd]\naddress = "127.0.0.1:1"\nsymbols = "A"\n',
        'line 8: `engines.rspamd.symbols` must be a table in braces, for example symbols = { MY_BLACKLIST = "black',
    ),
    "engines in double brackets": (
        GOOD + "[[engines]]\nx = 1\n",
        "line 6: `engines` must be a table: write [engines] on a line of its own, and its keys below.",
    ),
    "sink in single brackets": (
        GOOD + '[sink]\nlisten = "127.0.0.1:10030"\n',
        "line 6: `sink` must be a list of tables: write [[sink]] with double brackets on a line of its own.",
    ),
    "protocol": (SINK + 'protocol = "http"\n', 'line 8: `sink 1.protocol` must be one of "lmtp", "smtp".'),
    "sink listens on a list": (
        SINK.replace('"127.0.0.1:10030"', '["127.0.0.1:10030"]'),
        'line 7: `sink 1.listen` must be a text in quotes, for example listen = "127.0.0.1:10030".',
    ),
    "trusted is a text": (
        SINK + 'trusted = "yes"\n',
        "line 8: `sink 1.trusted` must be true or false, without quotes, for example trusted = true.",
    ),
    "next_hop is a number": (
        SINK + "next_hop = 10026\n",
        'line 8: `sink 1.next_hop` must be a text in quotes, for example next_hop = "smtp://127.0.0.1:10026".',
    ),
    "enabled": (GOOD + '[delivery]\nenabled = "no"\n', "line 7: `delivery.enabled` must be true or false"),
    "log format": (GOOD + '[log]\nformat = "xml"\n', 'line 7: `log.format` must be one of "json", "text".'),
    "log level": (
        GOOD + '[log]\nlevel = "verbose"\n',
        'line 7: `log.level` must be one of "debug", "info", "warning", "error".',
    ),
    "location is a number": (
        re.sub('location = ".*"', "location = 5", GOOD),
        'line 2: `store.location` must be a text in quotes, for example location = "/var/lib/mailhold/mail.store".',
    ),
    "listens twice": (
        SINK + '[[sink]]\nlisten = "127.0.0.1:10030"\n',
        "line 9: `sink 2.listen`: the gateway listens on `127.0.0.1:10030` already: choose another address or port.",
    ),
    "milter and sink on one port": (
        SINK.replace(LISTEN, '["0.0.0.0:10030"]'),
        "line 7: `sink 1.listen`: the gateway listens on `127.0.0.1:10030` already",
    ),
    "metrics on a sink's port": (
        SINK + '[metrics]\nlisten = "localhost:10030"\n',
        "line 9: `metrics.listen`: the gateway listens on `localhost:10030` already",
    ),
    "one socket twice": (
        GOOD.replace(LISTEN, '["unix:/a", "unix:/a"]'),
        "line 5: `milter.listen`: the gateway listens on `unix:/a` already",
    ),
    "loop": (
        SINK + 'next_hop = "smtp://127.0.0.1:10030"\n',
        "line 8: `sink 1.next_hop`: `smtp://127.0.0.1:10030` leads back to this listener",
    ),
    "loop through another": (
        SINK
        + 'next_hop = "smtp://127.0.0.1:10031"\n[[sink]]\nlisten = "0.0.0.0:10031"\nnext_hop = "smtp://localhost:10030"\n',
        "line 8: `sink 1.next_hop`: `smtp://localhost:10030` leads back to this listener",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_error_names_the_line_the_key_and_what_is_possible(case: str) -> None:
    text, said = WRONG[case]
    with pytest.raises(UsageError) as caught:
        parse_config(text, "mailhold.toml")
    assert str(caught.value).startswith("mailhold.toml, line ") and said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        SINK + 'next_hop = "smtp://127.0.0.1:10026"\n',
        SINK + '[[sink]]\nlisten = "127.0.0.2:10030"\n[[sink]]\nlisten = "[::1]:10030"\n',
        SINK + 'next_hop = "smtp://127.0.0.1:10031"\n[[sink]]\nlisten = "127.0.0.1:10031"\n',
        GOOD.replace("\n", "\r\n"),
        CLAMD + "time_limit = 60\n",
    ],
)
def test_what_works_is_no_error(text: str) -> None:
    parse_config(text)


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "mailhold.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert read_config(path) == parse_config(GOOD) == parse_config("\ufeff" + GOOD)


@pytest.mark.parametrize(
    ("listen", "next_hop"),
    [
        ("0.0.0.0:25", "smtp://192.0.2.10:25"),
        ("0.0.0.0:25", "smtp://mail.example.org"),
        ("[::]:25", "smtp://[2001:db8::7]:25"),
        ("127.0.0.1:10030", "smtp://127.0.0.1:10031"),
        ("127.0.0.1:10030", "smtp://127.0.0.2:10030"),
    ],
)
def test_a_next_hop_on_another_machine_or_port_is_no_loop(listen: str, next_hop: str) -> None:
    text = GOOD + f'[[sink]]\nlisten = "{listen}"\nnext_hop = "{next_hop}"\n'
    assert parse_config(text).sink[0].next_hop == next_hop


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST", "127.0.0.9", "0.0.0.0"])
def test_a_next_hop_on_this_machine_is_a_loop_of_a_listener_on_all_addresses(host: str) -> None:
    with pytest.raises(UsageError, match="leads back to this listener"):
        parse_config(GOOD + f'[[sink]]\nlisten = "0.0.0.0:10030"\nnext_hop = "smtp://{host}:10030"\n')
