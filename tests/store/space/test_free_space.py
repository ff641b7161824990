"""The free space notification: one mail per crossing for all processes, and again only after space was freed."""

from __future__ import annotations

import asyncio
import email
import email.policy
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from store.authority import audit, configuration
from store.authority.settings import Settings, parse_setting, read_settings
from store.delivery.administrator import notify, notify_administrator, watch
from store.delivery.worker_thread import start_worker_thread
from store.mail.outcome import Outcome, State
from store.space.changing_settings import change_settings
from store.space.limits import Usage, usage
from store.space.notice import LEASE_MS, Due, Told, claim
from store.space.notice_mail import compose
from store.terms.errors import MailholdError, RelayError
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.store.mail.smtp_server import ScriptedServer

COPY = 50_000
SETTINGS = Settings(
    max_size=10 * 53_000,
    notify_below=3 * 53_000,
    relay="smtp://127.0.0.1:10025",
    administrator="admin@example.org",
)


#: Sends a message by the settings, and calls the last argument just before the content is sent.
Send = Callable[[Settings, bytes, Callable[[], None]], Outcome]


def free_space_notice(vault: Vault, send: Send, clock: Callable[[], int], host: str = "") -> Told:
    """Check the free space, and send the notification with `send` if it is due: `notify` without a relay."""
    due = claim(vault, clock=clock, host=host)
    if isinstance(due, Told):
        return due
    try:
        outcome = send(due.settings, due.message, due.hand_over)
    except configuration.Conflict:
        return Told.WAITING
    except MailholdError as error:
        outcome = due.interrupted(str(error))
    return due.settle(outcome)


@dataclass
class Relay:
    """A `Send` that records messages and returns what the test says."""

    answers: list[Any] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    offered: list[bytes] = field(default_factory=list)

    def __call__(self, settings: Settings, message: bytes, handed_over: Callable[[], None]) -> Outcome:
        self.offered.append(message)
        answer = self.answers.pop(0) if self.answers else Outcome(State.SENT, "250 ok")
        if answer == "die before":
            raise KeyboardInterrupt
        if isinstance(answer, Exception):
            raise answer
        if answer == "die after" or answer.state in (State.SENT, State.UNKNOWN):
            handed_over()
            self.sent.append(message)
        if answer == "die after":
            raise KeyboardInterrupt
        return answer


@dataclass
class Clock:
    now: int = 1_900_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def relay() -> Relay:
    return Relay()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def look(any_vault: Vault, relay: Relay, clock: Clock) -> Callable[..., Told]:
    """Check the free space once, through the test's store or another opening of it."""
    change_settings(any_vault, SETTINGS)

    def look(vault: Vault = any_vault) -> Told:
        return free_space_notice(vault, relay, clock, host="mx1.example.org")

    return look


def fill(vault: Vault, count: int) -> list[int]:
    return vault.put_many((os.urandom(COPY), CopyRecord(subject="Secret plans"), None) for _ in range(count))


def actions(vault: Vault) -> list[str]:
    return [event.action for event in audit.events(vault)][::-1]


def change(vault: Vault, **values: str) -> None:
    settings = read_settings(vault)
    for name, value in values.items():
        settings, _ = parse_setting(settings, name, value, unit=1)
    change_settings(vault, settings)


def test_enough_room(any_vault: Vault, look: Callable[..., Told], relay: Relay) -> None:
    fill(any_vault, 6)
    assert look() is Told.ENOUGH
    assert relay.sent == []
    assert any_vault.models.Configuration.select().count() == 1


def test_as_much_as_the_threshold_is_enough_and_a_byte_less_is_not(
    any_vault: Vault, look: Callable[..., Told], relay: Relay
) -> None:
    fill(any_vault, 4)
    free = usage(any_vault).free_bytes
    change(any_vault, notify_below=f"{free}")
    assert look() is Told.ENOUGH and relay.sent == []
    change(any_vault, notify_below=f"{free + 1}")
    assert look() is Told.SENT and len(relay.sent) == 1


