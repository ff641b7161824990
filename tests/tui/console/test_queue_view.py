"""The Message queue on a real store: the columns for deliveries and recipients, retry and cancel."""

from __future__ import annotations

from datetime import UTC

import pytest
from textual.widgets import Static

from store.authority.audit import events
from store.database.connection import run
from store.delivery.queue import deliveries, release
from store.enrolment.enrolled import beat
from store.enrolment.enrolment import enroll, open_with_credentials
from store.mail.outcome import State
from tests.tui.console.view_data import fill_queue
from tests.tui.console.view_harness import NOW, ViewApp, screen_text, settle
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.dialogs.send_again import SendAgainDialog
from tui.console.screens.queue import QueueView
from tui.console.text.queue_lines import detail_lines, next_step, summary, who_sends


@pytest.fixture
def queue(vault, monkeypatch) -> list[int]:
    return fill_queue(vault, monkeypatch)


def states(vault) -> dict[int, State]:
    return {delivery.id: delivery.state for delivery in deliveries(vault)}


async def test_an_empty_queue_says_so(vault):
    app = ViewApp(vault, QueueView)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "No deliveries yet" in screen_text(app)
        await pilot.press("r")
        assert app.notices == ["No delivery is selected."]


async def test_it_lists_deliveries_newest_first_with_their_state(vault, queue):
    app = ViewApp(vault, QueueView)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        lines = screen_text(app).splitlines()
        assert lines[0].startswith("2 waiting · 1 unknown · 1 failed")
        shown = [line.split() for line in lines[3:7]]
        assert [(line[0], line[4] + line[5]) for line in shown] == [
            (str(queue[3]), "·queued"),
            (str(queue[2]), "?unknown"),
            (str(queue[1]), "◷deferred"),
            (str(queue[0]), "✗failed"),
        ]
        assert "2 of 3" in lines[6]
        assert "next try in" in lines[5]
        assert "Invoice 88213" in lines[6]
        assert "\x1b" not in screen_text(app)


async def test_the_cursors_delivery_shows_every_recipient_and_reply(vault, queue):
    app = ViewApp(vault, QueueView)
    async with app.run_test(size=(80, 30)) as pilot:
        await settle(pilot)
        await pilot.press("G")
        await settle(pilot)
        text = screen_text(app)
        assert f"Delivery {queue[0]} of copy 1 to 3 addresses" in text
        for words in ("ap@corp.example", "250 2.0.0 Ok", "hidden@corp.example", "550 5.1.1", "rejected: User"):
            assert words in text


async def test_many_recipients_are_scrolled_without_leaving_the_list(vault, queue):
    from store.delivery.queue import release

    release(vault, [1], original=False, additional=[f"user{number}@corp.example" for number in range(60)])
    app = ViewApp(vault, QueueView)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "user59@" not in screen_text(app)
        await pilot.press(*["J"] * 30)
        await settle(pilot)
        assert "user59@" in screen_text(app)
        await pilot.press(*["shift+up"] * 30)
        await settle(pilot)
        assert "60 addresses" in screen_text(app)


async def test_it_follows_the_store_and_the_cursor_stays_on_its_delivery(vault, queue):
    app = ViewApp(vault, QueueView)
    async with app.run_test(size=(80, 30)) as pilot:
        await settle(pilot)
        await pilot.press("j")
        await settle(pilot)
        assert f"Delivery {queue[2]} " in screen_text(app)
        from store.delivery.queue import release

        new = release(vault, [1], original=True).queued
        app.view.refresh_data()
        await settle(pilot)
        assert "3 waiting" in screen_text(app)
        assert str(new[0]) in screen_text(app).splitlines()[3]
        assert f"Delivery {queue[2]} " in screen_text(app)


