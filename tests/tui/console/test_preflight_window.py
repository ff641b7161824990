"""The Deliver message window's checks before OK: about exactly the current choice, computed in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from store.authority.settings import Settings
from store.delivery.choosing import Choice
from store.delivery.greeting import ask_here
from store.delivery.hello import hello_of, read_hello, wanted, write_hello
from store.delivery.queue import release
from store.enrolment.enrolled import beat
from store.enrolment.enrolment import enroll, open_with_credentials
from store.helpers.clock import now_ms
from store.sealing.keys import LOCAL_ID
from store.space.changing_settings import change_settings
from store.terms.errors import StoreUnavailable
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.store.delivery.test_hello import id_of
from tests.store.mail.smtp_server import ScriptedServer
from tests.tui.console.view_harness import NOTHING, DialogApp, FakeRecipient, ViewApp
from tui.console.acts import checking
from tui.console.acts.checking import Checking
from tui.console.dialogs.deliver import DeliverChoice, DeliverDialog, choice_of
from tui.console.widgets.controls import PushButton
from tui.terminal.preflight_words import Said, lines

RECIPIENTS = [FakeRecipient("ap@corp.example"), FakeRecipient("ceo@corp.example"), FakeRecipient("it@corp.example")]
LONG = "The gateway sends to a relay which did not answer: " + "it was busy, " * 8
DEADLINE = 60


class FakeCheck:
    """Gives the same answer to every question."""

    def __init__(self, *said: Said) -> None:
        self.said = said
        self.looked: list[Choice | None] = []
        self.asked = 0
        self.closed = False
        self.lookalikes = 0

    def begin(self, show: Callable[[Sequence[Said]], None]) -> None:
        self._show = show

    def look(self, choice: Choice | None) -> None:
        self.looked.append(choice)
        self._show(self.said)

    def ask(self) -> None:
        self.asked += 1

    def close(self) -> None:
        self.closed = True


def window(check: FakeCheck, **fields: object) -> DeliverDialog:
    return DeliverDialog(RECIPIENTS, copies=2, check=check, **fields)


def shown(app: DialogApp) -> str:
    return "\n".join(str(app.screen.query_one(each, Static).visual) for each in ("#whom", "#problems", "#preflight"))


@pytest.mark.parametrize(
    ("keys", "additional"),
    [
        (["space", "enter"], ()),
        (["space", "tab", "down", "space", "enter"], ()),
        (["tab", "tab", "tab", *"x@y.example", "enter"], ("x@y.example",)),
        (["space", "tab", "tab", "tab", *"x@y.example,z@y.example", "enter"], ("x@y.example", "z@y.example")),
    ],
)
async def test_what_was_looked_at_last_is_what_is_answered(keys: list[str], additional: tuple[str, ...]) -> None:
    check = FakeCheck()
    app = DialogApp(window(check, outsiders=["it@corp.example"], held={"ceo@corp.example": "has it"}))
    async with app.run_test() as pilot:
        await pilot.pause()
        assert check.looked == [None]
        await pilot.press(*keys)
        await pilot.pause()
        assert isinstance(app.answer, DeliverChoice) and app.answer.additional == additional
        assert check.looked[-1] == choice_of(app.answer) and app.answer.again <= {"ceo@corp.example"}
        assert all(one != other for one, other in zip(check.looked, check.looked[1:], strict=False))
        assert check.closed


async def test_where_nobody_is_chosen_any_more_nobody_is_looked_at() -> None:
    check = FakeCheck()
    app = DialogApp(window(check))
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press("space", "space")
        assert [each is None for each in check.looked] == [True, False, True]
        await pilot.press("escape")
        await pilot.pause()
        assert app.answer is None and check.closed


@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_problems_are_always_in_sight_and_the_rest_can_be_scrolled_to(size: tuple[int, int]) -> None:
    calm = [Said(f"Line {number}.") for number in range(9)]
    against = [Said(LONG, True), Said("Second.", True), Said("Third.", True), Said("Fourth.", True)]
    app = DialogApp(window(FakeCheck(*against, Said("To whom.", whom=True), *calm)))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.pause()
        screen = app.screen
        whom, problems = screen.query_one("#whom"), screen.query_one("#problems", Static)
        assert all(each.display and screen.region.contains_region(each.region) for each in (whom, problems))
        assert problems.content_size.height == problems.virtual_size.height
        assert screen.region.contains_region(screen.query_one("#ok").region)
        assert screen.query_one("#ask").region.right < screen.query_one("#ok").region.x
        assert "▲ Third." in str(problems.visual) and "Fourth" not in str(problems.visual)
        assert "▲ Fourth." in shown(app) and "Line 8." in shown(app) and "To whom." in shown(app)
        await pilot.press("pagedown", "pagedown", "pagedown")
        await pilot.pause()
        facts = screen.query_one("#preflight")
        assert facts.region.bottom <= whom.region.y and facts.region.height >= 9


async def test_nothing_stands_above_the_buttons_where_nothing_stands_in_the_way() -> None:
    app = DialogApp(window(FakeCheck(Said("All is well."))))
    async with app.run_test() as pilot:
        await pilot.pause()
        assert not app.screen.query_one("#problems").display and "All is well." in shown(app)


async def test_the_relay_is_asked_by_its_button_and_by_no_letter() -> None:
    check = FakeCheck()
    app = DialogApp(window(check))
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press(*"akn")
        assert check.asked == 0 and app.answer is NOTHING
        app.screen.query_one("#ask", PushButton).focus()
        await pilot.press(*"akn")
        assert check.asked == 0
        await pilot.press("enter")
        await pilot.pause()
        assert check.asked == 1 and app.answer is NOTHING


class Watched:
    """The reports, newest last."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __call__(self, said: Sequence[Said]) -> None:
        self.said.append(lines(said))

    @property
    def last(self) -> str:
        return self.said[-1] if self.said else ""


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await pilot.pause(0.01)


