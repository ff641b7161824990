"""The console's keys as one table, from which the bindings, the footer, the help and the palette are made."""

from __future__ import annotations

from collections.abc import Container, Mapping
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from textual.binding import Binding, BindingType
from textual.keys import format_key


class Scope(StrEnum):
    """A part of the console in which a set of keys works. The value is its heading in the help."""

    LIST = "Message list"
    VIEW = "Message view"
    TREE = "Console tree"
    CAMPAIGNS = "Campaigns"
    CAMPAIGN = "Campaign opened"
    COMPARE = "Copies compared"
    BIN = "Bin"
    BINNED = "Copies in the bin"
    QUEUE = "Message queue"
    RULES = "Rules"
    ADDRESSES = "Address lists"
    PAGE = "Monitoring, Events, Settings"
    FILTER = "Filter line"
    APP = "Everywhere"


class Key(NamedTuple):
    """An action: its id (unique, used in key files), its default keys, the method it calls, and its words.

    `label` is for the footer ("" keeps it out), `text` for the help and the palette.
    """

    id: str
    keys: str
    action: str
    label: str
    text: str
    scope: Scope
    palette: bool = True


_L, _V, _T, _Q, _P, _A = Scope.LIST, Scope.VIEW, Scope.TREE, Scope.QUEUE, Scope.PAGE, Scope.APP
_R, _S, _B, _C = Scope.RULES, Scope.ADDRESSES, Scope.BIN, Scope.BINNED
_G, _O, _M = Scope.CAMPAIGNS, Scope.CAMPAIGN, Scope.COMPARE