async def test_cancel_asks_and_keeps_unless_confirmed(vault, queue):
    app = ViewApp(vault, QueueView)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("c")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmDialog)
        assert app.screen.question == f"Cancel delivery {queue[3]} to 3 addresses?"
        await pilot.press("enter")
        await settle(pilot)
        assert states(vault)[queue[3]] is State.QUEUED
        await pilot.press("c", "left", "enter")
        await settle(pilot)
        assert states(vault)[queue[3]] is State.CANCELLED
        assert app.notices == [f"Delivery {queue[3]} has been cancelled"]
        assert ("changed",) in app.asked
        assert events(vault, 1)[0].operator == "root"


async def test_sending_again_asks_to_whom_and_says_what_is_known(vault, queue):
    app = ViewApp(vault, QueueView)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("G", "r")
        await settle(pilot)
        assert isinstance(app.screen, SendAgainDialog)
        said = str(app.screen.query_one("#receivers", Static).visual)
        for recipient in app.view.current.recipients:
            assert (recipient.address in said) == (recipient.reply in said) == (recipient.state is State.FAILED)
        assert not app.screen.warning
        await pilot.press("enter")
        await settle(pilot)
        assert states(vault)[queue[0]] is State.FAILED and not app.notices
        await pilot.press("r")
        await settle(pilot)
        await pilot.press("left", "enter")
        await settle(pilot)
        assert states(vault)[queue[0]] is State.QUEUED
        assert app.notices == [f"Delivery {queue[0]} is sent again"]


async def test_retry_of_an_unknown_delivery_warns_that_it_may_arrive_twice(vault, queue):
    app = ViewApp(vault, QueueView)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("j", "r")
        await settle(pilot)
        assert isinstance(app.screen, ConfirmDialog)
        assert "twice" in app.screen.warning
        await pilot.press("escape")
        await settle(pilot)
        assert states(vault)[queue[2]] is State.UNKNOWN
        await pilot.press("r")
        await settle(pilot)
        await pilot.press("left", "enter")
        await settle(pilot)
        assert states(vault)[queue[2]] is State.QUEUED


async def test_sending_again_names_whom_another_delivery_serves_and_does_nothing_where_that_changed(vault, queue):
    copy_id = deliveries(vault)[-1].copy_id
    failed = [each.address for each in deliveries(vault)[-1].recipients if each.state is State.FAILED]
    app = ViewApp(vault, QueueView)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("G", "r")
        await settle(pilot)
        [other] = release(vault, [copy_id], original=False, additional=failed).queued
        await pilot.press("left", "enter")
        await settle(pilot)
        assert states(vault)[queue[0]] is State.FAILED
        assert (
            len(app.notices) == 1
            and "no recipients left" in app.notices[0]
            and f"waits in delivery {other}" in app.notices[0]
        )


async def test_a_delivery_that_waits_says_who_sends_it(vault, queue, tmp_path, monkeypatch):
    monkeypatch.setattr("store.enrolment.enrolled.now_ms", lambda: NOW - 20_000)
    app = ViewApp(vault, QueueView)
    enroll(vault, "mx1", tmp_path / "mx1.credentials")
    gateway = open_with_credentials(vault.location, tmp_path / "mx1.credentials")
    beat(gateway)
    release(vault, [1], original=False, additional=["new@corp.example"])
    gateway.close()
    async with app.run_test(size=(120, 24)) as pilot:
        await settle(pilot)
        await pilot.press("g")
        await settle(pilot)
        assert "the gateway mx1 sends it" in screen_text(app)
        await pilot.press("j")
        await settle(pilot)
        assert "an open console sends it" in screen_text(app)


@pytest.mark.parametrize("width", [40, 60, 80, 105, 132, 200])
def test_the_detail_is_cut_off_at_no_width(vault, queue, width):
    for delivery in deliveries(vault):
        lines = ["".join(span.text for span in line) for line in detail_lines(delivery, "x", 0, UTC, width, {})]
        assert max(map(len, lines)) <= width
        whole = " ".join(" ".join(lines).split())
        assert who_sends(delivery, {}) in whole and next_step(delivery, 0) in whole


async def test_what_is_not_possible_says_why(vault, queue):
    app = ViewApp(vault, QueueView)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        view = app.view
        assert isinstance(view, QueueView)
        await pilot.press("G")
        assert view.reason_against("retry") is None
        assert view.reason_against("cancel-delivery") == f"Delivery {queue[0]} is finished."
        await pilot.press("c")
        assert app.notices == [f"Delivery {queue[0]} is finished."]


