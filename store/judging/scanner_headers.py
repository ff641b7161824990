"""Verdicts and envelope from the header fields that scanners and MTAs write into a message before it is imported.

A sender can write such fields too. So they count only if the operator imports files that the site's own scanner wrote.
Of repeated fields the topmost counts, because scanners add theirs above the existing header.

    X-Spam-Status, -Flag, -Level, X-Spamd-Result, X-Rspamd-Action   Anti-Spam, and Anti-Phishing by its symbols
    X-Virus, X-Virus-Status, X-Virus-Scanned                       Anti-Virus, and its databases' release date
    X-Amavis-Alert                                                 Anti-Virus or Content filtering
    X-Envelope-From, X-Envelope-To, X-Envelope-To-Blocked, Return-Path   the envelope
    Authentication-Results                                         who sent it, by the server that took it in
    X-Quarantine-ID, X-Rspamd-Queue-Id, Received                   the quarantine's and the MTA's IDs of the message
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec

from store.judging.authentication import read_results
from store.judging.scanner_words import gravest, one_an_engine, verdict_of_signature, verdicts_of_symbols
from store.mail.header_fields import header_of
from store.terms.findings import Authentication, heaviest
from store.terms.verdicts import Engine, Status, Verdict

#: Bytes of a message that are searched for header fields.
HEADER_LIMIT = 1 << 20
#: Stars in X-Spam-Level that make a message probable spam and spam; used if no other field rates it.
PROBABLE_STARS, SPAM_STARS = 5, 15
_VALUE_LIMIT = 16_384
_DETAIL_LIMIT = 400

_NAMES = frozenset(
    b"x-spam-status x-spam-flag x-spam-level x-spam x-spamd-result x-rspamd-action x-rspamd-queue-id "
    b"x-virus x-virus-status x-virus-scanned x-amavis-alert x-quarantine-id "
    b"x-envelope-from x-envelope-to x-envelope-to-blocked return-path received "
    b"authentication-results".split()
)
_SCORE = re.compile(r"\b(?:score|hits)=(-?\d+(?:\.\d+)?)")
_KILL = re.compile(r"\bkill=(-?\d+(?:\.\d+)?)")
_TESTS = re.compile(r"\btests=(?:\[([^\]]*)\]|(.*?)(?:\s+\w+=|$))", re.DOTALL)
_RESULT = re.compile(r"^\s*\S+:\s*(True|False)\s*(\[[^\]]*\])", re.IGNORECASE)
_SYMBOL = re.compile(r"(?:^|;)\s*([A-Z][A-Z0-9_]+)\(")
_NUMBER = re.compile(r"-?\d{1,9}(?:\.\d+)?")
_WEIGHED = re.compile(r"(?:^|;)\s*([A-Z][A-Z0-9_]+)\((-?\d{1,9}(?:\.\d+)?)\)")
_REQUIRED = re.compile(r"\b(?:required|tag2)=(-?\d{1,9}(?:\.\d+)?)")
_TEST = re.compile(r"([A-Z][A-Z0-9_]*)(?:=(-?\d{1,9}(?:\.\d+)?))?")
_BRACKETED = re.compile(r"<([^<>]*)>")
_DATABASE = re.compile(r"/\d+/(\w{3} \w{3} +\d{1,2} \d\d:\d\d:\d\d \d{4})")
_QUEUE_ID = re.compile(r"\bid\s+<?([A-Za-z0-9][A-Za-z0-9_.+-]{3,})>?")
_NOTHING_FOUND = frozenset({"", "no", "none", "clean", "not found", "false", "0", "ok"})


class HeaderVerdicts(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of the scanners' header fields. `envelope_sender` is None if not known, "" for the null sender."""

    verdicts: tuple[Verdict, ...] = ()
    reason: Verdict | None = None
    envelope_sender: str | None = None
    envelope_recipients: tuple[str, ...] = ()
    mta_message_id: str = ""
    av_database_date: int = 0  # Unix ms; 0 = not known
    score: float | None = None
    required: float | None = None
    symbols: tuple[tuple[str, float | None], ...] = ()
    authentication: tuple[Authentication, ...] = ()


