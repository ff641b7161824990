"""Files for the demo's attachments: each begins as its format prescribes, and all are harmless."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from random import Random

_DOS_STUB = b"\x0e\x1f\xba\x0e\x00\xb4\x09\xcd\x21\xb8\x01\x4c\xcd\x21This program cannot be run in DOS mode.\r\r\n$"
_OLE_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
_ZIP_TIME = (2026, 11, 2, 9, 0, 0)


def pdf(rng: Random, size: int) -> bytes:
    """Make a PDF of one page, filled up to the size with noise."""
    text = f"BT /F1 18 Tf 72 760 Td (Document {rng.randrange(10_000, 99_999)}) Tj ET".encode()
    noise = rng.randbytes(max(0, size - 700))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(noise), noise),
    ]
    out = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return bytes(out + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), data, zipfile.ZIP_STORED)
    return buffer.getvalue()


def archive(rng: Random, size: int) -> bytes:
    """Make a ZIP archive."""
    return _zip({"readme.txt": b"Nothing of interest.\r\n", "data.bin": rng.randbytes(size)})


def encrypted_archive(rng: Random, size: int) -> bytes:
    """Make a ZIP archive whose member is marked as encrypted (and is noise)."""
    data = bytearray(_zip({f"invoice_{rng.randrange(1000, 9999)}.xls": rng.randbytes(size)}))
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def broken_archive(rng: Random, size: int) -> bytes:
    """Make a ZIP archive that is cut off in the middle."""
    return archive(rng, size)[: size // 2]


def _office(kind: str, main: str, rng: Random, size: int, macros: bool) -> bytes:
    types = (
        b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        b'<Default Extension="xml" ContentType="application/xml"/></Types>'
    )
    members = {"[Content_Types].xml": types, main: b"<?xml version='1.0'?><" + kind.encode() + b"/>"}
    if macros:
        members[main.partition("/")[0] + "/vbaProject.bin"] = _OLE_MAGIC + rng.randbytes(512)
    members["docProps/thumbnail.jpeg"] = jpeg(rng, size)
    return _zip(members)


def word(rng: Random, size: int, *, macros: bool = False) -> bytes:
    """Make a word processor document (XML); with `macros` it has a macro project that holds noise."""
    return _office("document", "word/document.xml", rng, size, macros)


def sheet(rng: Random, size: int, *, macros: bool = False) -> bytes:
    """Make a spreadsheet (XML)."""
    return _office("workbook", "xl/workbook.xml", rng, size, macros)


def ole(rng: Random, size: int) -> bytes:
    """Make an old binary office document: the magic number, then noise."""
    return _OLE_MAGIC + bytes(16) + struct.pack("<HHH", 0x3E, 3, 0xFFFE) + rng.randbytes(max(512, size) - 30)


def png(rng: Random, size: int) -> bytes:
    """Make a PNG of coloured noise that decodes."""
    side = max(8, int((size / 3) ** 0.5))
    rows = b"".join(b"\0" + rng.randbytes(3 * side) for _ in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def jpeg(rng: Random, size: int) -> bytes:
    """Make the markers of a JPEG picture around noise."""
    noise = rng.randbytes(max(64, size)).replace(b"\xff", b"\xfe")
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x48\x00\x48\x00\x00" + noise + b"\xff\xd9"


def gif(_rng: Random, _size: int) -> bytes:
    """Make a transparent GIF of one pixel, as newsletters use to count readers."""
    return bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")


def executable(rng: Random, size: int) -> bytes:
    """Make the headers of a Windows program whose code is zeros and noise: it cannot run."""
    stub = b"MZ" + struct.pack("<13H", 0x90, 3, 0, 4, 0, 0xFFFF, 0, 0xB8, 0, 0, 0, 0x40, 0) + bytes(32)
    head = (stub + struct.pack("<I", 0x80) + _DOS_STUB).ljust(0x80, b"\0")
    return head + b"PE\0\0" + struct.pack("<HH", 0x14C, 0) + bytes(200) + rng.randbytes(size)


def broken_executable(_rng: Random, size: int) -> bytes:
    """Make a broken program: its first two letters, then zeros."""
    return b"MZ" + bytes(size)


def iso(rng: Random, size: int) -> bytes:
    """Make a disc image with the volume descriptor in its place."""
    return bytes(0x8000) + b"\x01CD001\x01\x00" + b"WIN32".ljust(32) + b"DOCUMENTS".ljust(32) + rng.randbytes(size)


def script(rng: Random, _size: int) -> bytes:
    """Make a script that holds nothing but a comment and numbers."""
    numbers = ",".join(str(rng.randrange(1000)) for _ in range(400))
    return f"// statement {rng.randrange(10**6)}\r\nvar rows = [{numbers}];\r\n".encode()


def rtf(rng: Random, size: int) -> bytes:
    """Make a rich text document."""
    return (
        b"{\\rtf1\\ansi\\deff0 {\\fonttbl {\\f0 Arial;}}\\f0\\fs22 Order confirmation\\par "
        + rng.randbytes(size // 2).hex().encode()
        + b"}"
    )


def page(rng: Random, _size: int) -> bytes:
    """Make a web page that imitates a sign-in form and sends nothing anywhere."""
    return (
        f"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form><p>Session {rng.randrange(10**6)}</p>"
        "<input name=user><input name=password type=password><button>Continue</button></form></body></html>\r\n"
    ).encode()


def seven_zip(rng: Random, size: int) -> bytes:
    """Make the signature of a 7z archive, and noise."""
    return b"7z\xbc\xaf\x27\x1c\x00\x04" + rng.randbytes(size)


def rar(rng: Random, size: int) -> bytes:
    """Make the signature of a RAR archive, and noise."""
    return b"Rar!\x1a\x07\x01\x00" + rng.randbytes(size)


def shortcut(rng: Random, _size: int) -> bytes:
    """Make the header of a Windows shortcut without a target."""
    return struct.pack("<I", 0x4C) + bytes.fromhex("0114020000000000c000000000000046") + rng.randbytes(300)


def calendar(rng: Random, _size: int) -> bytes:
    """Make an invitation."""
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\n"
        f"UID:{rng.getrandbits(64):x}@example.net\r\nDTSTART:20261201T090000Z\r\nSUMMARY:Review\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    ).encode()


def table(rng: Random, size: int) -> bytes:
    """Make a table of comma-separated numbers."""
    lines = [f"{row},{rng.randrange(10**6)},{rng.random():.4f}" for row in range(max(4, size // 24))]
    return "\r\n".join(["id,value,share", *lines, ""]).encode()


def video(rng: Random, size: int) -> bytes:
    """Make the first box of an MP4 film, and noise."""
    return b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + rng.randbytes(size)