def test_crossing_sends_one(any_vault: Vault, look: Callable[..., Told], relay: Relay, clock: Clock) -> None:
    fill(any_vault, 8)
    assert look() is Told.SENT
    for _ in range(5):
        clock.now += 10 * LEASE_MS
        assert look() is Told.ALREADY
        fill(any_vault, 1)
    assert len(relay.sent) == 1
    assert actions(any_vault)[1:] == ["administrator notified"]


def test_rotation_does_not_make_it_come_again(any_vault: Vault, look: Callable[..., Told], relay: Relay) -> None:
    """At the maximum, free space moves up and down across a threshold that is smaller than a copy."""
    change(any_vault, notify_below="25000")
    told = []
    for number in range(60):
        any_vault.put(os.urandom(20_000 + 7_919 * number % 40_000), CopyRecord())
        told.append(look())
    after = told[told.index(Told.SENT) + 1 :]
    assert set(after) == {Told.ENOUGH, Told.ALREADY}
    assert len(relay.sent) == 1


def test_again_after_space_was_freed(any_vault: Vault, look: Callable[..., Told], relay: Relay) -> None:
    ids = fill(any_vault, 8)
    assert look() is Told.SENT
    any_vault.delete(ids[:3])
    assert look() is Told.ENOUGH
    assert look() is Told.ENOUGH
    fill(any_vault, 3)
    assert look() is Told.SENT
    assert look() is Told.ALREADY
    assert len(relay.sent) == 2
    first, second = (email.message_from_bytes(message) for message in relay.sent)
    assert first["Message-ID"] != second["Message-ID"]


def test_again_even_if_nobody_looked_while_there_was_room(
    any_vault: Vault, look: Callable[..., Told], relay: Relay
) -> None:
    ids = fill(any_vault, 8)
    assert look() is Told.SENT
    any_vault.delete(ids)
    fill(any_vault, 8)
    assert look() is Told.SENT
    assert len(relay.sent) == 2


def test_not_again_if_too_little_was_freed(any_vault: Vault, look: Callable[..., Told], relay: Relay) -> None:
    ids = fill(any_vault, 9)
    assert look() is Told.SENT
    any_vault.delete(ids[:1])
    assert look() is Told.ALREADY
    fill(any_vault, 1)
    assert look() is Told.ALREADY
    assert len(relay.sent) == 1


def test_again_after_the_maximum_was_raised(any_vault: Vault, look: Callable[..., Told], relay: Relay) -> None:
    fill(any_vault, 8)
    assert look() is Told.SENT
    change(any_vault, max_size="1300000")
    assert look() is Told.ENOUGH
    fill(any_vault, 16)
    assert look() is Told.SENT
    assert len(relay.sent) == 2


def test_again_below_a_lower_threshold(any_vault: Vault, look: Callable[..., Told], relay: Relay) -> None:
    fill(any_vault, 8)
    assert look() is Told.SENT
    change(any_vault, notify_below="70000")
    assert look() is Told.ENOUGH
    fill(any_vault, 2)
    assert look() is Told.SENT


def test_threshold_zero_never_tells(any_vault: Vault, look: Callable[..., Told], relay: Relay) -> None:
    change(any_vault, notify_below="0")
    fill(any_vault, 15)
    assert look() is Told.ENOUGH
    assert relay.sent == []


@pytest.mark.parametrize("missing", ["relay", "administrator"])
def test_nobody_to_tell_until_there_is(any_vault: Vault, look: Callable[..., Told], relay: Relay, missing: str) -> None:
    change(any_vault, **{missing: ""})
    fill(any_vault, 8)
    assert look() is Told.NOBODY
    change(any_vault, **{missing: getattr(SETTINGS, missing)})
    assert look() is Told.SENT
    assert len(relay.sent) == 1


