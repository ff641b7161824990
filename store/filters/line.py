"""The filter line: MessageFilter as one line of text, and back.

    from:exa to:corp subject:"cheap pills" id:abc rule:3,5 period:week since:2026-11-01 until:2026-11-20T12:00
    scan:anti-spam,anti-virus status:spam size:<=512 delivered:failed,unknown invoice -newsletter -from:example.org

Bare words search From, To and Subject; a leading ``-`` negates texts, rules, scan types, statuses and outcomes. Words
are separated by spaces; a text in double quotes keeps its spaces and colons, in which ``\\"`` and ``\\\\`` stand for
the characters themselves, ``\\n``, ``\\r`` and ``\\t`` for control characters. Several texts must all be found; several
rules, scan types, statuses or outcomes are alternatives. A date (or a minute) names the whole of it:
``until:2026-11-20`` includes that day. Times are in the reader's zone unless they end in ``Z`` or an offset. Sizes are
KB, or take MB or GB.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from store.filters.folding import fold
from store.filters.model import KB, MAX_KB, MessageFilter, Period, Term, recipients_text
from store.mail.outcome import Delivered
from store.terms.errors import FilterError
from store.terms.verdicts import Engine, Status

__all__ = ["FIELDS", "KB", "MessageFilter", "Period", "Term", "fold", "parse", "print_filter", "recipients_text"]

_E = TypeVar("_E", bound=StrEnum)

#: The filter line's fields, in the order in which they are printed, with a hint of what each takes.
FIELDS = {
    "from": "part of the sender's address or name",
    "to": "part of a recipient's address or name",
    "subject": "part of the subject",
    "id": "part of the Message-ID header or of the MTA-Message-ID",
    "rule": "rule IDs, as in rule:3 or rule:3,5",
    "period": ", ".join(period.value for period in Period if period is not Period.CUSTOM),
    "since": "a date or a date and time, as in since:2026-11-01 or since:2026-11-01T08:00",
    "until": "a date or a date and time, as in until:2026-11-20 or until:2026-11-20T12:00",
    "scan": ", ".join(engine.value for engine in Engine),
    "status": ", ".join(status.value for status in Status) + " (add scan: to tell the engines apart)",
    "size": "a limit in KB, as in size:<=512 or size:>=2048",
    "delivered": ", ".join(outcome.value for outcome in Delivered),
}
_ALIASES = {"engine": "scan", "message-id": "id", "placed": "period", "sender": "from", "recipient": "to"}
_ENGINE_ALIASES = {"content-filtering": Engine.CONTENT, "blacklist": Engine.BLACK_LIST}
_TEXT_FIELDS = {"from": "from_", "to": "to", "subject": "subject", "id": "message_id"}
#: The fields that take alternatives, and the names of their sets.
_SETS = {"rule": "rule_ids", "scan": "engines", "status": "status", "delivered": "delivered"}
_NEGATABLE = {*_TEXT_FIELDS, *_SETS}
_UNITS = {"": 1, "k": 1, "kb": 1, "kib": 1, "m": KB, "mb": KB, "mib": KB, "g": KB**2, "gb": KB**2, "gib": KB**2}
_MAX_RULE = 2**63 - 1
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_FIELD = re.compile(r"([A-Za-z][A-Za-z_-]*):")
_SIZE = re.compile(r"([<>]=?|=)?\s*(\d+)?\s*([A-Za-z]*)")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(\.\d{3})?)?(Z|[+-]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?", re.ASCII
)
_TIME_SHAPE = "0000-00-00T00:00:00.000+00:00"


class _Word(NamedTuple):
    position: int
    negated: bool
    field: str
    text: str
    quoted: bool
    closed: bool


class _Incomplete(FilterError):
    """The word could become a good one by typing on."""


def parse(text: str, *, tz: tzinfo | None = None, lenient: bool = False) -> MessageFilter:
    """The filter that a line means, with times in `tz` (None: UTC). Raises FilterError with the position of the word.

    `lenient` is for a line that is still being typed: a word that could become a good one (``from:``, ``size:<``,
    ``scan:anti-``, ``since:2026-1``, a quotation that is still open) is left out instead of being an error.
    """
    found: dict[str, Any] = {}
    for word in _words(text):
        try:
            if not word.closed and not lenient:
                raise FilterError("A quotation mark is missing at the end of this text.", word.position)
            _take(found, word, tz or UTC)
        except _Incomplete as error:
            if not lenient:
                raise FilterError(str(error), error.position) from None
    since, until = found.get("since"), found.get("until")
    if since is not None and until is not None and since[0] > until[0]:
        raise FilterError("This ends before it starts: no copy can match.", max(since[1], until[1]))
    smallest, largest = found.get("size_min"), found.get("size_max")
    if smallest is not None and largest is not None and smallest[0] > largest[0]:
        raise FilterError("No size is in both limits: no copy can match.", max(smallest[1], largest[1]))
    custom = found.get("period")
    if custom is not None and custom[0] is Period.CUSTOM and since is None and until is None and not lenient:
        raise FilterError("A custom period needs since: or until: with a date.", custom[1])
    return MessageFilter(**{name: value[0] for name, value in found.items()})


def _words(text: str) -> Iterator[_Word]:
    at, end = 0, len(text)
    while at < end:
        if text[at].isspace():
            at += 1
            continue
        start = at
        negated = text[at] == "-"
        at += negated
        field = ""
        if match := _FIELD.match(text, at):
            field = match[1]
            at = match.end()
        if at < end and text[at] == '"':
            value, at, closed = _quoted(text, at + 1)
            yield _Word(start, negated, field, value, True, closed)
            continue
        stop = at
        while stop < end and not text[stop].isspace():
            stop += 1
        yield _Word(start, negated, field, text[at:stop], False, True)
        at = stop


def _quoted(text: str, at: int) -> tuple[str, int, bool]:
    value: list[str] = []
    while at < len(text):
        character = text[at]
        at += 1
        if character == '"':
            return "".join(value), at, True
        if character == "\\" and at < len(text):
            character = _ESCAPES.get(text[at], text[at])
            at += 1
        value.append(character)
    return "".join(value), at, False


def _take(found: dict[str, Any], word: _Word, tz: tzinfo) -> None:
    """Add one word to the filter's arguments: `found[name] = (value, position)`."""

    def add(name: str, value: Any, merge: Callable[[Any, Any], Any]) -> None:
        found[name] = (merge(found[name][0], value) if name in found else value, word.position)

    if not word.field:
        if not word.text:
            raise _Incomplete("There is nothing to search for here.", word.position)
        add("words", (Term(word.text, word.negated),), lambda old, new: old + new)
        return
    field = _field(word)
    if word.negated and field not in _NEGATABLE:
        raise FilterError(f"{field}: cannot be negated with a leading “-”.", word.position)
    if not word.text:
        raise _Incomplete(f"{field}: takes {FIELDS[field]}.", word.position)
    if field in _TEXT_FIELDS:
        add(_TEXT_FIELDS[field], (Term(word.text, word.negated),), lambda old, new: old + new)
    elif field in _SETS:
        name = _SETS[field]
        values: Any = _rules(word) if field == "rule" else _choices(word, field)
        add(
            f"not_{name}" if word.negated else name,
            values,
            lambda old, new: old + new if field == "rule" else old | new,
        )
    elif field == "size":
        name, limit = _size(word)
        add(name, limit, max if name == "size_min" else min)
    elif field == "since":
        add(field, _time(word, tz, end=False), max)
    elif field == "until":
        add(field, _time(word, tz, end=True), min)
    else:
        add(field, _choice(word, word.text, {period.value: period for period in Period}, field), lambda old, new: new)