#: In the order of the footer and the help.
KEYS: tuple[Key, ...] = (
    Key("deliver", "r", "deliver", "Deliver", "Deliver the marked copies, or the one at the cursor", _L),
    Key("view", "enter", "view", "View", "View the one marked copy, or the one at the cursor", _L),
    Key("delete", "d,delete", "delete", "Delete", "Delete the marked copies, or the one at the cursor", _L),
    Key("save", "s", "save", "Save", "Save the marked copies, or the one at the cursor, to files", _L),
    Key("search-filter", "f", "search_filter", "Search filter", "Open the Search filter window", _L),
    Key("filter", "slash", "filter", "Filter", "Type in the filter line", _L),
    Key("save-filter", "w", "save_filter", "", "Save the filter under a name", _L),
    Key("mark", "space,t", "mark", "Mark", "Mark or unmark, and move down", _L),
    Key("sort", "o", "sort", "Sort", "Sort by another column", _L),
    Key("mark-range", "v", "mark_range", "", "Start or end a range of marks", _L),
    Key("mark-up", "shift+up,K", "mark_move(-1)", "", "Mark and move up", _L, False),
    Key("mark-down", "shift+down,J", "mark_move(1)", "", "Mark and move down", _L, False),
    Key("mark-query", "T", "mark_query", "", "Mark what a filter matches", _L),
    Key("unmark-query", "U", "unmark_query", "", "Unmark what a filter matches", _L),
    Key("mark-all", "asterisk", "mark_all", "", "Mark all copies in the filter", _L),
    Key("unmark-all", "ctrl+t", "unmark_all", "", "Clear all marks", _L),
    Key("campaign", "c", "campaign", "", "Open the campaign of the copy at the cursor", _L),
    Key("copy", "y", "copy", "", "Copy an address, the subject or an ID to the clipboard", _L),
    Key("clear-filter", "escape", "back", "", "Clear the filter", _L),
    Key("leave", "q", "leave", "", "Quit", _L, False),
    Key("up", "k,up", "cursor(-1)", "", "Up", _L, False),
    Key("down", "j,down", "cursor(1)", "", "Down", _L, False),
    Key("page-up", "pageup,ctrl+b", "page(-1)", "", "Page up", _L, False),
    Key("page-down", "pagedown,ctrl+f", "page(1)", "", "Page down", _L, False),
    Key("half-up", "ctrl+u", "half_page(-1)", "", "Half a page up", _L, False),
    Key("half-down", "ctrl+d", "half_page(1)", "", "Half a page down", _L, False),
    Key("top", "g,home", "top", "", "First copy", _L, False),
    Key("bottom", "G,end", "bottom", "", "Last copy", _L, False),
    Key("view-deliver", "r", "deliver", "Deliver", "Deliver this copy", _V),
    Key("view-delete", "d,delete", "delete", "Delete", "Delete this copy", _V),
    Key("view-save", "s", "save", "Save", "Save this copy to a file", _V),
    Key("view-back", "escape,q", "to_list", "To messages list", "Back to the message list", _V),
    Key("view-next", "n", "neighbour(1)", "Next", "Next copy", _V),
    Key("view-previous", "p", "neighbour(-1)", "Previous", "Previous copy", _V),
    Key("view-tab-next", "right_square_bracket", "tab(1)", "Tabs", "Next tab", _V, False),
    Key("view-tab-previous", "left_square_bracket", "tab(-1)", "", "Previous tab", _V, False),
    Key("view-find", "slash", "find", "Find", "Find a text in this tab", _V),
    Key("view-find-next", "full_stop", "find_step(1)", "", "Next place of that text", _V),
    Key("view-find-previous", "comma", "find_step(-1)", "", "Previous place of that text", _V),
    Key("view-campaign", "c", "campaign", "", "Open the campaign of this copy", _V),
    Key("view-restore", "u", "bring_back", "", "Bring this copy back from the bin", _V),
    Key(
        "campaigns-open",
        "enter",
        "open_row",
        "Open",
        "Open the campaign at the cursor, or list what a sender sent",
        _G,
    ),
    Key("campaigns-delete", "d,delete", "delete", "Delete", "Delete what fits the marked campaigns, or this one", _G),
    Key("campaigns-mark", "space,t", "mark", "Mark", "Mark or unmark the campaign at the cursor, and move down", _G),
    Key("campaigns-mark-sure", "asterisk", "mark_sure", "Mark sure", "Mark only the sure campaigns", _G),
    Key("campaigns-unmark", "ctrl+t", "unmark_all", "", "Clear all marks", _G),
    Key("campaigns-peel-odd", "P", "peel_odd", "", "Peel the odd copies off the campaign at the cursor", _G),
    Key(
        "campaigns-join",
        "m",
        "join",
        "Join",
        "Join the marked campaigns, or this one with its related one; or separate them",
        _G,
    ),
    Key("campaigns-own", "o", "own", "Own", "Take the campaign at the cursor as yours, or give it back", _G),
    Key("campaigns-state", "x", "state", "", "Change the state: new, open, done", _G),
    Key("campaigns-name", "e", "name", "", "Name the campaign at the cursor", _G),
    Key("campaigns-note", "n", "note", "", "Write a note on the campaign at the cursor", _G),
    Key("campaigns-release", "r", "release", "", "Explain why campaigns cannot be released as a whole", _G, False),
    Key("campaigns-detail-down", "J,shift+down", "detail(1)", "", "Scroll the details down", _G, False),
    Key("campaigns-detail-up", "K,shift+up", "detail(-1)", "", "Scroll the details up", _G, False),
    Key("campaigns-back", "escape,q", "to_list", "To messages list", "Back to the message list", _G, False),
    Key("campaign-view", "enter", "view", "View", "View the copy at the cursor", _O),
    Key("campaign-compare", "right_square_bracket", "compare", "Compare", "Compare the copy with a typical one", _O),
    Key("campaign-peel", "p", "peel", "Peel off", "Peel the marked copies off the campaign, or this one", _O),
    Key("campaign-peel-odd", "P", "peel_odd", "Odd ones", "Peel the odd copies off the campaign", _O),
    Key("campaign-delete", "d,delete", "delete", "Delete", "Delete what fits the campaign", _O),
    Key("campaign-deliver", "r", "deliver", "Deliver", "Deliver the marked copies, or the one at the cursor", _O),
    Key("campaign-mark", "space,t", "mark", "Mark", "Mark or unmark the copy at the cursor, and move down", _O),
    Key("campaign-unmark", "ctrl+t", "unmark_all", "", "Clear all marks", _O),
    Key("campaign-join", "m", "join", "", "Join the campaign with its related one, or separate them", _O),
    Key("campaign-own", "o", "own", "", "Take the campaign as yours, or give it back", _O),
    Key("campaign-state", "x", "state", "", "Change the state: new, open, done", _O),
    Key("campaign-name", "e", "name", "", "Name the campaign", _O),
    Key("campaign-note", "n", "note", "", "Write a note on the campaign", _O),
    Key("campaign-detail-down", "J,shift+down", "detail(1)", "", "Scroll the figures down", _O, False),
    Key("campaign-detail-up", "K,shift+up", "detail(-1)", "", "Scroll the figures up", _O, False),
    Key("campaign-back", "escape,q", "back", "Back", "Back to the previous page", _O, False),
    Key("compare-view", "enter", "view", "View", "View the copy", _M),
    Key("compare-peel", "p", "peel", "Peel off", "Peel the copy off its campaign", _M),
    Key("compare-next", "right_square_bracket", "neighbour(1)", "Next", "Compare the next copy of the campaign", _M),
    Key("compare-previous", "left_square_bracket", "neighbour(-1)", "Previous", "Compare the previous copy", _M),
    Key("compare-back", "escape,q", "back", "Back", "Back to the previous page", _M, False),
    Key("bin-copies", "enter", "copies", "Copies", "Show the copies of the act at the cursor", _B),
    Key("bin-restore", "u", "bring_back", "Bring back", "Bring back the copies of the act at the cursor", _B),
    Key("bin-delete", "d,delete", "delete", "Delete", "Delete the act's copies from the bin for good", _B),
    Key("bin-empty", "E", "empty", "", "Empty the bin: delete everything in it for good", _B),
    Key("bin-detail-down", "J,shift+down", "detail(1)", "", "Scroll the details down", _B, False),
    Key("bin-detail-up", "K,shift+up", "detail(-1)", "", "Scroll the details up", _B, False),
    Key("bin-back", "escape,q", "to_list", "To messages list", "Back to the message list", _B, False),
    Key(
        "binned-restore", "u", "bring_back", "Bring back", "Bring back the marked copies, or the one at the cursor", _C
    ),
    Key("binned-view", "enter", "view", "View", "View the one marked copy, or the one at the cursor", _C),
    Key(
        "binned-delete",
        "d,delete",
        "delete",
        "Delete",
        "Delete the marked copies, or the one at the cursor, for good",
        _C,
    ),
    Key("binned-deliver", "r", "deliver", "Deliver", "Bring back and deliver the marked copies, or this one", _C),
    Key("binned-save", "s", "save", "Save", "Bring back and save the marked copies, or this one", _C),
    Key("binned-mark-all", "asterisk", "mark_all", "", "Mark all copies of the act", _C),
    Key("binned-back", "escape,q", "back", "To the bin", "Back to the bin", _C, False),
    Key("retry", "r", "retry", "Retry", "Send the delivery at the cursor again", _Q),
    Key("cancel-delivery", "c", "cancel_delivery", "Cancel delivery", "Cancel the delivery at the cursor", _Q),
    Key("queue-detail-down", "J,shift+down", "detail(1)", "", "Scroll the recipients down", _Q, False),
    Key("queue-detail-up", "K,shift+up", "detail(-1)", "", "Scroll the recipients up", _Q, False),
    Key("queue-back", "escape,q", "to_list", "To messages list", "Back to the message list", _Q, False),
    Key("edit-rule", "enter", "edit_rule", "Edit", "Edit the rule at the cursor", _R),
    Key("add-rule", "a", "add_rule", "Add", "Add a rule", _R),
    Key("delete-rule", "d,delete", "delete_rule", "Delete", "Remove the rule at the cursor", _R),
    Key("enable-rule", "e", "enable_rule", "On/off", "Enable or disable the rule at the cursor", _R),
    Key("rule-up", "K,shift+up", "move_rule(-1)", "Up", "Move the rule at the cursor up in the order", _R),
    Key("rule-down", "J,shift+down", "move_rule(1)", "Down", "Move the rule at the cursor down in the order", _R),
    Key("rule-detail-up", "left_square_bracket", "detail(-1)", "", "Scroll the details up", _R, False),
    Key("rule-detail-down", "right_square_bracket", "detail(1)", "", "Scroll the details down", _R, False),
    Key("rules-back", "escape,q", "to_list", "To messages list", "Back to the message list", _R, False),
    Key("add-address", "a", "add_address", "Add", "Add addresses to a list", _S),
    Key("remove-address", "d,delete", "remove_address", "Remove", "Remove the entry at the cursor from its list", _S),
    Key("find-address", "slash,f", "find_address", "Find", "Find entries by sender or user", _S),
    Key(
        "addresses-back",
        "escape,q",
        "to_list",
        "To messages list",
        "Show all entries, or go back to the message list",
        _S,
        False,
    ),
    Key("page-back", "escape,q", "to_list", "To messages list", "Back to the message list", _P, False),
    Key("tree-up", "k,up", "cursor(-1)", "", "Up", _T, False),
    Key("tree-down", "j,down", "cursor(1)", "", "Down", _T, False),
    Key("tree-open", "enter,space", "open", "Open", "Go to the workspace", _T, False),
    Key("tree-close", "left,h", "collapse", "", "Collapse", _T, False),
    Key("tree-expand", "right,l", "expand", "", "Expand", _T, False),
    Key("tree-delete", "d,delete", "delete_filter", "", "Delete the saved filter at the cursor", _T, False),
    Key("tree-back", "escape,q", "leave", "Back", "Back to the workspace", _T, False),
    Key(
        "apply-filter", "enter,down", "leave", "To the list", "Keep the filter and go to the list", Scope.FILTER, False
    ),
    Key("drop-filter", "escape", "clear", "Clear", "Clear the filter", Scope.FILTER, False),
    Key("tree", "b", "tree", "Tree", "Show or hide the console tree", _A),
    Key("next-pane", "tab", "next_pane", "", "Next pane", _A, False),
    Key("backup-settings", "B", "backup_settings", "", "Open the Backup settings window", _A),
    Key("go-monitoring", "1", "go('monitoring')", "", "Go to Monitoring", _A),
    Key("go-backup", "2", "go('backup')", "", "Go to Backup", _A),
    Key("go-queue", "3", "go('queue')", "", "Go to Message queue", _A),
    Key("go-rules", "4", "go('rules')", "", "Go to Rules", _A),
    Key("go-addresses", "5", "go('addresses')", "", "Go to Address lists", _A),
    Key("go-events", "6", "go('events')", "", "Go to Events", _A),
    Key("go-settings", "7", "go('settings')", "", "Go to Settings", _A),
    Key("go-campaigns", "8", "go('campaigns')", "", "Go to Campaigns", _A),
    Key("go-bin", "9", "go('bin')", "", "Go to Bin", _A),
    Key("undo", "z", "undo", "", "Undo your last action", _A),
    Key("redo", "Z", "undo(True)", "", "Redo what you undid last", _A),
    Key("list-twins", "plus", "list_twins", "", "List other copies from the senders delivered last", _A),
    Key("hide-notice", "h", "hide_notice", "", "Hide the notice", _A),
    Key("cancel-task", "ctrl+x", "cancel_task", "", "Cancel the running task", _A),
    Key("palette", "colon,ctrl+p", "command_palette", "", "Command palette", _A, False),
    Key("theme", "ctrl+l", "next_theme", "", "Next theme", _A),
    Key("help", "question_mark,f1", "help", "Help", "Help", _A, False),
    Key("lock", "ctrl+o", "app.lock", "", "Lock the console until the passphrase is typed", _A),
    Key("suspend", "ctrl+z", "app.suspend_process", "", "Suspend the console; `fg` brings it back", _A, False),
    Key("quit", "ctrl+q", "app.quit", "", "Quit", _A),
)