def test_a_refusal_is_tried_again_with_growing_pauses(
    any_vault: Vault, look: Callable[..., Told], relay: Relay, clock: Clock
) -> None:
    relay.answers = [Outcome(State.DEFERRED, "451 later"), RelayError("no route"), Outcome(State.FAILED, "550 no")]
    fill(any_vault, 8)
    for pause in (60_000, 120_000, 240_000):
        assert look() is Told.NOT_SENT
        clock.now += pause - 1
        assert look() is Told.WAITING
        clock.now += 1
    assert look() is Told.SENT
    assert len(relay.sent) == 1
    assert len({email.message_from_bytes(message)["Message-ID"] for message in relay.offered}) == 1
    assert actions(any_vault)[1:] == ["administrator not notified", "administrator notified"]


def test_new_settings_are_tried_at_once(any_vault: Vault, look: Callable[..., Told], relay: Relay) -> None:
    relay.answers = [Outcome(State.FAILED, "550 no such user")]
    fill(any_vault, 8)
    assert look() is Told.NOT_SENT
    assert look() is Told.WAITING
    change(any_vault, administrator="other@example.org")
    assert look() is Told.SENT
    assert b"To: other@example.org" in relay.sent[0]


def test_room_made_after_a_refusal_ends_it(any_vault: Vault, look: Callable[..., Told], relay: Relay) -> None:
    relay.answers = [Outcome(State.DEFERRED, "451 later")]
    ids = fill(any_vault, 8)
    assert look() is Told.NOT_SENT
    any_vault.delete(ids)
    assert look() is Told.ENOUGH
    fill(any_vault, 8)
    assert look() is Told.SENT
    assert len(relay.sent) == 1


def test_a_process_that_dies_before_sending_is_followed(
    any_vault: Vault, look: Callable[..., Told], relay: Relay, clock: Clock
) -> None:
    relay.answers = ["die before"]
    fill(any_vault, 8)
    with pytest.raises(KeyboardInterrupt):
        look()
    assert look() is Told.WAITING
    clock.now += LEASE_MS
    assert look() is Told.SENT
    assert len(relay.sent) == 1


def test_a_process_that_dies_while_sending_is_not_repeated(
    any_vault: Vault, look: Callable[..., Told], relay: Relay, clock: Clock
) -> None:
    relay.answers = ["die after"]
    ids = fill(any_vault, 8)
    with pytest.raises(KeyboardInterrupt):
        look()
    assert look() is Told.WAITING
    clock.now += LEASE_MS
    assert look() is Told.UNKNOWN
    assert look() is Told.ALREADY
    assert actions(any_vault)[1:] == ["administrator perhaps notified"]
    any_vault.delete(ids)
    fill(any_vault, 8)
    assert look() is Told.SENT
    assert len(relay.sent) == 2


def test_a_lost_connection_is_reported_and_not_repeated(
    any_vault: Vault, look: Callable[..., Told], relay: Relay
) -> None:
    relay.answers = [Outcome(State.UNKNOWN, "lost")]
    fill(any_vault, 8)
    assert look() is Told.UNKNOWN
    assert look() is Told.ALREADY
    assert actions(any_vault)[1:] == ["administrator perhaps notified"]


def test_who_lost_its_lease_does_not_send(
    any_vault: Vault, look: Callable[..., Told], relay: Relay, clock: Clock
) -> None:
    """The first sender sleeps past its lease before sending the content; the second sends in the meantime."""
    fill(any_vault, 8)

    def slow(settings: Settings, message: bytes, handed_over: Callable[[], None]) -> Outcome:
        clock.now += LEASE_MS + 1
        assert look() is Told.SENT
        handed_over()
        raise AssertionError("it went on without its lease")

    assert free_space_notice(any_vault, slow, clock) is Told.WAITING
    assert len(relay.sent) == 1