def _field(word: _Word) -> str:
    field = word.field.lower().replace("_", "-")
    field = _ALIASES.get(field, field)
    if field not in FIELDS:
        import difflib

        near = difflib.get_close_matches(field, FIELDS, 1)
        hint = f"Did you mean {near[0]}:? " if near else f"Fields are {', '.join(FIELDS)}. "
        raise FilterError(
            f"There is no field “{word.field[:30]}:”. {hint}To search for the text itself, put it in quotation marks.",
            word.position,
        )
    return field


def _choice(word: _Word, text: str, values: dict[str, Any], field: str) -> Any:
    name = text.lower()
    if name in values:
        return values[name]
    message = f"{field}: takes {FIELDS[field]}."
    if any(value.startswith(name) for value in values):
        raise _Incomplete(message, word.position)
    raise FilterError(message, word.position)


def _choices(word: _Word, field: str) -> frozenset[Any]:
    values: dict[str, Any] = {engine.value: engine for engine in Engine} | _ENGINE_ALIASES
    if field != "scan":
        values = {value.value: value for value in (Status if field == "status" else Delivered)}
    return frozenset(_choice(word, name, values, field) for name in word.text.split(","))


def _rules(word: _Word) -> tuple[int, ...]:
    rules = []
    for part in word.text.split(","):
        if not part:
            raise _Incomplete(f"rule: takes {FIELDS['rule']}.", word.position)
        if not (part.isascii() and part.isdecimal() and len(part) <= 19 and int(part) <= _MAX_RULE):
            raise FilterError(f"rule: takes {FIELDS['rule']}.", word.position)
        rules.append(int(part))
    return tuple(sorted(set(rules)))


def _size(word: _Word) -> tuple[str, int]:
    match = _SIZE.fullmatch(word.text)
    message = f"size: takes {FIELDS['size']}."
    if match is None or (match[2] is None and match[3]) or len(match[2] or "") > 13:
        raise FilterError(message, word.position)
    sign, digits, unit = match[1], match[2], match[3].lower()
    if sign not in ("<=", ">=") and digits is not None:
        raise FilterError(f"Say whether it is the largest or the smallest size: {message}", word.position)
    if digits is None:
        raise _Incomplete(message, word.position)
    if unit not in _UNITS:
        raise FilterError("A size is in KB, MB or GB.", word.position)
    limit = int(digits) * _UNITS[unit]
    if limit > MAX_KB:
        raise FilterError("That size is too large.", word.position)
    return ("size_min" if sign == ">=" else "size_max"), limit


