"""The small controls, by keyboard and mouse; and the lists that draw only visible lines."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.widget import Widget

from tests.tui.console.view_harness import FakeRecipient, ThemedApp, screen_text
from tui.console.widgets.controls import CheckBox, Choice, Field, PushButton
from tui.console.widgets.line_view import LineView
from tui.console.widgets.pick_list import PickList
from tui.console.widgets.recipient_list import RecipientList
from tui.console.widgets.tab_strip import TabStrip
from tui.terminal.lines import Span


class Holder(ThemedApp):
    def __init__(self, *widgets: Widget) -> None:
        super().__init__()
        self.widgets = widgets
        self.seen: list[object] = []

    def compose(self) -> ComposeResult:
        yield from self.widgets

    def on_check_box_changed(self, event: CheckBox.Changed) -> None:
        self.seen.append(event.value)

    def on_choice_changed(self, event: Choice.Changed) -> None:
        self.seen.append(event.index)

    def on_tab_strip_chosen(self, event: TabStrip.Chosen) -> None:
        self.seen.append(event.index)

    def on_pick_list_picked(self, event: PickList.Picked) -> None:
        self.seen.append(event.index)


def numbered(count: int) -> Iterable[tuple[Span, ...]]:
    return [(Span(f"line {number}"),) for number in range(count)]


async def test_a_check_box_toggles_by_space_and_click():
    box = CheckBox("Yes", id="box")
    app = Holder(box)
    async with app.run_test() as pilot:
        box.focus()
        await pilot.press("space")
        await pilot.click("#box")
        assert app.seen == [True, False]
        assert "[ ] Yes" in screen_text(app)


async def test_a_choice_moves_by_arrows_and_clicks_and_no_letter():
    choice = Choice(("Process messages", "Temporary fail", "Reject messages"), id="choice")
    app = Holder(choice)
    async with app.run_test() as pilot:
        choice.focus()
        await pilot.press("right", "left", "left", "t", "space")
        await pilot.click("#choice", offset=(50, 0))
        assert app.seen == [1, 0, 2, 0, 2]
        assert "( ) Process messages  ( ) Temporary fail  (•) Reject messages" in screen_text(app)


async def test_what_does_not_fit_on_one_line_is_wrapped_and_clicked_there():
    choice = Choice(("Process messages", "Temporary fail", "Reject messages"), id="choice")
    box = CheckBox("To recipients' email addresses specified in the message header", id="box")
    app = Holder(choice, box)
    async with app.run_test(size=(39, 10)) as pilot:
        await pilot.click("#choice", offset=(2, 1))
        await pilot.click("#box", offset=(6, 1))
        assert app.seen == [1, True]
        assert screen_text(app).splitlines()[:5] == [
            "( ) Process messages",
            "(•) Temporary fail  ( ) Reject messages",
            "[x] To recipients' email addresses",
            "    specified in the message header",
            "",
        ]


async def test_a_tab_is_chosen_by_click():
    tabs = TabStrip(("Message", "Text", "Links 3"), id="tabs")
    app = Holder(tabs)
    async with app.run_test() as pilot:
        await pilot.click("#tabs", offset=(18, 0))
        await pilot.click("#tabs", offset=(1, 0))
        tabs.move(-1)
        await pilot.pause()
        assert app.seen == [2, 0, 2]


async def test_focus_and_fields_can_be_seen_without_colour():
    app = Holder()
    async with app.run_test(size=(40, 10)) as pilot:
        await app.mount(PushButton("One", id="one"), PushButton("Two", id="two"), Field("text"))
        app.query_one("#one").focus()
        await pilot.pause()
        styles = {
            segment.text.strip(): segment.style
            for strip in app.screen._compositor.render_strips()
            for segment in strip
            if segment.style
        }
        assert styles["[ One ]"].reverse
        assert not styles["[ Two ]"].reverse
        assert "▏" in screen_text(app)
        assert "▕" in screen_text(app)


async def test_a_line_view_draws_visible_lines_of_any_number():
    class Endless(list):
        looked = 0

        def __len__(self) -> int:
            return 10_000_000

        def __getitem__(self, index):
            Endless.looked += 1
            return (Span(f"line {index}"),)

    view = LineView()
    app = Holder(view)
    async with app.run_test(size=(40, 10)) as pilot:
        view.show(Endless())
        view.focus()
        await pilot.press("G")
        await pilot.pause()
        assert "line 9999999" in screen_text(app)
        await pilot.press("g", "pagedown", "ctrl+d", "k", "j", "end", "home")
        await pilot.pause()
        assert screen_text(app).startswith("line 0\n")
        assert Endless.looked < 500


async def test_a_wide_view_scrolls_sideways():
    view = LineView()
    app = Holder(view)
    async with app.run_test(size=(40, 10)) as pilot:
        view.show([(Span("0123456789" * 20),)], line_width=200)
        view.focus()
        await pilot.pause()
        await pilot.press("right", "right")
        await pilot.pause()
        assert screen_text(app).startswith("6789012345")


async def test_the_cursor_of_a_pick_list_stays_in_sight_and_picks():
    view = PickList(id="pick")
    app = Holder(view)
    async with app.run_test(size=(40, 10)) as pilot:
        view.show(numbered(100))
        view.focus()
        await pilot.press("pagedown", "pagedown", "j", "enter")
        await pilot.pause()
        assert app.seen == [19]
        assert "line 19" in screen_text(app)
        await pilot.press("G", "enter", "g", "k", "enter")
        await pilot.pause()
        assert app.seen == [19, 99, 0]
        await pilot.click("#pick", offset=(2, 4), times=2)
        await pilot.pause()
        assert app.seen == [19, 99, 0, 4]
        view.show(numbered(2))
        assert view.cursor == 1


async def test_recipients_show_punycode_and_only_visible_lines_are_drawn(monkeypatch):
    drawn: list[str] = []
    from tui.console.widgets import recipient_list

    original = recipient_list.fit
    monkeypatch.setattr(recipient_list, "fit", lambda text, width: drawn.append(text) or original(text, width))
    many = [FakeRecipient("a@аccounts.example"), *(FakeRecipient(f"u{number}@x.example") for number in range(300_000))]
    recipients = RecipientList(many)
    recipients.styles.height = 10
    app = Holder(recipients)
    async with app.run_test(size=(100, 20)) as pilot:
        recipients.focus()
        await pilot.pause()
        assert "(xn--ccounts-1fg.example)" in screen_text(app)
        await pilot.press("end", "space")
        await pilot.pause()
        assert recipients.left_out == {"u299999@x.example"}
        assert "[ ] u299999@x.example" in screen_text(app)
        assert len(set(drawn)) < 100
