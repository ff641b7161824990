"""The filter line: MessageFilter as one line of text, and back.

    from:exa to:corp subject:"cheap pills" id:abc rule:3,5 period:week since:2026-11-01 until:2026-11-20T12:00
    scan:anti-spam,anti-virus status:spam size:<=512 delivered:failed,unknown invoice -newsletter -from:example.org
    known:no score:>=7 (link:pills.example or file:invoice) -(campaign:12 odd:no)

Bare words search From, To and Subject; a leading ``-`` negates texts, alternatives, flags and groups. Words are
separated by spaces. A text in double quotes may contain spaces, colons and parentheses; in it ``\\"`` and ``\\\\``
stand for the quote and the backslash, ``\\n``, ``\\r`` and ``\\t`` for control characters. Several texts must all be
found; several values of one field (rules, scan types, statuses, outcomes, campaigns, sums, results) are alternatives,
in one word or in several; of several periods, dates, sizes or scores all must match.
``or`` separates alternatives and binds weaker than the space; parentheses group; ``"or"`` searches for the word.
A date or minute includes all of its time: ``until:2026-11-20`` includes that day. Times are in the reader's zone
unless they end in ``Z`` or an offset. Sizes are in KB unless MB or GB is given.
"""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Any

from store.filters.folding import fold
from store.filters.model import KB, Group, MessageFilter, Period, Term, recipients_text
from store.filters.printing import print_filter
from store.filters.tokens import Incomplete, Kind, Token, tokens
from store.filters.words import FIELDS, take
from store.terms.errors import FilterError

__all__ = ["FIELDS", "KB", "MessageFilter", "Period", "Term", "fold", "parse", "print_filter", "recipients_text"]

#: Limits of a line: words, alternatives (`or`), groups, and nesting of groups.
MOST_PIECES, MOST_ALTERNATIVES, MOST_GROUPS, DEEPEST = 2000, 256, 64, 12
#: Max characters of a word. Polars fails on texts of about 100,000, and shorter ones take seconds.
LONGEST = 4000
_QUOTE = "To search for the text itself, put it in quotation marks."


def parse(text: str, *, tz: tzinfo | None = None, lenient: bool = False) -> MessageFilter:
    """Parse a filter line, with times in `tz` (None: UTC). Raises FilterError with the position of the word.

    `lenient` is for a line that is still being typed: a word that could become valid (``from:``, ``size:<``,
    ``scan:anti-``, ``since:2026-1``, an unclosed quotation, an ``or`` at the end) is ignored instead of raising, and
    an unclosed parenthesis ends with the line.
    """
    return _Reader(text, tz or UTC, lenient).line()


class _Reader:
    def __init__(self, text: str, tz: tzinfo, lenient: bool) -> None:
        self._tokens = list(tokens(text))
        self._tz, self._lenient = tz, lenient
        self._at = self._groups = self._depth = 0
        if len(self._tokens) > MOST_PIECES:
            raise FilterError(f"A filter can have at most {MOST_PIECES:,} words.", self._tokens[MOST_PIECES].position)
        for token in self._tokens:
            if len(token.text) > LONGEST:
                raise FilterError(f"A word of a filter can have at most {LONGEST:,} characters.", token.position)
        alternatives = [token for token in self._tokens if token.kind is Kind.OR]
        if len(alternatives) > MOST_ALTERNATIVES:
            raise FilterError(
                f"A filter can have “or” at most {MOST_ALTERNATIVES} times.", alternatives[MOST_ALTERNATIVES].position
            )

    def line(self) -> MessageFilter:
        branches = self._alternatives()
        if (token := self._next) is not None:
            raise FilterError(f"This closing parenthesis has no opening one. {_QUOTE}", token.position)
        return branches[0] if len(branches) == 1 else MessageFilter(groups=(Group(branches),))

    @property
    def _next(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _incomplete(self, message: str, token: Token) -> None:
        if not self._lenient:
            raise FilterError(message, token.position)

    def _alternatives(self) -> tuple[MessageFilter, ...]:
        """Parse the branches between `or`s, up to a closing parenthesis or the end."""
        branches = []
        while True:
            first = self._next
            branches.append(self._all_of())
            token, started = self._next, first is not self._next
            if token is None or token.kind is Kind.CLOSE:
                return tuple(branches)
            if not started and (len(branches) > 1 or self._at + 1 < len(self._tokens)):
                raise FilterError(f"Something is missing before this “or”. {_QUOTE}", token.position)
            self._at += 1
            if self._next is None or self._next.kind is Kind.CLOSE:
                self._incomplete(f"Something is missing after this “or”. {_QUOTE}", token)

    def _all_of(self) -> MessageFilter:
        """Parse words and groups that must all match, up to an `or`, a closing parenthesis or the end."""
        found: dict[str, Any] = {}
        groups: list[Group] = []
        while (token := self._next) is not None and token.kind in (Kind.WORD, Kind.OPEN):
            self._at += 1
            if token.kind is Kind.OPEN:
                groups.append(self._group(token))
            else:
                self._word(found, token)
        self._check_limits(found)
        return MessageFilter(**{name: value for name, (value, _position) in found.items()}, groups=tuple(groups))

    def _group(self, opened: Token) -> Group:
        self._groups += 1
        self._depth += 1
        if self._groups > MOST_GROUPS:
            raise FilterError(f"A filter can have at most {MOST_GROUPS} groups in parentheses.", opened.position)
        if self._depth > DEEPEST:
            raise FilterError(f"Parentheses can be at most {DEEPEST} deep.", opened.position)
        if (token := self._next) is not None and token.kind is Kind.CLOSE:
            self._incomplete("These parentheses are empty.", opened)
        branches = self._alternatives()
        if self._next is None:
            self._incomplete("This parenthesis is not closed.", opened)
        self._at += 1
        self._depth -= 1
        return Group(branches, opened.negated)

    def _word(self, found: dict[str, Any], word: Token) -> None:
        try:
            if not word.closed:
                self._incomplete("The closing quotation mark is missing.", word)
            if not word.whole:
                raise self._not_whole(word)
            take(found, word, self._tz)
        except Incomplete as error:
            self._incomplete(str(error), word)

    def _not_whole(self, word: Token) -> FilterError:
        if word.field and word.text.startswith("("):
            name = word.field.lower()
            return FilterError(
                f"Put the field inside the parentheses, as in ({name}:a or {name}:b). {_QUOTE}", word.position
            )
        message = f"A parenthesis in this word is not closed. {_QUOTE}"
        return (FilterError if self._next is not None else Incomplete)(message, word.position)

    def _check_limits(self, found: dict[str, Any]) -> None:
        since, until, custom = found.get("since"), found.get("until"), found.get("period")
        if since is not None and until is not None and since[0] > until[0]:
            raise FilterError("The period ends before it starts.", max(since[1], until[1]))
        for name in ("size", "score"):
            lowest, highest = found.get(f"{name}_min"), found.get(f"{name}_max")
            if lowest is not None and highest is not None and lowest[0] > highest[0]:
                raise FilterError(f"The minimum {name} is larger than the maximum.", max(lowest[1], highest[1]))
        if custom is not None and custom[0] is Period.CUSTOM and since is None and until is None and not self._lenient:
            raise FilterError("A custom period needs since: or until: with a date.", custom[1])