@pytest.mark.parametrize(("lease", "reason"), [(60_000, "It is being sent now. Wait for the result."), (-1, None)])
async def test_one_that_a_stopped_gateway_left_half_sent_can_be_sent_again(vault, queue, lease, reason):
    state = "UPDATE delivery SET state = 'sending', lease_until = ? WHERE id = ?"
    run(vault.db, state, NOW + lease, queue[3])
    app = ViewApp(vault, QueueView)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert isinstance(app.view, QueueView)
        assert [app.view.reason_against(action) for action in ("retry", "cancel-delivery")] == [reason, reason]


async def test_enter_views_the_copy_unless_it_was_deleted(vault, queue):
    app = ViewApp(vault, QueueView)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("G", "enter")
        await pilot.pause()
        assert ("open", 1) in app.asked
        vault.delete([1])
        app.view.refresh_data()
        await settle(pilot)
        assert "(the copy was deleted)" in screen_text(app)
        await pilot.press("enter")
        await pilot.pause()
        assert app.notices == ["The copy of this delivery was deleted."]
        await pilot.press("escape")
        assert ("go", "backup") in app.asked


async def test_a_damaged_delivery_stands_among_the_others_and_can_be_cancelled(vault, queue):
    table = vault.models.DeliveryRecipient
    with vault.write():
        table.update(sealed_address=b"\0" * 80).where(table.delivery_id == queue[1]).execute()
    app = ViewApp(vault, QueueView)
    async with app.run_test(size=(100, 34)) as pilot:
        await settle(pilot)
        lines = screen_text(app).splitlines()
        assert lines[0].startswith("1 waiting · 1 damaged · 1 unknown · 1 failed")
        assert "▲ damaged" in lines[5] and "not sent: cancel it" in lines[5]
        assert "· queued" in lines[3]
        await pilot.press("j", "j")
        await settle(pilot)
        text = screen_text(app)
        assert "It was tampered with or is damaged: a recipient does not verify" in text
        assert "`mailhold check`" in text and text.count("a damaged address") == 3
        await pilot.press("r")
        assert app.notices == ["It was tampered with or is damaged. Deliver its copy again."]
        await pilot.press("c")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmDialog)
        assert app.screen.question == f"Cancel delivery {queue[1]}, which was tampered with or is damaged?"
        await pilot.press("left", "enter")
        await settle(pilot)
        assert app.notices[1:] == [f"Delivery {queue[1]} has been cancelled"]
        assert "Nothing more is sent for it." in " ".join(screen_text(app).split())
        assert app.view.reason_against("cancel-delivery") == f"Delivery {queue[1]} is finished."


def test_a_time_that_cannot_be_is_said_in_the_line_and_in_full(vault, queue):
    [delivery] = [each for each in deliveries(vault) if each.live and each.state is State.QUEUED][:1]
    assert not delivery.odd_time(delivery.created_at)
    for now in (delivery.created_at - 3_600_000, delivery.expires_at + 3_600_000):
        lines = ["".join(span.text for span in line) for line in detail_lines(delivery, "x", now, UTC, 80, {})]
        assert any("△ An impossible time" in line for line in lines), lines
        assert next_step(delivery, now) == "△ a clock was wrong"


def test_a_waiting_delivery_that_failed_for_some_is_counted_as_status_counts_it(vault, queue):
    """`status` and the top line count it as failed, too."""
    listed = deliveries(vault)
    assert summary(listed, 500).startswith("2 waiting · 1 unknown · 1 failed")
    [place] = [at for at, each in enumerate(listed) if each.state is State.QUEUED][:1]
    first, *others = listed[place].recipients
    listed[place] = listed[place]._replace(recipients=[first._replace(state=State.FAILED), *others])
    assert summary(listed, 500).startswith("2 waiting, 1 of them failed in part · 1 unknown · 1 failed")