def _time(word: _Word, tz: tzinfo, *, end: bool) -> int:
    field = "until" if end else "since"
    text = word.text.upper()
    match = _TIME.fullmatch(text)
    if match is None:
        message = f"{field}: takes {FIELDS[field]}."
        shape = re.sub(r"\d", "0", text).replace(" ", "T")
        if text.isascii() and (_TIME_SHAPE.startswith(shape) or re.fullmatch(r"\d{4}-\d\d-\d\d.*[+-][\d:]*", text)):
            raise _Incomplete(message, word.position)
        raise FilterError(message, word.position)
    try:
        return _milliseconds(match, tz, end=end)
    except (ValueError, OverflowError):
        raise FilterError(f"There is no such date or time as {word.text}.", word.position) from None


def _milliseconds(match: re.Match[str], tz: tzinfo, *, end: bool) -> int:
    """Unix ms of a match of `_TIME`: the first ms of what it names, or its last one. ValueError, OverflowError."""
    date, minute, second, fraction, zone = match.groups()
    text = f"{date}T{minute or '00:00'}{second or ''}{fraction or ''}"
    start = datetime.fromisoformat(text + (zone or "").replace("Z", "+00:00"))
    length = timedelta(milliseconds=1) if fraction else timedelta(seconds=1) if second else timedelta(minutes=1)
    if minute is None:
        length = timedelta(days=1)
    moment = start + length if end else start
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=tz)
    return (moment - _EPOCH) // timedelta(milliseconds=1) - end


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def print_filter(flt: MessageFilter, *, tz: tzinfo | None = None) -> str:
    """The filter as one line, with times in `tz` (None: UTC): `parse(print_filter(f, tz=z), tz=z) == f`."""
    words = []
    for field, name in _TEXT_FIELDS.items():
        words += [f"{_minus(term.negated)}{field}:{_quote(term.text)}" for term in getattr(flt, name)]
    for negated, rules in ((False, flt.rule_ids), (True, flt.not_rule_ids)):
        if rules:
            words.append(f"{_minus(negated)}rule:{','.join(map(str, rules))}")
    if flt.period is not None and flt.period is not Period.CUSTOM:
        words.append(f"period:{flt.period.value}")
    if flt.since is not None:
        words.append(f"since:{_print_time(flt.since, tz or UTC, end=False)}")
    if flt.until is not None:
        words.append(f"until:{_print_time(flt.until, tz or UTC, end=True)}")
    words += _print_set("scan", flt.engines, Engine) + _print_set("-scan", flt.not_engines, Engine)
    words += _print_set("status", flt.status, Status) + _print_set("-status", flt.not_status, Status)
    if flt.size_min is not None:
        words.append(f"size:>={flt.size_min}")
    if flt.size_max is not None:
        words.append(f"size:<={flt.size_max}")
    words += _print_set("delivered", flt.delivered, Delivered) + _print_set("-delivered", flt.not_delivered, Delivered)
    words += [_minus(term.negated) + _quote(term.text, bare=True) for term in flt.words]
    return " ".join(words)


def _minus(negated: bool) -> str:
    return "-" if negated else ""


def _print_set(field: str, values: frozenset[_E], order: type[_E]) -> list[str]:
    return [f"{field}:{','.join(value.value for value in order if value in values)}"] if values else []


def _quote(text: str, *, bare: bool = False) -> str:
    plain = not any(character.isspace() or character in '"\\' for character in text)
    if plain and not (bare and (text.startswith("-") or _FIELD.match(text))):
        return text
    for character, name in (("\\", "\\"), ('"', '"'), ("\n", "n"), ("\r", "r"), ("\t", "t")):
        text = text.replace(character, f"\\{name}")
    return f'"{text}"'


def _print_time(moment: int, tz: tzinfo, *, end: bool) -> str:
    """The shortest form that reads back as exactly this ms; with an offset where the local time alone is ambiguous."""
    try:
        local = (_EPOCH + timedelta(milliseconds=moment + end)).astimezone(tz)
        shown = local - timedelta(milliseconds=1) if end else local
    except OverflowError:
        local = shown = (_EPOCH + timedelta(milliseconds=moment)).astimezone(UTC)
    plain = shown.replace(tzinfo=None)
    forms = [plain.date().isoformat(), plain.isoformat("T", "minutes"), plain.isoformat("T", "seconds")]
    forms.append(plain.isoformat("T", "milliseconds"))
    exact = (_EPOCH + timedelta(milliseconds=moment)).replace(tzinfo=None).isoformat("T", "milliseconds") + "Z"
    for form in forms:
        match = _TIME.fullmatch(form)
        try:
            if match and _milliseconds(match, tz, end=end) == moment:
                return form
        except (ValueError, OverflowError):
            continue
    return exact
