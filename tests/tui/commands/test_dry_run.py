"""`mailhold deliver --dry-run` run like a user; and its sentences, which the console's window shows too."""

from __future__ import annotations

import pytest

from store.delivery.choosing import IN_HEADER, NO_ENVELOPE, NO_ONE
from store.delivery.held import LeftOut
from store.delivery.hello import Heard, Hello
from store.delivery.placing import INFECTED
from store.delivery.preflight import Content, Going, Preflight, tally
from store.mail.dkim import BodyHash, Holds
from tests.tui.commands.test_cli import Run, filled, mail, run
from tui.terminal.preflight_words import Said, age, lines, sentences

__all__ = ["filled", "mail", "run"]

NOW = 1_700_000_000_000
RELAY = "smtp://relay.example:25"


def said(found: Preflight, contents: dict[int, Content] | None = None, *, asking: bool = False) -> list[str]:
    contents = contents or {}
    return lines(sentences(found, tally(found, contents), contents, now=NOW, asking=asking)).splitlines()


def preflight(going: dict[int, Going] | None = None, hello: Hello | None = None, **fields: object) -> Preflight:
    heard = Heard(NOW - 125_000, hello) if hello is not None else None
    going = {1: Going(("a@x.example",), 2048, 0)} if going is None else going
    addresses = len({address for each in going.values() for address in each.addresses})
    return Preflight(going, addresses=addresses, relay=RELAY, heard=heard, **fields)


def offering(**extensions: str) -> Hello:
    return Hello(RELAY, "", tuple(extensions.items()))


def test_nothing_is_queued_and_the_same_is_said_as_is_done(filled: Run) -> None:
    filled("settings", "set", "relay=smtp://127.0.0.1:9", "allow_infected=yes")
    done = filled("deliver", "--all", "--original", "--dry-run")
    assert done.code == 1 and "▲ Nothing will be sent." in done.out and "without" not in done.out
    assert "Left out: 3 copies (3 with addresses in its header only)." in done.out
    assert done.err.count("its header addresses were not selected") == 3
    done = filled("deliver", 1, "--also", "it@corp.example", "--dry-run", "--json")
    found = done.json
    assert done.code == 0 and found["copies"] == [{"copy_id": 1, "to": ["it@corp.example"]}]
    assert found["relay"] == {
        "address": "smtp://127.0.0.1:9",
        **dict.fromkeys(("heard_at", "size", "8bitmime", "smtputf8")),
        "problem": "",
    }
    assert (found["taken_off"], list(found["put_on"])) == ({}, ["Resent-Date", "Resent-From", "Resent-Message-ID"])
    assert found["largest"] > 100 and found["dkim"] == [] and found["gateway"] == ""
    assert filled("queue", "--json").json == []


def test_the_relay_is_asked_anew_where_that_is_wanted(filled: Run, unused_tcp_port: int) -> None:
    filled("settings", "set", f"relay=smtp://127.0.0.1:{unused_tcp_port}", "allow_infected=yes")
    asked = filled("deliver", 1, "--also", "it@corp.example", "--dry-run", "--ask-relay", "--json")
    assert asked.code == 1 and "onnect" in asked.json["relay"]["problem"] and asked.json["relay"]["heard_at"]
    known = filled("deliver", 1, "--also", "it@corp.example", "--dry-run")
    assert f"▲ This host sends to smtp://127.0.0.1:{unused_tcp_port}, which did not answer just now" in known.out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--ask-relay",), "--ask-relay needs --dry-run"),
        (("--dry-run", "--wait"), "--wait and --dry-run cannot be combined"),
    ],
)
def test_what_does_not_go_together(filled: Run, arguments: tuple[str, ...], why: str) -> None:
    done = filled("deliver", 1, "--original", *arguments)
    assert done.code == 2 and why in done.err


def test_who_is_left_out_and_why() -> None:
    reasons = [INFECTED, INFECTED, NO_ENVELOPE, NO_ONE, "Copy 7 was altered", "There is no message copy 8: it was"]
    found = preflight(
        {1: Going(("a@x.example", "b@x.example"), 10, 0)},
        refused=list(enumerate(reasons, 10)),
        left_out=[
            LeftOut(1, "c@x.example", "has it since 24 Nov 07:41"),
            LeftOut(2, "c@x.example", "waits in delivery 3"),
            LeftOut(1, "d@x.example", IN_HEADER),
            LeftOut(1, "e@x.example", "may have it: the connection of delivery 2 was lost"),
        ],
        withheld=[2],
    )
    assert said(found)[0] == "1 of 8 copies goes to 2 addresses."
    assert said(found)[1] == (
        "Left out: 7 copies (2 infected, 1 with addresses in its header only, 1 without a recipient, 1 damaged, "
        "1 no longer in Backup, 1 already delivered or queued); 4 addresses (1 has it already, 1 waits for it, "
        "1 in the header only, 1 may have it)."
    )


def test_the_relay() -> None:
    assert f"This host sends to {RELAY}, which has not been asked yet what it accepts." in said(preflight())
    assert f"This host sends to {RELAY}, which is being asked what it accepts." in said(preflight(), asking=True)
    found = preflight(hello=offering(), gateway="mx1")
    assert f"The gateway mx1 sends to {RELAY}, which answered 2 minutes ago." in said(found)
    assert said(found, asking=True)[1].endswith("It is being asked again.")
    problem = preflight(hello=Hello(RELAY, "Connection refused."))
    assert f"▲ This host sends to {RELAY}, which did not answer 2 minutes ago: Connection refused." == said(problem)[0]
    assert said(preflight(unheard="it was altered"))[0].startswith("▲ This host sends")


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (0, "just now"),
        (-60_000, "just now"),
        (-60_001, "in the future (a clock is wrong)"),
        (60_000, "1 minute ago"),
        (7_200_000, "2 hours ago"),
        (86_400_000 * 3, "3 days ago"),
    ],
)
def test_an_age(passed: int, words: str) -> None:
    assert age(NOW - passed, NOW) == words


