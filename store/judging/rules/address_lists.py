"""The custom black list and white list of senders: the organisation's, and each user's own for their mail.

For one recipient, a sender is black if the organisation's lists or the recipient's own lists say black. A sender is
white if one of them says white and neither says black. So users cannot override the organisation's black list, and may
block senders that the organisation allows. If both the black and the white list of one owner match, the more exact
entry decides (an address before a domain, a domain before a wildcard pattern); if equally exact, black.

A message to several recipients gets one decision: it is black or white only if it is so for every recipient. So one
user's black list never blocks mail to others, and one user's white list never lets spam through to them. Users who have
the sender in a list of their own are reported in any case.

Black lists are matched against the envelope sender and against the addresses in From, which users see; white lists
against the envelope sender only. A user is identified by the RCPT TO address, ignoring case. If that address has no
lists, the part from + to the @ is ignored (`ann+news@example.com` uses the lists of `ann@example.com`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from store.authority import configuration
from store.authority.resetting import Part
from store.judging.rules.address_patterns import (
    NULL_SENDER,
    Exactness,
    Patterns,
    canonical,
    check_pattern,
    check_patterns,
)
from store.mail.addresses import check_address
from store.terms.errors import AddressError, RuleError

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: The name of this part of the configuration.
NAME = "address-lists"
CHANGED = "address lists changed"
MAX_ENTRIES = 100_000


class AddressLists(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """All lists. Entries are patterns (`rules.address_patterns`); users are keyed by address. Text is NOT safe."""

    black: tuple[str, ...] = ()
    white: tuple[str, ...] = ()
    user_black: dict[str, tuple[str, ...]] = {}
    user_white: dict[str, tuple[str, ...]] = {}

    def of(self, color: str, user: str = "") -> tuple[str, ...]:
        """Return the entries of one list: `color` "black" or "white", `user` "" for the organisation."""
        if not user:
            return self.black if color == "black" else self.white
        lists = self.user_black if color == "black" else self.user_white
        key = canonical(user)
        return next((entries for name, entries in lists.items() if canonical(name) == key), ())

    @property
    def users(self) -> list[str]:
        """All users who have a list, sorted."""
        return sorted({canonical(user): user for user in (*self.user_white, *self.user_black)}.values(), key=canonical)

    @cached_property
    def size(self) -> int:
        """The number of entries in all lists."""
        users = (*self.user_black.values(), *self.user_white.values())
        return len(self.black) + len(self.white) + sum(map(len, users))

    @cached_property
    def _ready(self) -> _Ready:
        users: dict[str, tuple[str, tuple[list[str], list[str]]]] = {}
        for column, lists in enumerate((self.user_black, self.user_white)):
            for user, entries in lists.items():
                users.setdefault(canonical(user), (user, ([], [])))[1][column].extend(entries)
        return _Ready(
            _Owner(Patterns(self.black), Patterns(self.white)),
            {key: (user, _Owner(Patterns(black), Patterns(white))) for key, (user, (black, white)) in users.items()},
        )


class ListMatch(msgspec.Struct, frozen=True):
    """The lists' decision on a message. `blacklisted_by` and `whitelisted_by` are the users who have the sender listed.

    `entry` names the owner and the entry that made the message black or white.
    """

    black: bool = False
    white: bool = False
    blacklisted_by: tuple[str, ...] = ()
    whitelisted_by: tuple[str, ...] = ()
    entry: str = ""


class _Owner(NamedTuple):
    black: Patterns
    white: Patterns

    def look_up(self, sender: str, from_: Sequence[str]) -> tuple[str, str]:
        """Return "black", "white" or "", and the entry that matched."""
        exactly_black, black = max((self.black.find(address) for address in (sender, *from_)), key=lambda each: each[0])
        exactly_white, white = self.white.find(sender)
        if exactly_black is not Exactness.NONE and exactly_black >= exactly_white:
            return "black", black
        return ("white", white) if exactly_white is not Exactness.NONE else ("", "")


class _Ready(NamedTuple):
    organisation: _Owner
    users: dict[str, tuple[str, _Owner]]

    def user(self, recipient: str) -> tuple[str, _Owner] | None:
        key = canonical(recipient)
        local, at, domain = key.rpartition("@")
        return self.users.get(key) or (
            self.users.get(f"{local.partition('+')[0]}{at}{domain}") if "+" in local else None
        )


def match(lists: AddressLists, sender: str, recipients: Iterable[str], from_: Sequence[str] = ()) -> ListMatch:
    """Match a message from `sender` ("" = null sender) to `recipients` against the lists; `from_` are From's addresses.

    Without recipients only the organisation's lists count. Never raises.
    """
    ready = lists._ready
    organisation, entry = ready.organisation.look_up(sender, from_)
    entry = f"organisation: {entry}" if entry else ""
    black_users: dict[str, str] = {}
    white_users: dict[str, str] = {}
    colors: list[str] = []
    for recipient in recipients:
        own = ready.user(recipient)
        color, own_entry = own[1].look_up(sender, from_) if own else ("", "")
        if own and color:
            (black_users if color == "black" else white_users)[own[0]] = own_entry
        colors.append("black" if "black" in (organisation, color) else organisation or color)
    color = (colors[0] if len(set(colors)) == 1 else "") if colors else organisation
    if color and color != organisation:
        users = black_users if color == "black" else white_users
        user, own_entry = next(iter(users.items()))
        entry = f"{user}: {own_entry}" + (f" and {len(users) - 1} more" if len(users) > 1 else "")
    return ListMatch(
        black=color == "black",
        white=color == "white",
        blacklisted_by=tuple(black_users),
        whitelisted_by=tuple(white_users),
        entry=entry if color else "",
    )


def needs_from(lists: AddressLists) -> bool:
    """Return True if the addresses in From can change the result of `match`."""
    return bool(lists.black or lists.user_black)


def read_lists(vault: Vault) -> AddressLists:
    """Read the lists in force. Raises TamperedError, StoreFormat."""
    return _read(vault)[0]


def write_lists(vault: Vault, lists: AddressLists, operator: str = "") -> AddressLists:
    """Replace the lists in force. Return them normalised. Raises RuleError, TamperedError."""
    return change_lists(vault, lambda _: lists, operator)


def change_lists(
    vault: Vault, change: Callable[[AddressLists], AddressLists], operator: str = "", detail: str = ""
) -> AddressLists:
    """Apply `change` to the lists in force, in one transaction, so that no concurrent change is lost.

    Return the new lists. Raises RuleError if an entry is invalid, TamperedError if the present lists do not verify
    (they are then not overwritten), and any error of `change`.
    """
    with vault.write():
        present, version = _read(vault)
        lists = check_lists(change(present))
        if lists != present:
            configuration.write(
                vault,
                NAME,
                lists,
                expected=version,
                operator=operator,
                action=CHANGED,
                detail=detail or "; ".join(changes_of(present, lists)),
            )
    return lists


def with_entries(lists: AddressLists, color: str, entries: Sequence[str], user: str = "") -> AddressLists:
    """Replace the entries of one list: `color` "black" or "white", `user` "" for the organisation."""
    if not user:
        return msgspec.structs.replace(lists, **{color: tuple(entries)})
    field = f"user_{color}"
    key = canonical(user)
    present: dict[str, tuple[str, ...]] = getattr(lists, field)
    name = next((name for name in present if canonical(name) == key), user)
    return msgspec.structs.replace(lists, **{field: {**present, name: tuple(entries)}})


def added(lists: AddressLists, color: str, entries: Iterable[str], user: str = "") -> AddressLists:
    """Add `entries` to one list. Raises RuleError if one is not valid."""
    return with_entries(lists, color, check_patterns([*lists.of(color, user), *entries]), user)


def removed(lists: AddressLists, color: str, entries: Iterable[str], user: str = "") -> AddressLists:
    """Remove `entries` from one list; entries that are not in it are ignored."""
    gone = {canonical(entry).removeprefix("@") for entry in entries}
    kept = [entry for entry in lists.of(color, user) if canonical(entry) not in gone]
    return with_entries(lists, color, kept, user)


def check_lists(lists: AddressLists) -> AddressLists:
    """Normalise the lists: sorted, each entry once, no empty user list. Raises RuleError."""
    spelling: dict[str, str] = {}
    checked = AddressLists(
        black=_sorted(lists.black),
        white=_sorted(lists.white),
        user_black=_users(lists.user_black, spelling),
        user_white=_users(lists.user_white, spelling),
    )
    count = sum(len(entries) for _, _, entries in each_list(checked))
    if count > MAX_ENTRIES:
        raise RuleError(f"The address lists have {count:,} entries; a store holds at most {MAX_ENTRIES:,}.")
    return checked


def check_user(text: str) -> str:
    """Normalise a user's address. Raises RuleError."""
    try:
        return check_address(text)
    except AddressError as error:
        raise RuleError(str(error), "user") from None