def put(vault: Vault, number: int) -> list[int]:
    record = CopyRecord(envelope_sender="s@x.example", envelope_recipients=("a@x.example", "b@x.example"))
    return vault.put_many((b"Return-Path: <x>\r\nSubject: %d\r\n\r\nbody\r\n" % n, record, None) for n in range(number))


def app_of(vault: Vault) -> ViewApp:
    app = ViewApp(vault, lambda _context: Static())
    app.console_context.clock = now_ms
    return app


async def test_it_fills_in_what_is_known_and_asks_a_relay_that_was_not_heard_lately(vault: Vault) -> None:
    async with ScriptedServer(extensions=("SIZE 1000000",)) as server:
        change_settings(vault, Settings(relay=f"smtp://127.0.0.1:{server.port}"))
        ids = put(vault, 3)
        release(vault, ids[:1], original=True, operator="op")
        app, watched = app_of(vault), Watched()
        async with app.run_test() as pilot:
            check = Checking(app.console_context, ids)
            check.begin(watched)
            check.look(None)
            await until(pilot, lambda: "which answered just now" in watched.last)
            assert "copies" not in watched.last
            check.look(Choice(True, from_header=True))
            await until(pilot, lambda: "Fields removed: Return-Path" in watched.last)
            assert "2 of 3 copies go to 2 addresses." in watched.last
            assert "2 addresses (2 wait for it)" in watched.last
            assert "the relay accepts 976.56 KB" in watched.last and "Reading" not in watched.last
            assert server.sessions == 1 and read_hello(vault, LOCAL_ID) is None  # Opening a window writes nothing.
            check.ask()
            await until(pilot, lambda: server.sessions == 2)
            await until(pilot, lambda: not app.threads.busy())
            check.close()
        heard = read_hello(vault, LOCAL_ID)
        assert heard is not None and heard.hello.offers.limit == 1_000_000


async def test_a_relay_that_was_heard_lately_is_not_asked_by_itself(vault: Vault) -> None:
    async with ScriptedServer() as server:
        change_settings(vault, Settings(relay=f"smtp://127.0.0.1:{server.port}"))
        await asyncio.to_thread(ask_here, vault)
        app, watched = app_of(vault), Watched()
        async with app.run_test() as pilot:
            check = Checking(app.console_context, put(vault, 1))
            check.begin(watched)
            check.look(Choice(True))
            await until(pilot, lambda: "DKIM: the message is not signed." in watched.last and not app.threads.busy())
            check.close()
        assert server.sessions == 1


