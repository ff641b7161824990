"""Attachments: small, well-formed, and different bytes for each random source."""

from __future__ import annotations

import base64
import io
import zipfile
import zlib
from random import Random
from typing import NamedTuple

from tests.waves import qr
from tests.waves.words import shaped


class File(NamedTuple):
    """A part: its name, content type and bytes; with an `inline` id it is a picture in the HTML."""

    name: str
    kind: str
    data: bytes
    inline: str = ""


KINDS = {
    "pdf": "application/pdf",
    "html": "text/html",
    "svg": "image/svg+xml",
    "zip": "application/zip",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ics": "text/calendar; method=REQUEST",
    "png": "image/png",
}


def pdf(rng: Random, lines: list[str], link: str = "") -> bytes:
    """Make one page with `lines` (Latin-1, else question marks) and a link over them."""
    drawn = "BT /F1 11 Tf 60 780 Td 15 TL\n" + "".join(
        "(" + line.replace("\\", "").replace("(", "").replace(")", "") + ") Tj T*\n" for line in lines
    )
    stream = zlib.compress((drawn + f"ET % {shaped(rng, '<h40>')}").encode("latin-1", "replace"))
    note = f"/Annots [<< /Type /Annot /Subtype /Link /Rect [50 400 550 800] /A << /S /URI /URI ({link}) >> >>]"
    made = shaped(rng, "D:202611<d2>")[:-2] + f"{rng.randint(10, 24)}{rng.randint(10, 23)}{rng.randint(10, 59)}00Z"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R {note if link else ''} "
        "/Resources << /Font << /F1 5 0 R >> >> >>".encode("latin-1", "replace"),
        f"<< /Length {len(stream)} /Filter /FlateDecode >>\nstream\n".encode() + stream + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< /CreationDate ({made}) /Producer (PDF {rng.randint(1, 9)}.{rng.randint(0, 9)}) >>".encode(),
    ]
    out, places = b"%PDF-1.5\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n" + "".join(
        f"{place:010} 00000 n \n" for place in places
    )
    name = shaped(rng, "<h32>")
    end = f"trailer\n<< /Size 7 /Root 1 0 R /Info 6 0 R /ID [<{name}> <{name}>] >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + table.encode() + end.encode()


def archive(members: list[tuple[str, bytes]], locked: bool = False) -> bytes:
    """Make a ZIP file; `locked` sets the encryption flag, for members whose bytes are random anyway."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as packed:
        for name, data in members:
            packed.writestr(zipfile.ZipInfo(name, (2026, 11, 20, 8, 0, 0)), data, zipfile.ZIP_STORED if locked else 8)
    made = bytearray(held.getvalue())
    if locked:
        for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            made[made.index(mark) + place] |= 1
    return bytes(made)


def office(rng: Random, kind: str, lines: list[str], link: str = "") -> bytes:
    """Make a docx or xlsx whose text is `lines`, with an external relationship to `link`."""
    folder = "word/document.xml" if kind == "docx" else "xl/sharedStrings.xml"
    texts = "".join(
        f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" if kind == "docx" else f"<si><t>{line}</t></si>" for line in lines
    )
    outward = f'<Relationship Id="r{rng.randrange(10**6)}" Type="hyperlink" Target="{link}" TargetMode="External"/>'
    types = f'<Types><Override PartName="/{folder}" ContentType="{KINDS[kind]}.main+xml"/></Types>'
    about = (
        f"<coreProperties><revision>{rng.randrange(1, 90)}</revision><id>{shaped(rng, '<h24>')}</id></coreProperties>"
    )
    return archive(
        [
            ("[Content_Types].xml", types.encode()),
            (folder, f"<doc>{texts}</doc>".encode()),
            (
                folder.replace("/", "/_rels/") + ".rels",
                f"<Relationships>{outward if link else ''}</Relationships>".encode(),
            ),
            ("docProps/core.xml", about.encode()),
        ]
    )


def smuggler(rng: Random, title: str, link: str) -> bytes:
    """Make an HTML page that assembles a page or file in the browser: names, key, chunks and padding are drawn."""
    key = rng.randrange(1, 255)
    page = f"<html><body><script>location='{link}#{shaped(rng, '<A20-60>')}'</script></body></html>".encode()
    coded = base64.b64encode(bytes(byte ^ key for byte in page + rng.randbytes(rng.randint(200, 1600)))).decode()
    cut = rng.randint(40, 90)
    chunks = [coded[at : at + cut] for at in range(0, len(coded), cut)]
    names = [shaped(rng, "<l1><a3-9>") for _ in range(4)]
    lines = [f"var {names[0]}=[" + ",".join(f'"{chunk}"' for chunk in chunks) + "];"]
    lines.append(f"var {names[1]}=atob({names[0]}.join('')),{names[2]}='';")
    lines.append(
        f"for(var i=0;i<{names[1]}.length;i++){names[2]}+=String.fromCharCode({names[1]}.charCodeAt(i)^{key});"
    )
    lines.append(
        rng.choice(
            (
                f"document.write({names[2]});",
                f"var {names[3]}=new Blob([{names[2]}]);open(URL.createObjectURL({names[3]}));",
            )
        )
    )
    head = f"<!doctype html><title>{title}</title><!-- {shaped(rng, '<A10-80>')} -->"
    return "\n".join([head, "<script>", *lines, "</script>", ""]).encode()


def picture(rng: Random, text: str) -> bytes:
    """Make a PNG that stands for a picture of `text`: its coarse shape follows the text, specks and size do not."""
    shape = Random(text)
    rows = [[shape.random() < 0.4 for _ in range(48)] for _ in range(20)]
    return qr.png(rng, rows)


def made(rng: Random, kind: str, name: str, lines: list[str], link: str) -> File:
    """Make the file `name` of the kind `kind` (a key of KINDS), containing `lines` and linking to `link`."""
    if kind == "pdf":
        data = pdf(rng, lines, link)
    elif kind in ("docx", "xlsx"):
        data = office(rng, kind, lines, link)
    elif kind == "zip":
        inner = name.rpartition(".")[0] + rng.choice((".js", ".lnk", ".iso", ".vbs", ".exe"))
        data = archive([(inner, rng.randbytes(rng.randint(900, 5000)))], locked=True)
    elif kind == "html":
        data = smuggler(rng, lines[0], link)
    elif kind == "svg":
        data = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{rng.randint(300, 700)}"><text y="40">{lines[0]}</text>'
            f'<script>location.href=atob("{base64.b64encode(link.encode()).decode()}")//'
            f"{shaped(rng, '<A10-90>')}</script></svg>"
        ).encode()
    else:
        data = "\r\n".join(
            [
                "BEGIN:VCALENDAR",
                "METHOD:REQUEST",
                "BEGIN:VEVENT",
                f"UID:{shaped(rng, '<h32>')}",
                "DTSTART:20261127T090000Z",
                f"SUMMARY:{lines[0]}",
                f"DESCRIPTION:{' '.join(lines[1:])} {link}",
                "END:VEVENT",
                "END:VCALENDAR",
                "",
            ]
        ).encode()
    return File(name, KINDS[kind], data)
