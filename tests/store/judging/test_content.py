"""Content filtering: banned names in every disguise, banned formats by content, size, and nested messages."""

from __future__ import annotations

import base64
import binascii
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.judging.attachments import attachments_of, reduced
from store.judging.content import FORMAT_GROUPS, ContentPolicy, ContentResult, content_verdicts, is_format
from store.terms.verdicts import Engine, Status, Verdict

PE = b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0" + bytes(200)
CLEAN = Verdict(Engine.CONTENT, Status.CLEAN)


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name in names:
            out.writestr(name, b"x")
    return buffer.getvalue()


def message(*parts: bytes) -> bytes:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + body + b"--b--\r\n"


def part(
    data: bytes, disposition: str = 'attachment; filename="data.bin"', kind: str = "application/octet-stream"
) -> bytes:
    head = f"Content-Type: {kind}\r\nContent-Disposition: {disposition}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + base64.encodebytes(data).replace(b"\n", b"\r\n")


TEXT = b"Content-Type: text/plain\r\n\r\nhello"


def statuses(result: ContentResult) -> set[Status]:
    assert {verdict.engine for verdict in result.verdicts} <= {Engine.CONTENT}
    return {verdict.status for verdict in result.verdicts}


def test_a_policy_that_bans_nothing_says_nothing() -> None:
    assert content_verdicts(message(part(PE)), ContentPolicy()) == ContentResult()


def test_names() -> None:
    raw = message(
        TEXT, part(b"x", 'attachment; filename="invoice.PDF.exe"'), part(b"x", 'attachment; filename="notes.txt"')
    )
    result = content_verdicts(raw, ContentPolicy(banned_names=("*.scr", "*.exe")))
    assert result.verdicts == (Verdict(Engine.CONTENT, Status.BANNED_FILE_NAME, "invoice.PDF.exe (*.exe)"),)
    assert result.banned == (0,)
    smaller = reduced(raw, result.banned).message
    assert content_verdicts(smaller, ContentPolicy(banned_names=("*.exe",))).verdicts == (CLEAN,)
    assert b"notes.txt" in smaller


@pytest.mark.parametrize(
    "disposition",
    [
        "attachment; filename=run.exe",
        'inline; filename="RUN.EXE"',
        'attachment; filename="run.exe."',
        'attachment; filename="run.exe  "',
        'attachment; filename="run.exe . ."',
        "attachment; filename*=utf-8''run%2Eexe",
        "attachment; filename*0=ru; filename*1=n.e; filename*2=xe",
        'attachment; filename="=?utf-8?b?cnVuLmV4ZQ==?="',
        "attachment; filename*=utf-8''run%EF%BC%8Eexe",
        "attachment; filename*=utf-8''run.%E2%80%8Bexe",
        "attachment; filename*=utf-8''run.exe%00.txt",
        'attachment; filename="C:\\\\temp\\\\run.exe"',
        'attachment; filename="../run.exe/"',
        "attachment; filename=safe.txt; filename*=utf-8''run.exe",
        'attachment; filename="safe.txt"; filename="run.exe"',
    ],
)
def test_names_in_disguise(disposition: str) -> None:
    result = content_verdicts(message(TEXT, part(b"x", disposition)), ContentPolicy(banned_names=("run.exe",)))
    assert statuses(result) == {Status.BANNED_FILE_NAME}
    assert result.banned == (0,)


def test_the_name_of_the_type_counts_too() -> None:
    raw = message(part(b"x", 'attachment; filename="safe.txt"', 'application/octet-stream; name="run.exe"'))
    assert statuses(content_verdicts(raw, ContentPolicy(banned_names=("*.exe",)))) == {Status.BANNED_FILE_NAME}


