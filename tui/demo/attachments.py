"""What the demo's messages carry: kinds of files with names people give them, each encoded once and used again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import NamedTuple

from tui.demo import files
from tui.demo.mime import Part, attachment_part, base64_lines

_VARIANTS = 3


class Kind(NamedTuple):
    """A kind of file: its declared type, how it is made, its least and greatest size in bytes, and its names."""

    content_type: str
    make: Callable[[Random, int], bytes]
    least: int
    most: int
    names: tuple[str, ...]


_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_OCTETS = "application/octet-stream"

_PDF_NAMES = (
    "Invoice_{n}.pdf",
    "Rechnung {n} – Müller.pdf",
    "Quotation-{n}.pdf",
    "Счёт №{n}.pdf",
    "見積書_{n}.pdf",
    "CV.pdf",
)
_HIDDEN_NAMES = (
    "invoice_{n}.pdf.exe",
    "Rechnung_{n}.pdf.scr",
    "CV_{n}.doc                                        .exe",
    "Счёт_{n}.pdf.com",
)
_MACROS = "application/vnd.ms-word.document.macroEnabled.12"
_macros = partial(files.word, macros=True)
KINDS: dict[str, Kind] = {
    "pdf": Kind("application/pdf", files.pdf, 20_000, 180_000, _PDF_NAMES),
    "word": Kind(_WORD, files.word, 15_000, 90_000, ("Minutes {n}.docx", "Angebot für {n}.docx", "合同_{n}.docx")),
    "macros": Kind(
        _MACROS, _macros, 15_000, 60_000, ("Invoice_{n}.docm", "Payment_advice_{n}.docm", "Bewerbung_{n}.docm")
    ),
    "sheet": Kind(_SHEET, files.sheet, 12_000, 80_000, ("Budget_{n}.xlsx", "Order {n}.xlsx", "Devis n° {n}.xlsx")),
    "ole": Kind(
        "application/msword", files.ole, 20_000, 60_000, ("Purchase order {n}.doc", "SCAN_{n}.doc", "договор {n}.doc")
    ),
    "png": Kind("image/png", files.png, 4_000, 40_000, ("image001.png", "logo.png", "Screenshot {n}.png")),
    "jpeg": Kind("image/jpeg", files.jpeg, 30_000, 220_000, ("IMG_{n}.jpg", "photo{n}.jpeg", "site photo {n}.jpg")),
    "gif": Kind("image/gif", files.gif, 43, 44, ("spacer.gif",)),
    "zip": Kind(
        "application/zip", files.archive, 10_000, 120_000, ("documents_{n}.zip", "Fotos {n}.zip", "backup-{n}.zip")
    ),
    "locked-zip": Kind(
        "application/zip",
        files.encrypted_archive,
        8_000,
        60_000,
        ("Invoice_{n}.zip", "secure_document_{n}.zip", "请款单_{n}.zip"),
    ),
    "broken-zip": Kind("application/zip", files.broken_archive, 20_000, 50_000, ("parts_{n}.zip", "upload {n}.zip")),
    "7z": Kind("application/x-7z-compressed", files.seven_zip, 15_000, 70_000, ("order_{n}.7z", "RFQ {n}.7z")),
    "rar": Kind("application/vnd.rar", files.rar, 15_000, 60_000, ("swift copy {n}.rar", "DHV_{n}.rar")),
    "exe": Kind(_OCTETS, files.executable, 20_000, 90_000, ("setup_{n}.exe", "update-{n}.exe", "viewer.exe")),
    "hidden-exe": Kind(_OCTETS, files.executable, 20_000, 90_000, _HIDDEN_NAMES),
    "disguised-exe": Kind(
        "application/pdf", files.executable, 20_000, 60_000, ("invoice_{n}.pdf", "statement {n}.pdf")
    ),
    "broken-exe": Kind(_OCTETS, files.broken_executable, 4_000, 30_000, ("patch_{n}.exe", "driver.exe")),
    "iso": Kind("application/x-iso9660-image", files.iso, 10_000, 60_000, ("Invoice_{n}.iso", "PO-{n}.img")),
    "js": Kind("application/javascript", files.script, 1, 2, ("statement_{n}.js", "facture_{n}.pdf.js")),
    "vbs": Kind("text/vbscript", files.script, 1, 2, ("contract_{n}.vbs", "fax_{n}.vbs")),
    "lnk": Kind(_OCTETS, files.shortcut, 1, 2, ("Invoice {n}.lnk",)),
    "rtf": Kind("application/rtf", files.rtf, 6_000, 40_000, ("order confirmation {n}.rtf", "ponuda_{n}.rtf")),
    "html": Kind("text/html", files.page, 1, 2, ("remittance_{n}.html", "voicemail_{n}.htm", "document.shtml")),
    "ics": Kind("text/calendar", files.calendar, 1, 2, ("invite.ics",)),
    "csv": Kind("text/csv", files.table, 2_000, 40_000, ("export-{n}.csv",)),
    "mp4": Kind("video/mp4", files.video, 60_000, 200_000, ("clip_{n}.mp4",)),
}


class Files:
    """Encoded files, made when they are first needed; `rng` decides everything. Sizes are divided by `shrink`."""

    def __init__(self, rng: Random, shrink: float = 1) -> None:
        self._shrink = shrink
        self._rng = rng
        self._made: dict[tuple[str, int], bytes] = {}
        self._large: dict[int, bytes] = {}

    def part(self, kind: str, rng: Random, charset: str = "utf-8", *, inline_id: str = "") -> tuple[Part, str]:
        """An attachment of that kind, and its name."""
        entry = KINDS[kind]
        name = rng.choice(entry.names).replace("{n}", str(rng.randrange(1_000, 99_999)))
        key = (kind, rng.randrange(_VARIANTS))
        encoded = self._made.get(key)
        if encoded is None:
            size = int(self._rng.randrange(entry.least, entry.most) / self._shrink) + 1
            encoded = self._made[key] = base64_lines(entry.make(self._rng, size))
        return attachment_part(name, entry.content_type, encoded, charset, inline_id=inline_id), name

    def large(self, megabytes: int, rng: Random) -> tuple[Part, str]:
        """A film of so many megabytes (a little more once it is encoded), and its name."""
        encoded = self._large.get(megabytes)
        if encoded is None:
            encoded = self._large[megabytes] = base64_lines(files.video(self._rng, megabytes * 750_000))
        name = rng.choice(("Walkthrough {n}.mp4", "site visit {n}.mov", "Präsentation {n}.mp4"))
        name = name.replace("{n}", str(rng.randrange(1, 40)))
        return attachment_part(name, "video/mp4", encoded, "utf-8"), name
