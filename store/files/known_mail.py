"""`import --known`: add known senders from good mail (a Maildir, an mbox, files), or from a list of addresses with
counts.

A list has one line per address: an address or a domain (`@example.org`), the number of messages (default 1), and
optionally `authenticated` if they were, or `written` if they were sent to it from here. Text after a # is a comment.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from store.authority.audit import record_event
from store.authority.settings import settings_or_former
from store.files.amavis import Unpacked
from store.files.discovery import Found, find_files, open_regular
from store.files.mbox import read_messages
from store.helpers.clock import DAY_MS, now_ms
from store.judging.known_senders import added_by, told_of
from store.judging.scanner_headers import verdicts_from_headers
from store.judging.senders import recipient_of
from store.judging.trusted_headers import HEADERS, result_of
from store.mail.addresses import address_problem, addresses_in_header
from store.mail.header_fields import header_of
from store.mail.incoming import Incoming
from store.mail.local_domains import LocalDomains
from store.message.message import summarise
from store.sealing.counting import DOMAIN, RECIPIENT, SENDER
from store.terms.errors import IntakeError, UsageError
from store.terms.progress import Cancelled, Progress
from store.vault.known import Key, Known
from store.vault.vault import Vault

KNOWN = "known senders imported"
#: Max messages that one line of a list may state.
_MOST = 1_000_000
_LOOKED_AT, _LONGEST_LIST = 1 << 16, 64 << 20
_FIELDS = frozenset((b"from", b"to", b"subject", b"date", b"received", b"message-id"))
_WORDS = ("authenticated", "written")


class KnownResult(msgspec.Struct):
    """The number of messages and of list lines read, the number of counters changed, and failures as (path, reason)."""

    messages: int = 0
    lines: int = 0
    counters: int = 0
    failed: list[tuple[Path, str]] = msgspec.field(default_factory=list)
    cancelled: bool = False


class _Line(NamedTuple):
    keys: tuple[Key, ...]
    authenticated: bool
    messages: int


def import_known(
    vault: Vault,
    paths: Sequence[Path],
    *,
    operator: str = "",
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> KnownResult:
    """Add the senders of good mail and of lists to the counters; an audit event records the numbers.

    Everything is read first: if a list is invalid, or on cancelling, nothing is counted. The same mail given again is
    counted again. Raises UsageError, which names the line of a list; StoreUnavailable, TamperedError, UnlockError.
    """
    result, deltas = KnownResult(), dict[Key, list[int]]()
    local = LocalDomains(settings_or_former(vault).local_domains)
    total, read = sum(found.size for found in find_files(paths)), 0
    for found in find_files(paths):
        if found.problem:
            result.failed.append((found.path, found.problem))
        elif not found.hidden:
            for each in _of_file(found, local, result):
                for key in each.keys:
                    delta = deltas.setdefault(key, [0, 0])
                    delta[not each.authenticated] += each.messages
                if cancelled is not None and cancelled():
                    result.cancelled = True
                    return result
        read += found.size
        if progress is not None:
            progress(read, total)
    if deltas:
        day, known = now_ms() // DAY_MS, Known(vault)
        detail = f"{result.messages:,} messages, {result.lines:,} lines, {len(deltas):,} counters"
        record_event(vault, KNOWN, operator=operator, detail=detail)
        known.add({key: (delta[0], delta[1]) for key, delta in deltas.items()}, day)
        known.tidy(day)
    result.counters = len(deltas)
    return result


def _of_file(found: Found, local: LocalDomains, result: KnownResult) -> Iterator[_Line]:
    """Yield the counts that one file adds: an mbox, a message, or a list."""
    try:
        with io.FileIO(open_regular(found.path), closefd=True) as file:
            stream: io.BufferedReader = io.BufferedReader(file)
            if not found.single and not _is_mail(stream.peek(_LOOKED_AT)[:_LOOKED_AT]):
                yield from _of_list(found.path, stream.read(_LONGEST_LIST), result)
                return
            for message in read_messages(Unpacked(stream, found.path.name), single=found.single):
                if isinstance(message, IntakeError):
                    result.failed.append((found.path, str(message)))
                    continue
                result.messages += 1
                yield from _of_message(message, local)
    except IntakeError as error:
        result.failed.append((found.path, str(error)))
    except OSError as error:
        result.failed.append((found.path, f"It cannot be read completely ({error.strerror or error}): check the disk."))


def _is_mail(first: bytes) -> bool:
    packed = first.startswith(b"\x1f\x8b")
    return packed or first.startswith(b"From ") or any(field.name in _FIELDS for field in header_of(first).fields())


def _of_message(raw: bytes, local: LocalDomains) -> Iterator[_Line]:
    """Yield the counts that a gateway would have added.

    For mail sent from here, recipients are taken from the header.
    """
    found = verdicts_from_headers(raw)
    record = summarise(raw)
    to = [address for field in (record.to, record.cc, record.bcc) for address in addresses_in_header(field)]
    sender = next(iter(addresses_in_header(record.from_)), "")
    incoming = Incoming(raw, sender if found.envelope_sender is None else found.envelope_sender, to)
    told = told_of(incoming, {HEADERS: result_of(found)}, local)
    for key, authenticated in added_by(incoming, told, local):
        yield _Line((key,), authenticated, 1)


def _of_list(path: Path, text: bytes, result: KnownResult) -> Iterator[_Line]:
    try:
        lines = text.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UsageError(
            f"{path} is neither mail nor a list of addresses: it is not UTF-8 text. Give a Maildir, an mbox, or a "
            "text file with an address and a count on each line."
        ) from None
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].replace(",", " ").replace(";", " ").split()
        if words:
            result.lines += 1
            yield _of_line(words, f"{path}, line {number}")


def _of_line(words: list[str], where: str) -> _Line:
    address, *rest = words
    count = 1
    if rest and rest[0].isascii() and rest[0].isdigit():
        count = int(rest.pop(0)[:12])
    flags = [word.lower() for word in rest]
    if not 0 < count <= _MOST or any(word not in _WORDS for word in flags):
        raise UsageError(
            f"{where}: expected an address, a number of messages (1 to {_MOST:,}) and optionally `authenticated` or "
            "`written`, for example `anna@example.org 12 authenticated`. Nothing was counted."
        )
    alone = address.startswith("@")
    if address_problem(f"a{address}" if alone else address):
        raise UsageError(
            f"{where}: {address[:80]!r} is neither an address nor a domain such as @example.org. Nothing was counted."
        )
    key = recipient_of(f"a{address}" if alone else address)
    domain = (DOMAIN, key.rpartition("@")[2])
    if "written" in flags:
        if alone:
            raise UsageError(f"{where}: `written` needs an address, not a domain. Nothing was counted.")
        return _Line(((RECIPIENT, key),), "authenticated" in flags, count)
    return _Line((domain,) if alone else ((SENDER, key), domain), "authenticated" in flags, count)