async def test_a_gateway_that_says_nothing_is_told_and_what_was_known_stays(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "ask_anew", lambda *_: None)
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9"))
    await asyncio.to_thread(ask_here, vault)
    app, watched = app_of(vault), Watched()
    async with app.run_test() as pilot:
        check = Checking(app.console_context, put(vault, 1))
        check.begin(watched)
        check.look(Choice(True))
        await until(pilot, lambda: "did not answer just now" in watched.last)
        check.ask()
        await until(pilot, lambda: "has not asked its relay within 15 seconds" in watched.last)
        assert "1 copy goes to 2 addresses." in watched.last and "did not answer just now" in watched.last
        check.close()


async def test_many_messages_are_read_a_few_at_a_time_and_no_more_once_it_is_answered(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "READ_SECONDS", 0.0)
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9"))
    app, watched, read = app_of(vault), Watched(), []
    content_of = checking.content_of

    def reading(*arguments: object, **fields: object) -> object:
        read.append(arguments[1])
        if len(read) == 4:
            check.close()
        return content_of(*arguments, **fields)

    monkeypatch.setattr(checking, "content_of", reading)
    async with app.run_test() as pilot:
        check = Checking(app.console_context, ids := put(vault, 12))
        check.look(Choice(True))
        await until(pilot, lambda: not app.threads.busy())
        check.begin(watched)
        await until(pilot, lambda: len(read) >= 4 and not app.threads.busy())
        assert read == ids[:4]


async def test_an_answer_that_was_asked_for_counts_whatever_the_clock_said_before(vault: Vault) -> None:
    async with ScriptedServer(extensions=("SIZE 7000",)) as server:
        relay = f"smtp://127.0.0.1:{server.port}"
        change_settings(vault, Settings(relay=relay))
        with vault.write():
            write_hello(vault, hello_of(relay, {"size": "9"}), now_ms() + 10**9)
        app, watched = app_of(vault), Watched()
        async with app.run_test() as pilot:
            check = Checking(app.console_context, put(vault, 1))
            check.begin(watched)
            check.look(Choice(True))
            await until(pilot, lambda: "the relay accepts 6.84 KB" in watched.last)
            assert "answered just now" in watched.last
            check.look(Choice(True, ["c@x.example"]))
            await until(pilot, lambda: "3 addresses" in watched.last)
            assert "the relay accepts 6.84 KB" in watched.last
            with vault.write():
                write_hello(vault, hello_of(relay, {"size": "8000"}), now_ms())
            check.look(Choice(True))
            await until(pilot, lambda: "the relay accepts 7.81 KB" in watched.last)
            check.close()


async def test_a_gateway_is_asked_on_demand_alone(vault: Vault, tmp_path: Path) -> None:
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9"))
    enroll(vault, "mx1", tmp_path / "mx1.credentials")
    with closing(open_with_credentials(vault.location, tmp_path / "mx1.credentials")) as gateway:
        beat(gateway)
        app, watched = app_of(vault), Watched()
        async with app.run_test() as pilot:
            check = Checking(app.console_context, put(vault, 1))
            check.begin(watched)
            check.look(Choice(True))
            await until(pilot, lambda: "which has not been asked yet what it accepts" in watched.last)
            await until(pilot, lambda: not app.threads.busy())
            assert wanted(vault, id_of(gateway), 0) == 0
            check.ask()
            await until(pilot, lambda: wanted(vault, id_of(gateway), 0))
            await until(pilot, lambda: "which is being asked what it accepts" in watched.last)
            with gateway.write():
                write_hello(gateway, hello_of("smtp://127.0.0.1:9", {"size": "7000"}), now_ms())
            await until(pilot, lambda: "the relay accepts 6.84 KB" in watched.last)
            check.close()


async def test_what_goes_wrong_is_said(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **_fields: object) -> None:
        raise StoreUnavailable("The store is away.")

    monkeypatch.setattr(checking, "look", away)
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9"))
    app, watched = app_of(vault), Watched()
    async with app.run_test() as pilot:
        check = Checking(app.console_context, put(vault, 1))
        check.begin(watched)
        check.look(Choice(True))
        await until(pilot, lambda: "▲ The store is away." in watched.said)
        check.close()
