"""Content filtering: the file names, formats and sizes that a rule bans, and the search for them in a message.

Names are compared in every form in which a mail program may read them: case, letter width, invisible characters and
trailing dots make no difference. The names in a zip archive's directory count too. A format is detected from the
content; name and declared type do not matter. Nothing is unpacked, and nothing raises.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from itertools import islice

import msgspec

from store.judging.attachments import Found, attachments_of
from store.message.filetype import attachment_type, zip_names
from store.message.mime import PART_LIMIT
from store.message.transfer import uuencoded_files
from store.terms.sizes import format_size
from store.terms.verdicts import Engine, Status, Verdict

#: Names of groups of formats, as rules may write them.
FORMAT_GROUPS: dict[str, tuple[str, ...]] = {
    "executable": (
        "application/vnd.microsoft.portable-executable", "application/x-dosexec", "application/x-msdownload",
        "application/x-executable", "application/x-mach-binary", "application/x-dex", "application/wasm",
        "application/x-msi", "application/java-vm", "application/java-archive",
        "application/vnd.android.package-archive", "application/vnd.debian.binary-package", "application/x-rpm",
        "application/x-xar",
    ),
    "script": (
        "text/x-script", "text/x-shellscript", "application/x-bat", "application/x-php", "application/hta",
        "application/x-ms-shortcut", "application/x-mswinurl", "application/vnd.ms-htmlhelp",
    ),
    "archive": (
        "application/zip", "application/vnd.rar", "application/x-7z-compressed", "application/gzip",
        "application/x-bzip2", "application/x-xz", "application/zstd", "application/x-lz4", "application/x-lzip",
        "application/x-compress", "application/vnd.ms-cab-compressed", "application/x-arj",
        "application/x-ace-compressed", "application/x-tar",
    ),
    "disk-image": (
        "application/x-iso9660-image", "application/x-vhd", "application/x-vhdx", "application/x-qemu-disk",
        "application/x-ms-wim",
    ),
    "macro": ("application/vnd.ms-*.macroenabled.12",),
    "office": (
        "application/msword", "application/vnd.ms-excel*", "application/vnd.ms-powerpoint*", "application/vnd.ms-word*",
        "application/vnd.openxmlformats-officedocument.*", "application/vnd.oasis.opendocument.*", "application/rtf",
        "application/onenote", "application/vnd.visio", "application/x-ole-storage", "application/x-ole-encrypted",
    ),
    "encrypted": ("application/x-ole-encrypted", "application/pgp-encrypted"),
    "image": ("image/*",),
    "audio": ("audio/*",),
    "video": ("video/*",),
}  # fmt: skip

#: Encoded bytes of an attachment that suffice to detect its format. Formats that begin with one of `_WHOLE` need all of
#: it, because their directory is further back.
_HEAD = 400_000
_WHOLE = (b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0")
_NAME_LIMIT = 1000
#: Max findings named in a verdict's detail; further ones are only counted.
_SHOWN = 5
#: Max nesting of attached messages that are encoded. Standards forbid encoding them; they are searched all the same.
_ENCODED_DEPTH = 3
_MESSAGES = ("message/rfc822", "message/global", "message/news")
#: Parts of the problem texts (`Attachments.problems`) that say that a message was not searched to its end.
_LIMITS = ("too many parts", "nested too deeply", "header block is too long")


class ContentPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content that a rule bans.

    `banned_names` are globs. `banned_formats` are types by content (globs as well) or names in `FORMAT_GROUPS`.
    `max_size` is the largest message allowed, in bytes (0 = no limit).
    """

    banned_names: tuple[str, ...] = ()
    banned_formats: tuple[str, ...] = ()
    max_size: int = 0


@dataclass(frozen=True, slots=True)
class ContentResult:
    """The verdicts of content filtering, and the attachments to remove (indexes in `attachments_of`).

    `verdicts` is empty if the policy bans nothing. Details are NOT safe for a terminal.
    """

    verdicts: tuple[Verdict, ...] = ()
    banned: tuple[int, ...] = ()


def is_format(entry: str) -> bool:
    """Return True if `entry` is valid in `banned_formats`: a group's name or a type (application/zip, image/*)."""
    return entry.lower() in FORMAT_GROUPS or "/" in entry.strip("/")


def size_exceeded(raw: bytes, policy: ContentPolicy) -> Verdict | None:
    """Return the Size exceeded verdict if the message is larger than `policy` allows, else None."""
    if not policy.max_size or len(raw) <= policy.max_size:
        return None
    detail = f"{format_size(len(raw))}; at most {format_size(policy.max_size)} are allowed"
    return Verdict(Engine.CONTENT, Status.SIZE_EXCEEDED, detail)


def content_verdicts(raw: bytes, policy: ContentPolicy) -> ContentResult:
    """Search a message for content that `policy` bans. Never raises. Takes up to a second for 50 MB of attachments."""
    banned: list[int] = []
    size = size_exceeded(raw, policy)
    verdicts = [size] if size is not None else []
    if policy.banned_names or policy.banned_formats:
        search = _Search(policy)
        banned = search.look_into(raw)
        verdicts += search.verdicts()
    elif policy.max_size and not verdicts:
        verdicts.append(Verdict(Engine.CONTENT, Status.CLEAN))
    return ContentResult(tuple(verdicts), tuple(banned))


