"""The Deliver message window and the commands when a recipient already has a copy or is named only in a header."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.authority.settings import Settings
from store.delivery import leases
from store.delivery.held import held_of
from store.delivery.queue import delivery_of, release
from store.delivery.recipients import Recipient
from store.enrolment.enrolled import beat
from store.enrolment.enrolment import enroll, open_with_credentials
from store.helpers.clock import now_ms
from store.mail.local_domains import LocalDomains
from store.mail.outcome import Outcome, State
from store.opening.opening import create_store
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.tui.console.driven import TZ
from tests.tui.console.test_dialogs import answer
from tests.tui.console.view_harness import DialogApp
from tui.commands.cli import main
from tui.commands.deliver import who_sends
from tui.console.acts.addressing import Addressed, Gathering
from tui.console.dialogs.deliver import DeliverChoice, DeliverDialog
from tui.console.widgets.recipient_list import RecipientList

RAW = b"Subject: x\r\n\r\nbody\r\n"
A, B, C = (Recipient(f"{name}@corp.example", "envelope", False) for name in "abc")


@pytest.fixture
def ready(vault: Vault) -> Vault:
    change_settings(vault, Settings(relay="smtp://127.0.0.1:1", local_domains=("corp.example",)))
    return vault


def put(vault: Vault, *to: str, **fields: object) -> int:
    return vault.put(RAW, CopyRecord(envelope_recipients=to, **fields))


def finish(vault: Vault, *states: State) -> None:
    with vault.write():
        for claim in leases.claim(vault, 1, "w", 100, now_ms() + 1, 60_000):
            came = zip(claim.live, states, strict=False)
            leases.settle(vault, claim, {row: Outcome(state, "A reply.") for row, state in came}, now_ms())


def addressed(vault: Vault, *ids: int) -> Addressed:
    gathering = Gathering(LocalDomains(("corp.example",)), TZ)
    gathering.add(vault.get_many(list(ids)), held_of(vault, list(ids)))
    return gathering.addressed()


def test_who_holds_the_copy_comes_unticked_with_the_reason(ready: Vault) -> None:
    copy_id = put(ready, "a@corp.example", "b@corp.example", "c@corp.example", "d@corp.example")
    release(ready, [copy_id], original=True)
    finish(ready, State.SENT, State.UNKNOWN, State.FAILED)
    found = addressed(ready, copy_id)
    assert list(found.unticked) == ["a@corp.example", "b@corp.example", "d@corp.example"]
    reasons = list(found.unticked.values())
    assert reasons[0].startswith("has it since ") and reasons[1].startswith("may have it, ")
    assert reasons[2] == "waits in delivery 1" and found.left_out == 0 and found.count == 4


def test_of_many_copies_only_who_holds_all_of_them_is_unticked(ready: Vault) -> None:
    one, two = put(ready, "a@corp.example", "b@corp.example"), put(ready, "A@corp.example", "c@corp.example")
    release(ready, [one], original=True)
    finish(ready, State.SENT, State.SENT)
    found = addressed(ready, one, two)
    assert list(found.unticked) == ["b@corp.example"] and found.left_out == 1
    assert found.count == len(found.recipients) == 3
    release(ready, [two], original=True)
    finish(ready, State.SENT, State.UNKNOWN)
    found = addressed(ready, one, two)
    assert found.unticked["a@corp.example"] == "has them already" and len(found.unticked) == 3


def test_header_addresses_outside_the_local_domains_come_unticked(ready: Vault) -> None:
    header = put(ready, to="a@corp.example, out@else.example", cc="both@else.example")
    envelope = put(ready, "both@else.example")
    found = addressed(ready, header, envelope)
    assert found.unticked == {"out@else.example": "To, not a local domain"}
    assert found.outsiders == {"out@else.example"}


def held_dialog() -> DeliverDialog:
    why = "has it since 24 Nov 07:41"
    return DeliverDialog([A, B], copies=1, unticked={A.address: why}, held={A.address: why})


async def test_whoever_has_it_is_left_out_unless_he_is_ticked() -> None:
    assert await answer(held_dialog(), "space", "enter") == DeliverChoice(True, (), frozenset({A.address}))
    chosen = await answer(held_dialog(), "space", "tab", "space", "enter")
    assert chosen == DeliverChoice(True, (), frozenset(), again=frozenset({A.address}))


async def test_the_reason_stands_beside_the_address() -> None:
    app = DialogApp(held_dialog())
    async with app.run_test(size=(60, 20)):
        line = app.screen.query_one(RecipientList).render_line(0).text
        assert line.startswith("[ ] a@corp.example") and "has it since 24 Nov 07:41" in line


async def test_an_outsider_of_the_header_goes_only_where_he_is_ticked() -> None:
    out = Recipient("out@else.example", "To", False)

    def dialog() -> DeliverDialog:
        unticked = {out.address: "To, not a local domain"}
        return DeliverDialog([A, out], copies=1, unticked=unticked, outsiders=[out.address])

    assert await answer(dialog(), "space", "enter") == DeliverChoice(True, (), frozenset({out.address}))
    chosen = await answer(dialog(), "space", "tab", "down", "space", "enter")
    assert chosen == DeliverChoice(True, (), frozenset(), outsiders=frozenset({out.address}))


async def test_a_typed_address_that_has_it_is_sent_to_only_with_the_box_for_that() -> None:
    def dialog() -> DeliverDialog:
        return DeliverDialog([], copies=1, held={"z@corp.example": "has it since 24 Nov 07:41"})

    chosen = await answer(dialog(), "space", *"Z@corp.example", "enter")
    assert chosen == DeliverChoice(False, ("Z@corp.example",), frozenset())
    chosen = await answer(dialog(), "space", *"Z@corp.example", "tab", "space", "enter")
    assert chosen == DeliverChoice(False, ("Z@corp.example",), frozenset(), again=frozenset({"Z@corp.example"}))


def run(capfd: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    out, err = capfd.readouterr()
    return code, out, err


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    """Set the environment to a store with a relay; it is open here too."""
    monkeypatch.setenv("MAILHOLD_STORE", str(tmp_path / "s.store"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
    vault, _recovery = create_store(str(tmp_path / "s.store"), key_file=tmp_path / "key")
    change_settings(vault, Settings(relay="smtp://127.0.0.1:1"))
    yield vault
    vault.close()


def test_deliver_names_whom_it_left_out_and_again_sends_to_him(shell: Vault, capfd: pytest.CaptureFixture[str]) -> None:
    copy_id = put(shell, "a@corp.example", "b@corp.example")
    code, out, _ = run(capfd, "deliver", copy_id, "--original")
    assert (
        code == 0
        and "to 2 recipients. No gateway can send it now: an open console sends it, or `mailhold queue send`." in out
    )
    code, out, err = run(capfd, "deliver", copy_id, "--original", "--also", "A@corp.example")
    assert code == 1 and out == "0 placed in queue for delivery.\n"
    assert f"copy {copy_id}: a@corp.example was left out: waits in delivery 1" in err and "--again" in err
    code, out, _ = run(capfd, "deliver", copy_id, "--original", "--json")
    assert code == 1 and json.loads(out)["left_out"] == [
        {"copy_id": copy_id, "address": f"{name}@corp.example", "reason": "waits in delivery 1"} for name in "ab"
    ]
    code, out, _ = run(capfd, "deliver", copy_id, "--original", "--again", "--json")
    assert code == 0 and json.loads(out)["queued"] == 1 and json.loads(out)["left_out"] == []


def test_header_addresses_need_from_header_and_a_local_domain(shell: Vault, capfd: pytest.CaptureFixture[str]) -> None:
    copy_id = put(shell, to="ann@corp.example, out@else.example")
    code, _, err = run(capfd, "deliver", copy_id, "--original")
    assert code == 1 and "--from-header" in err and "--also" in err
    code, _, err = run(capfd, "deliver", copy_id, "--original", "--from-header")
    assert code == 1 and "local_domains=" in err
    assert run(capfd, "settings", "set", "local_domains=corp.example")[0] == 0
    assert run(capfd, "deliver", copy_id, "--original", "--from-header")[0] == 0
    assert [each.address for each in delivery_of(shell, 1).recipients] == ["ann@corp.example"]
    assert run(capfd, "deliver", copy_id, "--also", "x@corp.example", "--from-header")[0] == 2


def test_deliver_says_that_a_gateway_sends_where_one_does(
    shell: Vault, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    enroll(shell, "mx1", tmp_path / "mx1.credentials")
    gateway = open_with_credentials(shell.location, tmp_path / "mx1.credentials")
    copy_id = put(shell, "a@corp.example")
    beat(gateway)
    code, out, _ = run(capfd, "deliver", copy_id, "--original")
    assert code == 0 and "to 1 recipient. The gateway mx1 sends it." in out
    beat(gateway, alive=False)
    gateway.close()
    assert "an open console" in run(capfd, "deliver", copy_id, "--original", "--again")[1]


def test_a_gateways_name_is_safe_to_show() -> None:
    assert "\x1b" not in who_sends(["mx\x1b[31m1"])


@pytest.mark.parametrize(
    ("senders", "count", "said"),
    [
        (["mx1"], 1, "The gateway mx1 sends it."),
        (["mx1"], 2, "The gateway mx1 sends them."),
        (["mx1", "mx2"], 2, "The gateways mx1 and mx2 send them."),
        ([""], 1, "No gateway can send it now: an open console sends it, or `mailhold queue send`."),
        ([""], 3, "No gateway can send them now: an open console sends them, or `mailhold queue send`."),
        (["mx1", ""], 2, "No gateway can send some of them now: an open console sends them, or `mailhold queue send`."),
    ],
)
def test_whoever_sends_any_of_the_deliveries_is_named(senders: list[str], count: int, said: str) -> None:
    assert who_sends(senders, count) == said


def test_queue_retry_says_what_may_arrive_twice_and_needs_an_answer(
    shell: Vault, capfd: pytest.CaptureFixture[str]
) -> None:
    copy_id = put(shell, "a@corp.example", "b@corp.example")
    release(shell, [copy_id], original=True)
    finish(shell, State.UNKNOWN, State.SENT)
    code, _, err = run(capfd, "queue", "retry", 1)
    assert (
        code == 2 and "a@corp.example  unknown, " in err and ". The message MAY ARRIVE TWICE" in err and ".." not in err
    )
    assert "b@corp.example" not in err and "--yes" in err
    assert [each.state for each in delivery_of(shell, 1).recipients] == [State.UNKNOWN, State.SENT]
    assert run(capfd, "queue", "retry", 1, "--yes")[0] == 0
    assert [each.state for each in delivery_of(shell, 1).recipients] == [State.QUEUED, State.SENT]


def test_queue_retry_leaves_out_whom_another_delivery_serves(shell: Vault, capfd: pytest.CaptureFixture[str]) -> None:
    copy_id = put(shell, "a@corp.example", "b@corp.example")
    release(shell, [copy_id], original=True)
    finish(shell, State.FAILED, State.FAILED)
    release(shell, [copy_id], original=False, additional=["A@corp.example"])
    code, _, err = run(capfd, "queue", "retry", 1, "--yes")
    assert code == 1 and "a@corp.example was left out: waits in delivery 2" in err
    assert [each.state for each in delivery_of(shell, 1).recipients] == [State.FAILED, State.QUEUED]
    assert run(capfd, "queue", "cancel", 1, "--yes")[0] == 2


def test_import_and_settings_propose_the_local_domains_that_they_saw(
    shell: Vault, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    message = tmp_path / "one.eml"
    message.write_bytes(b"X-Envelope-To: <a@corp.example>\nDelivered-To: a@corp.example\n" + RAW)
    proposal = (
        "Domains of recipients seen: corp.example (1 copy). To set them as local domains: mailhold settings set "
        "local_domains=corp.example\n"
    )
    assert proposal in run(capfd, "import", message)[1]
    assert proposal in run(capfd, "settings", "get")[1]
    assert run(capfd, "settings", "set", "local_domains=corp.example")[0] == 0
    assert "Domains of recipients seen" not in run(capfd, "settings", "get")[1]
    assert "Domains of recipients seen" not in run(capfd, "import", message)[1]
