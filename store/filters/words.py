"""Parses a word of the filter line into the filter's arguments."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import tzinfo
from typing import Any

from store.filters import asked
from store.filters.folding import fold
from store.filters.model import KB, MAX_KB, Period, Term
from store.filters.moments import may_become_time, read_time
from store.filters.tokens import Incomplete, Token, quote
from store.mail.outcome import Delivered
from store.terms.errors import FilterError
from store.terms.verdicts import Engine, Status

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
    "campaign": "campaign IDs, as in campaign:12 or campaign:12,15; or none",
    "odd": "yes, no (yes: it differs from its campaign)",
    "known": "yes, no (yes: mail of this sender was let through before, or someone here wrote to it)",
    "link": "part of the domain of a link in the message",
    "file": "part of the name of a file in the message, or of its format, as in file:pdf",
    "sha256": "the SHA-256 of a file in the message, or at least its first 6 digits",
    "client": "an IP address or its beginning, a network as in client:192.0.2.0/24, or part of the host name",
    "score": "a limit for the highest score of an engine, as in score:>=7 or score:<=3.5",
    "symbol": "part of the name of a symbol that an engine found",
    "envelope": "part of the sender's address in the envelope, as in envelope:bounce@; envelope:<> is the null sender",
    "auth": "a result such as pass, fail or none, or that of one method as in auth:dkim=fail",
}
_ALIASES = {"engine": "scan", "message-id": "id", "placed": "period", "sender": "from", "recipient": "to"}
_ENGINE_ALIASES = {"content-filtering": Engine.CONTENT, "blacklist": Engine.BLACK_LIST}
_TEXT_FIELDS = {
    "from": "from_",
    "to": "to",
    "subject": "subject",
    "id": "message_id",
    "link": "links",
    "file": "files",
    "client": "clients",
    "symbol": "symbols",
    "envelope": "envelope",
}
#: Fields that take alternatives, and the argument of each.
_SETS = {
    "rule": "rule_ids",
    "scan": "engines",
    "status": "status",
    "delivered": "delivered",
    "campaign": "campaigns",
    "sha256": "sha256",
    "auth": "auth",
}
_FLAGS = {"yes": True, "no": False}
_NEGATABLE = {*_TEXT_FIELDS, *_SETS, "odd", "known"}
_UNITS = {"": 1, "k": 1, "kb": 1, "kib": 1, "m": KB, "mb": KB, "mib": KB, "g": KB**2, "gb": KB**2, "gib": KB**2}
_MAX_NUMBER = 2**63 - 1
_SIZE = re.compile(r"([<>]=?|=)?\s*(\d+)?\s*([A-Za-z]*)")
_SCORE = re.compile(r"([<>]=?|=)?\s*(-?)(\d{0,9})(\.?)(\d{0,2})", re.ASCII)
_SUM = re.compile(r"[0-9a-f]{0,64}")
_SUM_DIGITS = 6
#: Results of authentication (RFC 8601).
_RESULTS = ("pass", "fail", "softfail", "hardfail", "neutral", "none", "policy", "temperror", "permerror")
_METHOD = re.compile(r"[a-z][a-z0-9-]{0,30}")


def take(found: dict[str, Any], word: Token, tz: tzinfo) -> None:
    """Add one word to the filter's arguments: `found[name] = (value, position)`.

    Raises FilterError; Incomplete if the word could become valid by typing on.
    """

    def add(name: str, value: Any, merge: Callable[[Any, Any], Any]) -> None:
        found[name] = (merge(found[name][0], value) if name in found else value, word.position)

    if not word.field:
        if not fold(word.text):
            raise Incomplete("The text to search for is empty.", word.position)
        add("words", (Term(word.text, word.negated),), lambda old, new: old + new)
        return
    field = _field(word)
    if word.negated and field not in _NEGATABLE:
        instead = f"-({field}:{quote(word.text) if word.text else '…'})"
        raise FilterError(f"{field}: cannot be negated with a leading “-”. Write {instead} instead.", word.position)
    if not word.text:
        raise Incomplete(f"{field}: takes {FIELDS[field]}.", word.position)
    if field in _TEXT_FIELDS:
        if not fold(word.text):
            raise Incomplete(f"{field}: takes {FIELDS[field]}.", word.position)
        if field == "client":
            _check_network(word)
        add(_TEXT_FIELDS[field], (Term(word.text, word.negated),), lambda old, new: old + new)
    elif field in _SETS:
        name = _SETS[field]
        values = _alternatives(word, field)
        add(
            f"not_{name}" if word.negated else name,
            values,
            lambda old, new: old + new if isinstance(new, tuple) else old | new,
        )
    elif field in ("odd", "known"):
        flag = _choice(word, word.text, _FLAGS, field) is not word.negated
        if found.get(field, (flag,))[0] is not flag:
            raise FilterError(f"{field}: is both yes and no: no copy can match.", word.position)
        add(field, flag, lambda old, new: new)
    elif field == "score":
        name, score = _score(word)
        add(name, score, max if name == "score_min" else min)
    elif field == "size":
        name, limit = _size(word)
        add(name, limit, max if name == "size_min" else min)
    elif field == "since":
        add(field, _time(word, tz, end=False), max)
    elif field == "until":
        add(field, _time(word, tz, end=True), min)
    else:
        add(field, _choice(word, word.text, {period.value: period for period in Period}, field), _shorter)


def _shorter(one: Period, other: Period) -> Period:
    """Return the shorter of two periods: both must match. CUSTOM has no length: since: and until: limit it."""
    return min(one, other, key=lambda period: period.milliseconds or math.inf)


def _field(word: Token) -> str:
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


def _choice(word: Token, text: str, values: dict[str, Any], field: str) -> Any:
    name = text.lower()
    if name in values:
        return values[name]
    message = f"{field}: takes {FIELDS[field]}."
    if any(value.startswith(name) for value in values):
        raise Incomplete(message, word.position)
    raise FilterError(message, word.position)


def _alternatives(word: Token, field: str) -> Any:
    """Parse the comma-separated alternatives of a word."""
    if field in ("rule", "campaign"):
        return _numbers(word, field)
    if field == "sha256":
        return tuple(_sum(word, part) for part in word.text.lower().split(","))
    if field == "auth":
        return frozenset(_result(word, part) for part in word.text.lower().split(","))
    return _choices(word, field)


def _choices(word: Token, field: str) -> frozenset[Any]:
    values: dict[str, Any] = {engine.value: engine for engine in Engine} | _ENGINE_ALIASES
    if field != "scan":
        values = {value.value: value for value in (Status if field == "status" else Delivered)}
    return frozenset(_choice(word, name, values, field) for name in word.text.split(","))


def _numbers(word: Token, field: str) -> tuple[int, ...]:
    message = f"{field}: takes {FIELDS[field]}."
    numbers = []
    for part in word.text.split(","):
        if field == "campaign" and part and "none".startswith(part.lower()):
            if len(part) < len("none"):
                raise Incomplete(message, word.position)
            numbers.append(0)
            continue
        if not part:
            raise Incomplete(message, word.position)
        if not (part.isascii() and part.isdecimal() and len(part) <= 19 and int(part) <= _MAX_NUMBER):
            raise FilterError(message, word.position)
        if field == "campaign" and not int(part):
            raise FilterError("Campaign IDs start at 1. For copies in no campaign, write campaign:none.", word.position)
        numbers.append(int(part))
    return tuple(sorted(set(numbers)))


def _sum(word: Token, text: str) -> str:
    if not _SUM.fullmatch(text):
        raise FilterError(f"sha256: takes {FIELDS['sha256']}, each 0 to 9 or a to f.", word.position)
    if len(text) < _SUM_DIGITS:
        raise Incomplete(f"sha256: takes {FIELDS['sha256']}.", word.position)
    return text


def _result(word: Token, text: str) -> str:
    """Parse one result: ``fail`` or ``dkim=fail``."""
    method, named, result = text.rpartition("=")
    message = f"auth: takes {FIELDS['auth']}."
    if result in _RESULTS and (not named or _METHOD.fullmatch(method)):
        return text
    if any(one.startswith(result) for one in _RESULTS) or (not named and _METHOD.fullmatch(result)):
        raise Incomplete(message, word.position)
    raise FilterError(f"{message} Results are {', '.join(_RESULTS)}.", word.position)


def _check_network(word: Token) -> None:
    address, slash, bits = word.text.strip().lower().partition("/")
    if slash and asked.is_address(address) and asked.network_of(f"{address}/{bits}") is None:
        message = "A network is an address and its length in bits, as in client:192.0.2.0/24."
        raise FilterError(message, word.position) if bits else Incomplete(message, word.position)


def _score(word: Token) -> tuple[str, float]:
    match = _SCORE.fullmatch(word.text)
    message = f"score: takes {FIELDS['score']}."
    if match is None:
        raise FilterError(message, word.position)
    sign, _minus, digits, point, decimals = match.groups()
    if sign not in ("<=", ">=") and (digits or decimals):
        raise FilterError("Use score:>=N or score:<=N.", word.position)
    if not digits or (point and not decimals):
        raise Incomplete(message, word.position)
    score = float(word.text[len(sign) :])
    if abs(score) > asked.MAX_SCORE:
        raise FilterError("The score is too large.", word.position)
    return ("score_min" if sign == ">=" else "score_max"), score


def _size(word: Token) -> tuple[str, int]:
    match = _SIZE.fullmatch(word.text)
    message = f"size: takes {FIELDS['size']}."
    if match is None or (match[2] is None and match[3]) or len(match[2] or "") > 13:
        raise FilterError(message, word.position)
    sign, digits, unit = match[1], match[2], match[3].lower()
    if sign not in ("<=", ">=") and digits is not None:
        raise FilterError("Use size:<=N or size:>=N (KB).", word.position)
    if digits is None:
        raise Incomplete(message, word.position)
    if unit not in _UNITS:
        raise FilterError("The unit of a size is KB, MB or GB.", word.position)
    limit = int(digits) * _UNITS[unit]
    if limit > MAX_KB:
        raise FilterError("The size is too large.", word.position)
    return ("size_min" if sign == ">=" else "size_max"), limit


def _time(word: Token, tz: tzinfo, *, end: bool) -> int:
    field = "until" if end else "since"
    text = word.text.upper()
    try:
        moment = read_time(text, tz, end=end)
    except (ValueError, OverflowError):
        raise FilterError(f"There is no such date or time as {word.text}.", word.position) from None
    if moment is None:
        message = f"{field}: takes {FIELDS[field]}."
        raise (Incomplete if may_become_time(text) else FilterError)(message, word.position)
    return moment