class _Search:
    """The search of one message, and of the encoded messages attached to it."""

    def __init__(self, policy: ContentPolicy) -> None:
        self._names = _patterns(policy.banned_names)
        self._formats = _format_patterns(policy.banned_formats)
        self._bad_names: dict[str, None] = {}
        self._bad_formats: dict[str, None] = {}
        self._problems: dict[str, None] = {}

    def look_into(self, raw: bytes, depth: int = 0) -> list[int]:
        """List the indexes of banned attachments."""
        found, _, problems = attachments_of(raw)
        self._problems.update((problem, None) for problem in problems if any(limit in problem for limit in _LIMITS))
        return [index for index, attachment in enumerate(found) if self._is_banned(raw, attachment, depth)]

    def verdicts(self) -> list[Verdict]:
        found = [
            Verdict(Engine.CONTENT, status, _listed(list(bad)))
            for status, bad in (
                (Status.BANNED_FILE_NAME, self._bad_names),
                (Status.BANNED_FILE_FORMAT, self._bad_formats),
            )
            if bad
        ]
        if not found and self._problems:
            return [Verdict(Engine.CONTENT, Status.NOT_SCANNED, _listed(list(self._problems)))]
        return found or [Verdict(Engine.CONTENT, Status.CLEAN)]

    def _is_banned(self, raw: bytes, attachment: Found, depth: int) -> bool:
        # Run every check, without stopping at the first hit: each records its finding for the verdict's detail.
        bad = [self._bad_name(name) for name in attachment.names]
        label = attachment.names[0][:_NAME_LIMIT] if attachment.names else attachment.declared[:100]
        if attachment.declared in _MESSAGES:
            bad.append(self._bad_format(attachment.declared, label))
            kind = attachment_type(attachment.decode(raw, _HEAD))
            if not kind.startswith("text/"):
                bad.append(self._bad_format(kind, label))
            if attachment.encoding not in ("", "7bit", "8bit", "binary"):
                bad.append(self._encoded_message(attachment.decode(raw), depth))
        else:
            for content in _contents(raw, attachment):
                kind = attachment_type(content)
                bad.append(self._bad_format(kind, label))
                if kind == "application/zip" and self._names:
                    bad += [self._bad_name(name, f"{label}: ") for name in zip_names(content)]
        return any(bad)

    def _encoded_message(self, raw: bytes, depth: int) -> bool:
        if depth >= _ENCODED_DEPTH:
            self._problems["messages are nested too deeply: not all were read"] = None
            return False
        return bool(self.look_into(raw, depth + 1))

    def _bad_name(self, name: str, within: str = "") -> bool:
        forms = _forms(name)
        for pattern, matches in self._names:
            if any(matches.match(form) for form in forms):
                self._bad_names[f"{within}{name[:_NAME_LIMIT]} ({pattern})"] = None
                return True
        return False

    def _bad_format(self, kind: str, label: str) -> bool:
        for entry, matches in self._formats:
            if matches.match(kind):
                self._bad_formats[f"{label}: {kind}" + (f" ({entry})" if entry != kind else "")] = None
                return True
        return False


def _contents(raw: bytes, attachment: Found) -> Iterator[bytes]:
    """Yield enough of an attachment's content to detect its format; one item per file if a text holds several files."""
    if attachment.declared == "application/x-uuencode" and attachment.kind != "text":
        yield from (file.data for file in islice(uuencoded_files(attachment.decode(raw)), PART_LIMIT))
        return
    head = attachment.decode(raw, _HEAD)
    cut = attachment.end - attachment.start > _HEAD
    yield attachment.decode(raw) if cut and head.startswith(_WHOLE) else head


def _forms(name: str) -> set[str]:
    """List the forms in which a mail program or a file system may read the name, normalised for comparison."""
    forms: set[str] = set()
    for form in (name, name.partition("\0")[0]):
        plain = unicodedata.normalize("NFKC", form[-_NAME_LIMIT:]).casefold()
        visible = "".join(char for char in plain if unicodedata.category(char)[0] != "C")
        last = re.split(r"[/\\]", visible.rstrip("/\\"))[-1]
        forms |= {plain, visible, last, last.rstrip(". "), re.sub(r"\s+", " ", last).strip(". ")}
    return forms


@lru_cache(64)
def _patterns(globs: tuple[str, ...]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((glob, re.compile(translate(unicodedata.normalize("NFKC", glob).casefold()))) for glob in globs)


@lru_cache(64)
def _format_patterns(entries: tuple[str, ...]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (entry, re.compile(translate(glob)))
        for entry in entries
        for glob in FORMAT_GROUPS.get(entry.lower(), (entry.lower(),))
    )


def _listed(findings: list[str]) -> str:
    more = len(findings) - _SHOWN
    return "; ".join(findings[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