def check_entry(text: str) -> str:
    """Normalise one entry. Raises RuleError, also for a pattern that matches every sender."""
    entry = check_pattern(text)
    if not set(entry) - set("*?@.") and entry != NULL_SENDER:
        raise RuleError(f"{entry!r} would match every sender. Use an address, a domain or a pattern.")
    return entry


def each_list(lists: AddressLists) -> Iterable[tuple[str, str, tuple[str, ...]]]:
    """Yield every list, as (user or "", "black" or "white", entries)."""
    yield "", "black", lists.black
    yield "", "white", lists.white
    for user in lists.users:
        for color, of_users in (("black", lists.user_black), ("white", lists.user_white)):
            if user in of_users:
                yield user, color, of_users[user]


def changes_of(before: AddressLists, after: AddressLists) -> list[str]:
    """Describe the entries added to and removed from each list, one line per list."""
    old = {(user, color): set(entries) for user, color, entries in each_list(before)}
    new = {(user, color): set(entries) for user, color, entries in each_list(after)}
    said = []
    for user, color in sorted({*old, *new}):
        was, now = old.get((user, color), set()), new.get((user, color), set())
        parts = [
            f"{verb} {_some(entries)}" for verb, entries in (("added", now - was), ("removed", was - now)) if entries
        ]
        if parts:
            said.append(f"{color} list of {user or 'the organisation'}: {', '.join(parts)}")
    return said