def test_what_the_relay_takes() -> None:
    assert "It is 2 KB." in said(preflight())
    assert "It is 2 KB; the relay accepts 10 KB." in said(preflight(hello=offering(size="10240")))
    assert "It is 2 KB; the relay states no limit." in said(preflight(hello=offering()))
    assert "▲ 1 copy is larger than the 1 KB that the relay accepts, and would fail." in said(
        preflight(hello=offering(size="1024"))
    )
    assert "8BITMIME: not known yet. SMTPUTF8: not needed." in said(preflight())
    one = preflight(hello=offering(**{"8bitmime": ""}))
    assert "8BITMIME: needed, offered. SMTPUTF8: not needed." in said(one, {1: Content(10, True)})
    assert "8BITMIME: not needed. SMTPUTF8: not needed." in said(one, {1: Content(10)})
    several = {1: Going(("ü@x.example", "b@x.example"), 2048, 1), 2: Going(("a@x.example",), 4096, 0)}
    contents = {1: Content(2100, True), 2: Content(4200, False)}
    assert "The largest is 4.1 KB." in said(preflight(several), contents)
    assert "8BITMIME: 1 copy needs it. SMTPUTF8: 1 copy needs it." in said(preflight(several), contents)
    all_of_it = preflight(several, offering(**{"8bitmime": "", "smtputf8": ""}))
    assert "8BITMIME: 1 copy needs it, offered. SMTPUTF8: 1 copy needs it, offered." in said(all_of_it, contents)
    none_of_it = said(preflight(several, offering()), contents)
    assert none_of_it[:2] == [
        "▲ 1 copy has 8-bit text, and the relay does not offer 8BITMIME: mail servers may change or refuse it.",
        "▲ The relay does not offer SMTPUTF8, without which 1 address of 1 copy would fail.",
    ]


def test_the_header_s_fields() -> None:
    content = Content(10, False, ("Return-Path", "Bcc"), ("Resent-From",))
    assert "Fields removed: Return-Path, Bcc. Added: Resent-From." in said(preflight(), {1: content})
    several = {each: Going(("a@x.example",), 10, 0) for each in (1, 2, 3)}
    found = said(preflight(several), {1: content, 2: content._replace(taken_off=("bcc",))})
    assert "Fields removed: Return-Path (1), Bcc. Added: Resent-From." in found
    assert found[-1] == "Reading the messages: 2 of 3."
    many = tuple(f"X-Mailhold-{number}" for number in range(11))
    assert said(preflight(), {1: Content(10, False, many)})[-1] == (
        f"Fields removed: {', '.join(many[:8])}, 3 more. Added: none."
    )


def test_dkim() -> None:
    def of(*signed: BodyHash, **fields: object) -> list[str]:
        found = said(preflight(), {1: Content(10, False, ("Bcc",), (), signed, **fields)})
        return [each for each in found if "DKIM" in each]

    assert of() == ["DKIM: the message is not signed."] and of(problem="damaged") == []
    assert not [each for each in said(preflight(), {1: Content(10)}) if "DKIM" in each]
    holding = BodyHash("x.example", Holds.YES, frozenset((b"from", b"bcc")))
    assert of(holding) == [
        "▲ DKIM: x.example signed fields that are removed: bcc.",
        "DKIM: the body hash of x.example matches.",
    ]
    assert of(BodyHash("\x1b", Holds.NO)) == [
        "▲ DKIM: the body hash of ␛ does not match: the body was changed before the message reached Backup."
    ]
    assert of(BodyHash("", Holds.UNKNOWN)) == [
        "DKIM: a signature of an unknown domain is of a kind that Mailhold does not check."
    ]
    assert of(BodyHash("x.example", Holds.YES, partial=True)) == [
        "DKIM: the hash of a part of the body of x.example matches."
    ]
    two = {each: Going(("a@x.example",), 10, 0) for each in (1, 2)}
    assert not [each for each in said(preflight(two), {1: Content(10, signed=(holding,))}) if "DKIM" in each]


def test_what_would_fail_and_what_gets_no_marker() -> None:
    several = {each: Going(("a@x.example",), 10, 0) for each in (1, 2, 3)}
    contents = {1: Content(problem="it is damaged."), 2: Content(problem="it is damaged."), 3: Content(unmarked="x")}
    found = said(preflight(several), contents)
    assert found[0] == "▲ Copy 1 would fail: it is damaged. And 1 more like this."
    assert (
        "1 copy gets no release marker and is judged again if the relay routes mail back through the gateway." in found
    )


def test_lines_tell_problems_by_their_sign() -> None:
    assert lines([Said("bad", True), Said("good")]) == "▲ bad\ngood"


def test_it_says_whether_the_release_can_be_cancelled() -> None:
    two = {number: Going(("a@x.example",), 2048, 0) for number in (1, 2)}
    assert "Held for 15 s: until then undo (z) can cancel it." in said(preflight(hold=15_000))
    assert "Held for 5 min: until then undo (z) can cancel them." in said(preflight(two, hold=300_000))
    assert "It is sent at once and cannot be cancelled." in said(preflight())
    assert "They are sent at once and cannot be cancelled." in said(preflight(two))


def test_the_hold_is_that_of_the_release(filled: Run) -> None:
    filled("settings", "set", "relay=smtp://127.0.0.1:9", "allow_infected=yes", "hold=20")
    done = filled("deliver", 1, "--also", "it@corp.example", "--dry-run")
    assert "Held for 20 s: until then `mailhold undo` can cancel it." in done.out