def test_names_in_an_archive() -> None:
    policy = ContentPolicy(banned_names=("*.exe",))
    raw = message(TEXT, part(archive("a.txt", "x/invoice.pdf.exe"), 'attachment; filename="docs.zip"'))
    result = content_verdicts(raw, policy)
    assert result.verdicts == (Verdict(Engine.CONTENT, Status.BANNED_FILE_NAME, "docs.zip: x/invoice.pdf.exe (*.exe)"),)
    assert content_verdicts(message(part(archive("a.txt"))), policy).verdicts == (CLEAN,)
    large = io.BytesIO()
    with zipfile.ZipFile(large, "w") as out:
        out.writestr("big.bin", bytes(range(256)) * 4000)
        out.writestr("run.exe", b"x")
    assert statuses(content_verdicts(message(part(large.getvalue())), policy)) == {Status.BANNED_FILE_NAME}


@pytest.mark.parametrize(
    ("data", "entry"),
    [
        (PE, "executable"),
        (PE, "application/vnd.microsoft.portable-executable"),
        (b"\x7fELF" + bytes(100), "Executable"),
        (b"#!/bin/sh\nrm -rf /\n", "script"),
        (archive("a.txt"), "archive"),
        (archive("a.txt"), "application/zip"),
        (archive("[Content_Types].xml", "word/vbaProject.bin"), "macro"),
        (archive("[Content_Types].xml", "word/document.xml"), "office"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "image/*"),
        (b"%PDF-1.7\n", "application/pdf"),
    ],
)
def test_formats_by_content(data: bytes, entry: str) -> None:
    raw = message(TEXT, part(data, 'attachment; filename="harmless.txt"', "text/plain"), part(b"plain words"))
    result = content_verdicts(raw, ContentPolicy(banned_formats=("video", entry)))
    assert statuses(result) == {Status.BANNED_FILE_FORMAT}
    assert result.banned == (0,)
    assert result.verdicts[0].detail.startswith("harmless.txt: ")


def test_what_only_claims_a_format_is_not_of_it() -> None:
    raw = message(part(b"just words", 'attachment; filename="x.exe"', "application/x-msdownload"))
    assert content_verdicts(raw, ContentPolicy(banned_formats=("executable",))).verdicts == (CLEAN,)


def test_both_at_once_are_two_verdicts() -> None:
    raw = message(part(PE, 'attachment; filename="a.exe"'), part(PE, 'attachment; filename="b.txt"'))
    result = content_verdicts(raw, ContentPolicy(banned_names=("*.exe",), banned_formats=("executable",)))
    assert statuses(result) == {Status.BANNED_FILE_NAME, Status.BANNED_FILE_FORMAT}
    assert result.banned == (0, 1)


def test_size() -> None:
    raw = message(TEXT)
    assert content_verdicts(raw, ContentPolicy(max_size=len(raw))).verdicts == (CLEAN,)
    result = content_verdicts(raw, ContentPolicy(max_size=100))
    assert result == ContentResult(
        (Verdict(Engine.CONTENT, Status.SIZE_EXCEEDED, f"{len(raw)} bytes; at most 100 bytes are allowed"),)
    )


def test_a_message_in_a_message() -> None:
    inner = message(TEXT, part(PE, 'attachment; filename="run.exe"'))
    policy = ContentPolicy(banned_names=("*.exe",))
    raw = message(
        TEXT, b"Content-Type: message/rfc822\r\n\r\n" + inner.replace(b"=b\r", b"=c\r").replace(b"--b", b"--c")
    )
    assert content_verdicts(raw, policy).banned == (1,), "the attachment in it, not the message"
    coded = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(inner)
    result = content_verdicts(message(TEXT, coded), policy)
    assert (statuses(result), result.banned) == ({Status.BANNED_FILE_NAME}, (0,))
    assert content_verdicts(message(coded), ContentPolicy(banned_formats=("message/rfc822",))).banned == (0,)


def test_a_file_that_stands_in_a_text() -> None:
    raw = b"Subject: x\r\n\r\nhi\r\nbegin 644 run.exe\r\n#0V%T\r\n`\r\nend\r\n"
    result = content_verdicts(raw, ContentPolicy(banned_names=("*.exe",)))
    assert (statuses(result), result.banned) == ({Status.BANNED_FILE_NAME}, (0,))
    assert content_verdicts(raw, ContentPolicy(banned_formats=("text/plain",))).banned == (0,)
    coded = message(b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(raw.partition(b"\r\n\r\n")[2]))
    assert content_verdicts(coded, ContentPolicy(banned_formats=("text/plain",))).banned == (0,)
    assert content_verdicts(coded, ContentPolicy(banned_names=("run.*",))).banned == (0,)