def _some(entries: set[str]) -> str:
    first = sorted(entries)[:5]
    return ", ".join(first) + (f" and {len(entries) - len(first):,} more" if len(entries) > len(first) else "")


def _read(vault: Vault) -> tuple[AddressLists, int]:
    stored = configuration.read(vault, NAME, AddressLists)
    return (stored.value, stored.version) if stored else (AddressLists(), 0)


def _sorted(entries: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(check_patterns(check_entry(entry) for entry in entries), key=_order))


def _order(entry: str) -> tuple[str, str]:
    local, _, domain = canonical(entry).rpartition("@")
    return domain, local


def _users(lists: dict[str, tuple[str, ...]], spelling: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """Merge the lists of users whose addresses differ only in spelling, under the first spelling.

    `spelling` (canonical address -> first spelling) is shared by both colours.
    """
    merged: dict[str, list[str]] = {}
    for text, entries in lists.items():
        user = check_user(text)
        merged.setdefault(spelling.setdefault(canonical(user), user), []).extend(entries)
    kept = {user: _sorted(entries) for user, entries in sorted(merged.items())}
    return {user: entries for user, entries in kept.items() if entries}


def _shown(lists: AddressLists) -> str:
    named = [(f"{color} list of {user or 'the organisation'}", entries) for user, color, entries in each_list(lists)]
    return "; ".join(f"{what}: {_some(set(entries))}" for what, entries in named if entries) or "no entry"


#: The part of the configuration that `mailhold lists reset` rewrites.
PART = Part(NAME, "address lists", AddressLists, lambda _known: AddressLists(), _shown, CHANGED, "address lists reset")