def verdicts_from_headers(raw: bytes) -> HeaderVerdicts:
    """Read the header of a message, never its body. Never raises: invalid fields count as absent."""
    fields: dict[str, list[str]] = {}
    header = header_of(raw)
    for field in header.fields():
        if field.start > HEADER_LIMIT:
            break
        if field.name in _NAMES:
            value = header.text[field.value : min(field.end, field.value + _VALUE_LIMIT)].decode("utf-8", "replace")
            value = value.replace("\r", "").replace("\n", " ").strip()
            fields.setdefault(field.name.decode("ascii"), []).append(value)
    if not fields:
        return HeaderVerdicts()
    verdicts = one_an_engine([*_amavis(fields), *_virus(fields), *_spam(fields)])
    quarantine_id = _first(fields, "x-quarantine-id").strip("<> ")
    score, required, symbols = _weighed(fields)
    return HeaderVerdicts(
        verdicts=verdicts,
        reason=gravest(verdicts),
        envelope_sender=_sender(fields),
        envelope_recipients=_recipients(fields),
        mta_message_id=_queue_id(fields, quarantine_id),
        av_database_date=_database_date(fields),
        score=score,
        required=required,
        symbols=symbols,
        authentication=read_results(_first(fields, "authentication-results")),
    )


def _first(fields: dict[str, list[str]], name: str) -> str:
    return fields[name][0] if name in fields else ""


def _short(text: str) -> str:
    return " ".join(text.split())[:_DETAIL_LIMIT]


def _amavis(fields: dict[str, list[str]]) -> list[Verdict]:
    """Parse X-Amavis-Alert. It occurs once per finding, so all occurrences count."""
    found = []
    for alert in fields.get("x-amavis-alert", ()):
        kind, _, rest = alert.partition(",")
        kind = kind.strip().upper()
        if kind == "INFECTED":
            names = [name.strip() for name in rest.rpartition("virus:")[2].split(",") if name.strip()]
            found += [verdict_of_signature(_short(name)) for name in names] or [
                Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "")
            ]
        elif kind.startswith("BANNED"):
            what = rest.strip().removeprefix("message contains").removeprefix(" part:").strip()
            last = what.rpartition(",")[2].strip()
            named = bool(last) and not last.startswith(".") and "/" not in last
            status = Status.BANNED_FILE_NAME if named else Status.BANNED_FILE_FORMAT
            found.append(Verdict(Engine.CONTENT, status, _short(what)))
    return found


def _virus(fields: dict[str, list[str]]) -> list[Verdict]:
    found = []
    value = _first(fields, "x-virus")
    if value.lower() not in _NOTHING_FOUND:
        found += [verdict_of_signature(_short(name)) for name in value.split(",") if name.strip()]
    status = _first(fields, "x-virus-status")
    lowered = status.lower()
    if lowered.startswith(("infected", "yes", "virus")):
        name = re.search(r"\(([^()]+)\)|\b(?:with|by|:)\s*(\S+)", status)
        words = (name[1] or name[2]) if name else ""
        if words or not found:
            found.append(
                verdict_of_signature(_short(words)) if words else Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "")
            )
    elif lowered.startswith(("clean", "no")) and "x-virus-status" in fields:
        clean = Status.NOT_SCANNED if lowered.startswith("not scanned") else Status.CLEAN
        found.append(Verdict(Engine.ANTI_VIRUS, clean, ""))
    return found


def _spam(fields: dict[str, list[str]]) -> list[Verdict]:
    result = _RESULT.match(_first(fields, "x-spamd-result"))
    if result:
        return _spamd_result(fields, result)
    status_line = _first(fields, "x-spam-status")
    word = status_line.lstrip().lower()
    if word.startswith(("yes", "no", "true", "false")):
        return _spam_status(status_line, word.startswith(("yes", "true")))
    action = _action_status(fields)
    if action is not None:
        return [Verdict(Engine.ANTI_SPAM, action, _first(fields, "x-rspamd-action"))]
    flag = _first(fields, "x-spam-flag").lower() or _first(fields, "x-spam").lower()
    if flag.startswith(("yes", "true")):
        return [Verdict(Engine.ANTI_SPAM, Status.SPAM, "")]
    if flag.startswith(("no", "false")):
        return [Verdict(Engine.ANTI_SPAM, Status.CLEAN, "")]
    if "x-spam-level" in fields:
        stars = len(re.match(r"[*+xX]*", _first(fields, "x-spam-level"))[0])  # type: ignore[index]  # always matches
        status = (
            Status.SPAM if stars >= SPAM_STARS else Status.PROBABLE_SPAM if stars >= PROBABLE_STARS else Status.CLEAN
        )
        return [Verdict(Engine.ANTI_SPAM, status, f"level {stars}")]
    return []


def _spamd_result(fields: dict[str, list[str]], result: re.Match[str]) -> list[Verdict]:
    """Parse X-Spamd-Result, as in `default: True [15.10 / 15.00]; SYMBOL(1.00)[…];`.

    True means that rspamd rejected it.
    """
    text = _first(fields, "x-spamd-result")
    marked = any(_first(fields, name).lower().startswith("yes") for name in ("x-spam", "x-spam-flag", "x-spam-status"))
    if result[1].lower() == "true":
        status = Status.SPAM
    else:
        status = _action_status(fields) or (Status.PROBABLE_SPAM if marked else Status.CLEAN)
    return verdicts_of_symbols(_SYMBOL.findall(text[result.end() :]), status, _short(result[2].strip("[]")))