@pytest.mark.parametrize(
    "around",
    [
        b"begin 644 \r\n%b`\r\nend\r\n",
        b"begin 644\r\n%b`\r\nend\r\n",
        b"begin 644 a.txt\r\nendless\r\nbegin 644 b.txt\r\n%b`\r\nend\r\n",
        b"begin 644 a.txt\r\n`\r\nend\r\n" * 30 + b"begin 644 b\r\n%b`\r\nend\r\n",
        b"begin 644 a.txt\r\n#0V%%T\r\n`\r\nend\r\n" * 30 + b"begin 644 b\r\n%b`\r\nend\r\n",
    ],
)
@pytest.mark.parametrize("encoding", [b"7bit", b"base64"])
def test_an_executable_in_a_text_is_found_whatever_stands_around_it(around: bytes, encoding: bytes) -> None:
    lines = b"".join(binascii.b2a_uu(PE[at : at + 45]) for at in range(0, len(PE), 45))
    text = b"hi\r\n" + around % lines.replace(b"\n", b"\r\n")
    text = base64.encodebytes(text) if encoding == b"base64" else text
    raw = b"Subject: x\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + text
    result = content_verdicts(raw, ContentPolicy(banned_formats=("executable",)))
    assert statuses(result) == {Status.BANNED_FILE_FORMAT}


def test_a_message_that_is_one_attachment() -> None:
    raw = b"Subject: x\r\n" + part(PE)
    policy = ContentPolicy(banned_formats=("executable",))
    assert content_verdicts(raw, policy).banned == (0,)
    assert content_verdicts(reduced(raw, (0,)).message, policy).verdicts == (CLEAN,)


def test_what_was_not_looked_at_is_not_called_clean() -> None:
    policy = ContentPolicy(banned_names=("*.exe",))
    many = message(*[TEXT] * 1100, part(b"x", 'attachment; filename="run.exe"'))
    [verdict] = content_verdicts(many, policy).verdicts
    assert (verdict.status, verdict.detail) == (Status.NOT_SCANNED, "there are too many parts: not all were read")
    deep = message(TEXT)
    for _ in range(5):
        deep = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(deep)
    assert statuses(content_verdicts(deep, policy)) == {Status.NOT_SCANNED}


def test_many_findings_are_counted() -> None:
    raw = message(*[part(b"x", f'attachment; filename="{number}.exe"') for number in range(20)])
    [verdict] = content_verdicts(raw, ContentPolicy(banned_names=("*.exe",))).verdicts
    assert verdict.detail == "0.exe (*.exe); 1.exe (*.exe); 2.exe (*.exe); 3.exe (*.exe); 4.exe (*.exe); and 15 more"


@given(st.binary(max_size=300), st.text(max_size=20), st.text(max_size=20))
def test_nothing_raises(raw: bytes, name: str, kind: str) -> None:
    content_verdicts(raw, ContentPolicy(banned_names=(name,), banned_formats=(kind,), max_size=100))


def test_the_corpus(corpus_files: list[Path]) -> None:
    """The format of every attachment of real messages is recognised; after removal, nothing is found."""
    policy = ContentPolicy(banned_formats=("*/*",), banned_names=("*.*",))
    for path in corpus_files:
        raw = path.read_bytes()
        result = content_verdicts(raw, policy)
        assert set(result.banned) <= set(range(len(attachments_of(raw).found)))
        after = content_verdicts(reduced(raw, result.banned).message, policy)
        assert statuses(after) <= {Status.CLEAN, Status.NOT_SCANNED}, path


def test_what_can_be_banned() -> None:
    assert all(is_format(name) for name in FORMAT_GROUPS)
    assert is_format("image/*")
    assert is_format("Executable")
    assert not any(map(is_format, ("", "exe", "/", "*.exe", "zip/")))
