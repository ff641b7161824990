"""Types by content: the name of each kind of file, and that no bytes cause an error."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.message.message import attachment_type

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_SLIDES = "application/vnd.openxmlformats-officedocument.presentationml.presentation"


def _zip(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "application/vnd.oasis.opendocument.text" if name == "mimetype" else "x" * 50)
    return out.getvalue()


def _ole(stream: str) -> bytes:
    head = bytearray(512)
    head[:8] = _OLE
    struct.pack_into("<H", head, 30, 9)
    struct.pack_into("<I", head, 48, 2)
    return bytes(head) + bytes(1024) + "Root Entry\0".encode("utf-16-le") + stream.encode("utf-16-le") + bytes(64)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "application/x-empty"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"junk before\n%PDF-1.7\n", "application/pdf"),
        (_zip("[Content_Types].xml", "word/document.xml"), _WORD),
        (_zip("[Content_Types].xml", "xl/workbook.xml"), _SHEET),
        (_zip("[Content_Types].xml", "ppt/presentation.xml"), _SLIDES),
        (_zip("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"),
         "application/vnd.ms-word.document.macroenabled.12"),
        (_zip("[Content_Types].xml", "_rels/.rels", "word/document.xml")[:260], _WORD),
        (_zip("mimetype", "content.xml"), "application/vnd.oasis.opendocument.text"),
        (_zip("META-INF/MANIFEST.MF", "A.class"), "application/java-archive"),
        (_zip("AndroidManifest.xml", "META-INF/MANIFEST.MF"), "application/vnd.android.package-archive"),
        (_zip("invoice.exe"), "application/zip"),
        (_ole("WordDocument"), "application/msword"),
        (_ole("Workbook"), "application/vnd.ms-excel"),
        (_ole("EncryptedPackage"), "application/x-ole-encrypted"),
        (_ole("Other"), "application/x-ole-storage"),
        (_OLE, "application/x-ole-storage"),
        (b"MZ" + bytes(58) + b"\x80\0\0\0" + bytes(64) + b"PE\0\0", "application/vnd.microsoft.portable-executable"),
        (b"MZ" + bytes(100), "application/x-dosexec"),
        (b"MZ", "text/plain"),
        (b"\x7fELF\2\1\1" + bytes(50), "application/x-executable"),
        (b"\xca\xfe\xba\xbe\0\0\0\x34", "application/java-vm"),
        (b"\xca\xfe\xba\xbe\0\0\0\x02", "application/x-mach-binary"),
        (b"Rar!\x1a\x07\x01\0", "application/vnd.rar"),
        (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
        (gzip.compress(b"x", mtime=0), "application/gzip"),
        (b"L\0\0\0\x01\x14\x02\0" + bytes(60), "application/x-ms-shortcut"),
        (b"[InternetShortcut]\r\nURL=http://x", "application/x-mswinurl"),
        (bytes(0x8001) + b"CD001", "application/x-iso9660-image"),
        (bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3"), "application/onenote"),
        (b"\x78\x9f\x3e\x22", "application/vnd.ms-tnef"),
        (b"{\\rtf1\\ansi", "application/rtf"),
        (b"\x30\x82\x01\x02\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", "application/pkcs7-mime"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x18ftypheic", "image/heic"),
        (b"\0\0\0\x18ftypisom", "video/mp4"),
        (b"<!DOCTYPE html><p>x", "text/html"),
        (b"\xef\xbb\xbf \n<script>x</script>", "text/html"),
        (b"<!-- a --><!-- b --><html>", "text/html"),
        ("\ufeff<html>".encode("utf-16"), "text/html"),
        (b"<html><head><HTA:APPLICATION id=x>", "application/hta"),
        (b"<?xml version='1.0'?><svg xmlns='x'>", "image/svg+xml"),
        (b"<?xml version='1.0'?><a/>", "text/xml"),
        (b"#!/bin/sh\nrm", "text/x-shellscript"),
        (b"@echo off\r\n", "application/x-bat"),
        (b"<?php system($_GET[0]);", "application/x-php"),
        (b"var s = new ActiveXObject('WScript.Shell');", "text/x-script"),
        (b"start powershell -enc AAAA", "text/x-script"),
        (b"BEGIN:VCALENDAR\r\n", "text/calendar"),
        (b"Received: from a\r\nFrom: b\r\n\r\nx", "message/rfc822"),
        (b"Date: tomorrow we meet", "text/plain"),
        (b"plain words", "text/plain"),
        ("Wörter".encode(), "text/plain"),
        ("Wörter und noch mehr".encode("latin-1"), "text/plain"),
        (b"a\0b", "application/octet-stream"),
        (bytes(range(128, 256)), "application/octet-stream"),
    ],
)  # fmt: skip
def test_kinds_of_files(data: bytes, kind: str) -> None:
    assert attachment_type(data) == kind


_starts = st.sampled_from(
    [
        b"",
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"PK\x01\x02",
        _OLE,
        b"MZ",
        b"RIFF",
        b"\0\0\0\0ftyp",
        b"<!--",
        b"\xff\xfe",
        b"BM",
    ]
)


@given(_starts, st.binary(max_size=700))
def test_any_bytes_have_a_type(start: bytes, rest: bytes) -> None:
    assert "/" in attachment_type(start + rest)


@given(st.integers(0, 400), st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), max_size=8))
def test_damaged_containers_have_a_type(length: int, changes: list[tuple[int, int]]) -> None:
    for whole in (_zip("[Content_Types].xml", "word/document.xml"), _ole("WordDocument")):
        data = bytearray(whole[:length])
        for position, value in changes:
            if position < len(data):
                data[position] = value
        assert "/" in attachment_type(bytes(data))