def test_room_made_while_it_is_sent_does_not_disturb(
    any_vault: Vault, look: Callable[..., Told], relay: Relay, clock: Clock
) -> None:
    ids = fill(any_vault, 8)

    def slow(settings: Settings, message: bytes, handed_over: Callable[[], None]) -> Outcome:
        any_vault.delete(ids)
        assert look() is Told.ENOUGH
        handed_over()
        return Outcome(State.SENT, "250 ok")

    assert free_space_notice(any_vault, slow, clock) is Told.SENT
    assert look() is Told.ENOUGH
    fill(any_vault, 8)
    assert look() is Told.SENT


def test_what_was_given_back_is_not_sent_any_more(any_vault: Vault, look: Callable[..., Told]) -> None:
    """A thread that is late, after its program gave the notice back, must not send it."""
    fill(any_vault, 8)
    due = claim(any_vault)
    assert isinstance(due, Due)
    assert due.settle(due.interrupted("the program was stopped")) is Told.NOT_SENT
    with pytest.raises(configuration.Conflict):
        due.hand_over()


def test_of_many_processes_one_sends(
    any_vault: Vault, look: Callable[..., Told], relay: Relay, open_again: Callable[[], Vault]
) -> None:
    vaults = [any_vault, open_again(), open_again()]
    fill(any_vault, 8)
    start = threading.Barrier(6)
    told: list[Told] = []

    def work(vault: Vault) -> None:
        start.wait()
        told.append(look(vault))

    threads = [threading.Thread(target=work, args=(vaults[number % 3],)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(relay.sent) == 1
    assert told.count(Told.SENT) == 1
    assert set(told) <= {Told.SENT, Told.WAITING, Told.ALREADY}


def test_its_state_survives_a_restart(
    any_vault: Vault, look: Callable[..., Told], relay: Relay, open_again: Callable[[], Vault]
) -> None:
    fill(any_vault, 8)
    assert look() is Told.SENT
    any_vault.close()
    assert look(open_again()) is Told.ALREADY


def test_a_damaged_state_begins_anew(any_vault: Vault, look: Callable[..., Told], relay: Relay) -> None:
    fill(any_vault, 8)
    assert look() is Told.SENT
    table = any_vault.models.Configuration
    table.update(sealed=b"x" * 80).where(table.name == "free-space-notice").execute()
    assert look() is Told.SENT and look() is Told.ALREADY and len(relay.sent) == 2
    assert actions(any_vault)[-2:] == ["free space notification reset", "administrator notified"]
    assert any_vault.delete(any_vault.ids()).deleted


async def test_through_a_real_session(any_vault: Vault) -> None:
    async with ScriptedServer() as server:
        change_settings(
            any_vault,
            Settings(**{**_fields(SETTINGS), "relay": f"smtp://127.0.0.1:{server.port}"}),
        )
        fill(any_vault, 8)
        told = await asyncio.gather(*(asyncio.to_thread(notify_administrator, any_vault) for _ in range(4)))
        assert sorted(told).count(Told.SENT) == 1
        assert await asyncio.to_thread(notify_administrator, any_vault) is Told.ALREADY
    (taken,) = server.taken
    assert taken.mail == ""
    assert taken.rcpt == ["admin@example.org"]
    message = email.message_from_bytes(taken.content, policy=email.policy.default)
    assert message["To"] == "admin@example.org"
    assert "free space left" in message["Subject"]
    assert b"Secret plans" not in taken.content


@pytest.mark.parametrize(
    ("point", "answer", "expected"),
    [
        ("connect", "554 go away", Told.NOT_SENT),
        ("rcpt", "550 no such user", Told.NOT_SENT),
        ("mail", "451 later", Told.NOT_SENT),
        ("data", "die", Told.NOT_SENT),
        ("dot", "die", Told.UNKNOWN),
        ("replied", "die", Told.UNKNOWN),
    ],
)
async def test_a_session_that_fails(vault: Vault, point: str, answer: str, expected: Told) -> None:
    def script(at: str, _argument: str) -> str | None:
        return answer if at == point else None

    async with ScriptedServer(script) as server:
        change_settings(
            vault,
            Settings(**{**_fields(SETTINGS), "relay": f"smtp://127.0.0.1:{server.port}"}),
        )
        fill(vault, 8)
        assert await asyncio.to_thread(notify_administrator, vault) is expected
    state = configuration.read(vault, "free-space-notice", dict)
    assert state is not None
    assert state.value["phase"] == ("armed" if expected is Told.NOT_SENT else "told")


@pytest.mark.parametrize(("point", "phase"), [("rcpt", "armed"), ("dot", "told")])
async def test_stopping_the_program_while_it_sends(vault: Vault, point: str, phase: str) -> None:
    """Before the content it is given back to the next process; after that no process sends it again."""
    reached = asyncio.Event()

    def script(at: str, _argument: str) -> str | None:
        if at == point:
            reached.set()
            return "250-the rest of this reply never comes"
        return None

    async with ScriptedServer(script) as server:
        change_settings(vault, Settings(**{**_fields(SETTINGS), "relay": f"smtp://127.0.0.1:{server.port}"}))
        fill(vault, 8)
        task = asyncio.create_task(notify(vault))
        await asyncio.wait_for(reached.wait(), 20)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    state = configuration.read(vault, "free-space-notice", dict)
    assert state is not None
    assert state.value["phase"] == phase


async def test_watching_sends_one_for_each_crossing(vault: Vault) -> None:
    async with ScriptedServer() as server:
        change_settings(vault, Settings(**{**_fields(SETTINGS), "relay": f"smtp://127.0.0.1:{server.port}"}))
        watching = asyncio.create_task(watch(vault, every=0.01))
        for crossing in (1, 2):
            ids = await asyncio.to_thread(fill, vault, 8)
            async with asyncio.timeout(20):
                while len(server.taken) < crossing:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            await asyncio.to_thread(vault.delete, ids)
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        assert len(server.taken) == 2


async def test_the_worker_s_thread_watches(vault: Vault) -> None:
    async with ScriptedServer() as server:
        change_settings(vault, Settings(**{**_fields(SETTINGS), "relay": f"smtp://127.0.0.1:{server.port}"}))
        await asyncio.to_thread(fill, vault, 8)
        handle = start_worker_thread(vault, "test")
        async with asyncio.timeout(20):
            while not server.taken:
                await asyncio.sleep(0.01)
        assert await asyncio.to_thread(handle.stop)
    assert [taken.rcpt for taken in server.taken] == [["admin@example.org"]]


def _fields(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}


@pytest.mark.parametrize(
    "administrator", ["admin@example.org", '"a b"@example.org', "jörg@exämple.org", "..x@a.example"]
)
def test_the_mail(administrator: str) -> None:
    settings = Settings(notify_below=500 * 1024 * 1024, administrator=administrator)
    usage = Usage(83_310, settings.max_size - 400_000_000, settings.max_size, 400_000_000, 1_790_000_000_000)
    data = compose(settings, usage, number=3, now=1_790_900_000_000, host="mx1.example.org", store_id=b"s" * 16)
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in data.split(b"\r\n"))
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert message["Subject"] == "Backup on mx1.example.org: 381.47 MB of free space left"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime.timestamp() == 1_790_900_000
    assert administrator in str(message["To"])
    text = message.get_content()
    for part in ("threshold of 500 MB", "6.95 GB of 7.32 GB", "83,310", "21 Sep 2026 14:13 UTC", "set max_size="):
        assert part in text
    again = compose(settings, usage, number=3, now=1_790_900_000_001, host="mx1.example.org", store_id=b"s" * 16)
    other = compose(settings, usage, number=4, now=1_790_900_000_001, host="mx1.example.org", store_id=b"s" * 16)
    ids = [email.message_from_bytes(each)["Message-ID"] for each in (data, again, other)]
    assert ids[0] == ids[1] != ids[2]
    empty = compose(settings, usage._replace(oldest=None), number=1, now=1, host="mx1", store_id=b"s" * 16)
    assert b"    Oldest copy       none\r\n" in empty