@cache
def by_id() -> dict[str, Key]:
    """All keys of the table by id."""
    return {key.id: key for key in KEYS}


def keys_of(scope: Scope) -> list[Key]:
    """List the keys of one scope, in order."""
    return [key for key in KEYS if key.scope is scope]


def name_of(action: str) -> str:
    """Strip an action's arguments: ``cursor`` of ``cursor(-1)``."""
    return action.partition("(")[0]


def bindings(scope: Scope, *, only: Container[str] = (), but: Container[str] = ()) -> list[BindingType]:
    """Make a widget's bindings for a scope: all actions, `only` these, or all `but` these (action names)."""
    return [
        Binding(key.keys, key.action, key.text, show=bool(key.label), tooltip=key.text, id=key.id)
        for key in keys_of(scope)
        if (not only or name_of(key.action) in only) and name_of(key.action) not in but
    ]


#: Keys that are drawn as a sign instead of a word.
_SIGNS = {
    "enter": "⏎",
    "space": "␣",
    "escape": "Esc",
    "delete": "Del",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "home": "Home",
    "end": "End",
    "tab": "Tab",
}


def draw(key: str) -> str:
    """Draw a key for footer and help: ``ctrl+d`` as ``^D``, ``slash`` as ``/``, ``shift+up`` as ``⇧↑``."""
    *modifiers, name = key.strip().split("+")
    sign = _SIGNS.get(name) or (name.upper() if name[:1] == "f" and name[1:].isdigit() else format_key(name))
    if "ctrl" in modifiers:
        sign = "^" + sign.upper()
    if "shift" in modifiers:
        sign = "⇧" + sign
    return sign


class Keymap:
    """The key table with a user's changes."""

    def __init__(self, overrides: Mapping[str, str] | None = None) -> None:
        self.overrides = dict(overrides or {})

    def keys(self, key: Key) -> list[str]:
        """Return an action's keys; the first is the one to draw."""
        return [name.strip() for name in self.overrides.get(key.id, key.keys).split(",")]

    def drawn(self, key: Key, *, all_keys: bool = False) -> str:
        """Draw an action's keys: the first for the footer, all for the help."""
        names = self.keys(key)
        return " ".join(draw(name) for name in (names if all_keys else names[:1]))