def _spam_status(line: str, yes: bool) -> list[Verdict]:
    """Parse `Yes, score=8.1 required=5.0 tests=[A=1.2,B=6.9]`. Below its kill level a message is only probable spam.

    A score of `x` means that Anti-Spam did not run, because the message was condemned before.
    """
    score, kill, tests = _SCORE.search(line), _KILL.search(line), _TESTS.search(line)
    symbols = set(re.findall(r"[A-Z][A-Z0-9_]+", (tests[1] or tests[2] or "") if tests else ""))
    detail = f"score {score[1]}" if score else ""
    if re.search(r"\bscore=x\b", line):
        return [Verdict(Engine.ANTI_SPAM, Status.NOT_SCANNED, "")]
    if re.search(r"\bBLACKLISTED\b", line):
        return [Verdict(Engine.ANTI_SPAM, Status.BLACKLISTED, detail)]
    if not yes or re.search(r"\bWHITELISTED\b", line):
        return verdicts_of_symbols(symbols, Status.CLEAN, detail)
    under = bool(score and kill) and float(score[1]) < float(kill[1])  # type: ignore[index]  # both matched
    return verdicts_of_symbols(symbols, Status.PROBABLE_SPAM if under else Status.SPAM, detail)


def _action_status(fields: dict[str, list[str]]) -> Status | None:
    action = _first(fields, "x-rspamd-action").lower()
    if action.startswith(("reject", "discard", "quarantine")):
        return Status.SPAM
    if action.startswith(("add header", "rewrite subject")):
        return Status.PROBABLE_SPAM
    return Status.CLEAN if action.startswith(("no action", "greylist", "soft reject")) else None


def _weighed(
    fields: dict[str, list[str]],
) -> tuple[float | None, float | None, tuple[tuple[str, float | None], ...]]:
    """Read the spam scanner's score, its threshold for spam, and its symbols."""
    text = _first(fields, "x-spamd-result")
    result = _RESULT.match(text)
    if result:
        numbers = [float(each) for each in _NUMBER.findall(result[2])]
        weights = _WEIGHED.findall(text[result.end() :])
        symbols = heaviest([(name, float(weight)) for name, weight in weights])
        return numbers[0] if numbers else None, numbers[1] if len(numbers) > 1 else None, symbols
    line = _first(fields, "x-spam-status")
    score, required, tests = _SCORE.search(line), _REQUIRED.search(line), _TESTS.search(line)
    named = _TEST.findall((tests[1] or tests[2] or "") if tests else "")
    return (
        float(score[1]) if score else None,
        float(required[1]) if required else None,
        heaviest([(name, float(weight) if weight else None) for name, weight in named]),
    )


def _sender(fields: dict[str, list[str]]) -> str | None:
    for name in ("x-envelope-from", "return-path"):
        if name in fields:
            value = fields[name][0]
            bracketed = _BRACKETED.search(value)
            if bracketed:
                return bracketed[1].strip()
            if value and " " not in value:
                return value
    return None


def _recipients(fields: dict[str, list[str]]) -> tuple[str, ...]:
    """List the recipients who did not get the message: X-Envelope-To-Blocked if present, else X-Envelope-To."""
    for name in ("x-envelope-to-blocked", "x-envelope-to"):
        value = _first(fields, name)
        found = _BRACKETED.findall(value) or [part for part in value.split(",") if "@" in part]
        addresses = dict.fromkeys(address.strip() for address in found if address.strip())
        if addresses:
            return tuple(addresses)
    return ()


def _queue_id(fields: dict[str, list[str]], quarantine_id: str) -> str:
    """Return the queue ID of the MTA in front of the scanner; else the scanner's own ID of the message."""
    queue_id = _first(fields, "x-rspamd-queue-id")
    if queue_id:
        return queue_id[:100]
    for received in fields.get("received", ())[:4]:
        if "amavis" in received.lower():
            continue
        found = _QUEUE_ID.search(received)
        if found and found[1] != quarantine_id:
            return found[1][:100]
    return quarantine_id[:100]


def _database_date(fields: dict[str, list[str]]) -> int:
    """Parse the databases' release date (UTC) from `X-Virus-Scanned: NAME 1.4/27819/Mon Nov 23 09:41:10 2026`."""
    for value in fields.get("x-virus-scanned", ()):
        found = _DATABASE.search(value)
        if found:
            try:
                return int(datetime.strptime(found[1], "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC).timestamp() * 1000)
            except ValueError:
                continue
    return 0
