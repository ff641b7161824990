"""Address lists as text: all of them as TOML, or one of them with one entry per line."""

from __future__ import annotations

from typing import Any

from store.helpers.toml_lines import Lines, Path, array, load, string
from store.judging.rules.address_lists import AddressLists, check_entry, check_lists, check_user
from store.terms.errors import RuleError


def print_lists(lists: AddressLists) -> str:
    """Write all lists as a TOML document."""
    said = [
        "# The address lists of Mailhold: the organisation's, and each user's own.",
        f"black = {array(lists.black)}",
        f"white = {array(lists.white)}",
    ]
    for user in lists.users:
        said += ["", f"[user.{string(user)}]", f"black = {array(lists.of('black', user))}"]
        said.append(f"white = {array(lists.of('white', user))}")
    return "\n".join(said) + "\n"


def parse_lists(text: str, source: str = "the address lists") -> AddressLists:
    """Parse the lists of a TOML document. Raises UsageError for malformed TOML, else RuleError; both name the line."""
    document = load(text, source)
    lines = Lines(text)

    def entries(table: dict[str, Any], path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
        colors: list[tuple[str, ...]] = []
        for color in ("black", "white"):
            values = table.get(color, [])
            if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
                raise RuleError(
                    f'line {lines.of((*path, color))}: {color} is not a list of texts such as ["one", "two"]'
                )
            for value in values:
                try:
                    check_entry(value)
                except RuleError as error:
                    line = _line_with(text, value, lines.of((*path, color)))
                    raise RuleError(f"line {line}: {error}") from None
            colors.append(tuple(values))
        return colors[0], colors[1]

    def known(table: dict[str, Any], path: Path, keys: tuple[str, ...]) -> None:
        for key in table:
            if key not in keys:
                raise RuleError(f"line {lines.of((*path, key))}: {key!r} is unknown; use {', '.join(keys)}")

    try:
        known(document, (), ("black", "white", "user"))
        black, white = entries(document, ())
        user_black: dict[str, tuple[str, ...]] = {}
        user_white: dict[str, tuple[str, ...]] = {}
        users = document.get("user", {})
        if not isinstance(users, dict):
            raise RuleError(f'line {lines.of(("user",))}: write a user\'s lists under [user."ann@example.com"]')
        for user, table in users.items():
            path: Path = ("user", user)
            try:
                check_user(user)
            except RuleError as error:
                raise RuleError(f"line {lines.of(path)}: {error}") from None
            if not isinstance(table, dict):
                raise RuleError(f"line {lines.of(path)}: write black = […] and white = […] under [user.{string(user)}]")
            known(table, path, ("black", "white"))
            user_black[user], user_white[user] = entries(table, path)
        return check_lists(AddressLists(black=black, white=white, user_black=user_black, user_white=user_white))
    except RuleError as error:
        raise RuleError(f"{source}, {str(error).rstrip('.')}.") from None


def print_list(entries: tuple[str, ...]) -> str:
    """Write one list, one entry per line."""
    return "".join(f"{entry}\n" for entry in entries)


def parse_list(text: str, source: str = "the list") -> tuple[str, ...]:
    """Parse one list, one entry per line. Skips empty lines and comments (from # on).

    Raises RuleError, which names the line.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.partition("#")[0].strip()
        if entry:
            try:
                found.append(check_entry(entry))
            except RuleError as error:
                raise RuleError(f"{source}, line {number}: {error}") from None
    return tuple(found)


def _line_with(text: str, value: str, start: int) -> int:
    """Find the first line from `start` on that holds the string `value`, quoted; return `start` if none does."""
    for number, line in enumerate(text.split("\n")[start - 1 :], start=start):
        if string(value) in line or f"'{value}'" in line:
            return number
    return start
