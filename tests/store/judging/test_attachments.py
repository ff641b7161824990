"""Removing attachments: a note in place of each, and every other byte unchanged."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.judging.attachments import accept_without, attachments_of, reduced
from store.mail.changes import changed
from store.message.message import parse_message, summarise
from tests.amounts import amount

NOTE = (
    rb"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
    rb"Content-Disposition: inline\r\n\r\n\[An attachment was removed from this message: (?:[^\r\n]|=\r\n)*\]"
)
TEXT_NOTE = rb"\[An attachment was removed from this message: [^\r\n]*\]"


@dataclass
class Builder:
    """A message as pieces: bytes outside of attachments (index None), or bytes of the attachment with that index."""

    pieces: list[tuple[bytes, frozenset[int]]] = field(default_factory=list)
    inside: frozenset[int] = frozenset()
    count: int = 0
    boundaries: int = 0

    def add(self, data: bytes) -> None:
        self.pieces.append((data, self.inside))

    def message(self) -> bytes:
        return b"".join(data for data, _ in self.pieces)

    def without(self, which: set[int]) -> re.Pattern[bytes]:
        """Return the expected message without these attachments."""
        out: list[bytes] = []
        gone: set[int] = set()
        for data, inside in self.pieces:
            hit = inside & which
            if not hit:
                out.append(re.escape(data))
            elif not hit & gone:
                out.append(NOTE)
            gone |= hit
        return re.compile(b"".join(out), re.S)


@dataclass
class Tree:
    kind: str
    data: bytes
    children: list[Tree]


BODIES = st.binary(max_size=60).map(lambda data: data.replace(b"--", b"__").replace(b"begin", b"BEGIN"))
TEXTS = st.sampled_from(
    [b"hello", b"a\r\nb", b"", b".\r\n-- \r\nx", b"\xff\x80 text", b"x: y\r\n\r\nz", b"begin at noon"]
)
LEAVES = st.one_of(
    st.builds(Tree, st.just("text"), TEXTS, st.just([])),
    st.builds(Tree, st.just("html"), TEXTS, st.just([])),
    st.builds(Tree, st.sampled_from(["file", "base64", "inline"]), BODIES, st.just([])),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Tree, st.just("multipart"), TEXTS, st.lists(inner, min_size=1, max_size=4)),
        st.builds(Tree, st.just("message"), TEXTS, st.lists(inner, min_size=1, max_size=1)),
    ),
    max_leaves=12,
)
ROOTS = st.builds(Tree, st.just("multipart"), TEXTS, st.lists(TREES, min_size=1, max_size=5))


def build(tree: Tree, out: Builder, top: bytes = b"") -> None:
    """Write the tree; mark an attachment's pieces with its number and those of the parts that contain it."""
    before = out.inside
    if tree.kind in ("file", "base64", "inline", "message"):
        out.inside |= {out.count}
        out.count += 1
    match tree.kind:
        case "multipart":
            out.boundaries += 1
            mark = b"boundary%d=_" % out.boundaries
            out.add(top + b'Content-Type: multipart/mixed;\r\n\tboundary="' + mark + b'"\r\n\r\n' + tree.data)
            for child in tree.children:
                out.add(b"\r\n--" + mark + b"\r\n")
                build(child, out)
            out.add(b"\r\n--" + mark + b"--\r\n" + tree.data)
        case "message":
            out.add(top + b"Content-Type: message/rfc822\r\n\r\n")
            build(tree.children[0], out, b"Subject: inner\r\n")
        case "text" | "html":
            kind = b"plain" if tree.kind == "text" else b"html"
            out.add(top + b"Content-Type: text/" + kind + b"; charset=utf-8\r\n\r\n" + tree.data)
        case "file":
            out.add(top + b'Content-Disposition: attachment; filename="a b.bin"\r\n\r\n' + tree.data)
        case "base64":
            coded = base64.encodebytes(tree.data).replace(b"\n", b"\r\n")
            fields = b"Content-Type: application/zip; name=z.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            out.add(top + fields + coded)
        case _:
            out.add(top + b"Content-Type: image/png\r\nContent-ID: <x@y>\r\n\r\n" + tree.data)
    out.inside = before


@settings(max_examples=amount(100, 300), deadline=None)
@given(ROOTS, st.data())
def test_no_byte_of_other_parts_changes(tree: Tree, data: st.DataObject) -> None:
    out = Builder()
    build(tree, out, b"From: a@example.org\r\nSubject:  two  spaces\r\nX-Odd : y\r\n\tfolded\r\n")
    raw = out.message()
    assert len(attachments_of(raw).found) == out.count
    which = data.draw(st.sets(st.integers(0, max(0, out.count - 1))))
    if out.count == 0:
        which = set()
    smaller = reduced(raw, which).message
    assert out.without(which).fullmatch(smaller), (raw, smaller)
    everything = reduced(raw).message
    assert out.without(set(range(out.count))).fullmatch(everything)
    assert attachments_of(everything).found == []
    assert reduced(everything).message == everything


@given(st.binary(max_size=400))
def test_any_bytes_do_not_raise(raw: bytes) -> None:
    assert reduced(raw, ()).message == raw
    reduced(raw)
    accept_without(raw)


def test_the_corpus_without_its_attachments(corpus_files: list[Path]) -> None:
    """Real messages lose their attachments and nothing else that a reader sees."""
    changed = 0
    for path in corpus_files:
        raw = path.read_bytes()
        found = attachments_of(raw).found
        assert reduced(raw, ()).message == raw
        smaller = reduced(raw).message
        assert (smaller != raw) == bool(found), path
        changed += bool(found)
        assert not summarise(smaller).attachments, path
        for index in range(min(len(found), 5)):
            one = reduced(raw, [index]).message
            start, end = found[index].whole
            assert one.startswith(raw[:start]) or found[index].kind == "body", path
            assert one.endswith(raw[end:]), path
        accepted = accept_without(raw)
        if found and not accepted.delete_headers and not accepted.add_headers:
            assert accepted.body is not None
            assert smaller.endswith(accepted.body)
    print(f"{len(corpus_files)} messages, {changed} with attachments")


def test_changes_made_by_an_mta_come_to_the_same(corpus_files: list[Path]) -> None:
    """Fields deleted and added and the body replaced, as an MTA does it, give the same bytes as one change."""
    compared = 0
    for path in corpus_files:
        raw = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        found, block, _ = attachments_of(raw)
        if not found or block.broken or block.start or raw[:1].isspace() or b"\r\n\r\n" not in raw:
            continue
        assert changed(raw, accept_without(raw)) == reduced(raw).message, path
        compared += 1
    assert compared > 100


def multipart(*parts: bytes, newline: bytes = b"\r\n") -> bytes:
    head = b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n"
    raw = head + b"".join(b"--b\n" + part + b"\n" for part in parts) + b"--b--\n"
    return raw.replace(b"\n", newline)


TEXT = b"Content-Type: text/plain\n\nhello"
EXE = b'Content-Type: application/octet-stream\nContent-Disposition: attachment; filename="invoice.pdf.exe"\n\nMZ123'


@pytest.mark.parametrize("newline", [b"\r\n", b"\n", b"\r"])
def test_the_note_says_what_was_there(newline: bytes) -> None:
    smaller = reduced(multipart(TEXT, EXE, newline=newline)).message
    parsed = parse_message(smaller)
    assert (
        "[An attachment was removed from this message: invoice.pdf.exe (application/octet-stream, 5 bytes)]"
        in parsed.text
    )
    assert not parsed.attachments
    assert not parsed.problems
    assert b"MZ123" not in smaller
    for other in {b"\r\n", b"\n", b"\r"} - {newline}:
        if other not in newline:
            assert other not in smaller.replace(newline, b"")


def test_a_name_cannot_break_out_of_the_note() -> None:
    name = b"=?utf-8?q?a=0D=0A--b=0D=0A=1B]0;x=07.exe?="
    part = b'Content-Disposition: attachment; filename="' + name + b'"\nContent-Type: a/b--\n\nx'
    smaller = reduced(multipart(TEXT, part)).message
    assert smaller.count(b"--") == 3 + 1
    assert not parse_message(smaller).attachments
    assert "message: a___b_]0_x_.exe (a/b__, 1 byte)]" in parse_message(smaller).text
    long = b'Content-Type: a/b; name="' + "\u00fc".encode() * 3000 + b'"\n\nx'
    assert max(map(len, reduced(multipart(TEXT, long)).message.split(b"\r\n"))) <= 76


SINGLE = (
    b"From: a@example.org\r\nContent-Type: application/zip;\r\n\tname=x.zip\r\nSubject: x\r\n"
    b"Content-Transfer-Encoding: base64\r\ncontent-type: text/plain\r\nX-Last: y\r\n\r\nUEsDBA==\r\n"
)


def test_a_message_that_is_an_attachment_keeps_its_other_fields() -> None:
    smaller = reduced(SINGLE).message
    head, _, body = smaller.partition(b"\r\n\r\n")
    assert head == (
        b"From: a@example.org\r\nSubject: x\r\nX-Last: y\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\nContent-Disposition: inline"
    )
    assert (
        "[An attachment was removed from this message: x.zip (application/zip, 4 bytes)]" in parse_message(smaller).text
    )
    assert body.startswith(b"[An attachment was removed")


def test_the_same_as_changes_for_an_mta() -> None:
    accepted = accept_without(SINGLE)
    assert set(accepted.delete_headers) == {
        ("Content-Type", 1),
        ("Content-Type", 2),
        ("Content-Transfer-Encoding", 1),
    }
    assert accepted.add_headers[0] == ("Content-Type", "text/plain; charset=utf-8")
    assert accepted.body == reduced(SINGLE).message.partition(b"\r\n\r\n")[2]
    raw = multipart(TEXT, EXE)
    accepted = accept_without(raw, [0])
    assert accepted.body is not None
    assert raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + accepted.body == reduced(raw).message
    assert not accepted.add_headers
    assert not accepted.delete_headers
    assert accept_without(raw, [7]).body is None
    assert accept_without(multipart(TEXT)).body is None


UU = b"begin 644 run.exe\r\n#0V%T\r\n`\r\nend"


def test_a_file_that_stands_in_a_text_is_cut_out_of_it() -> None:
    raw = b"Subject: x\r\n\r\nbefore\r\n" + UU + b"\r\nafter\r\n" + UU.replace(b"run", b"two") + b"\r\n"
    found = attachments_of(raw).found
    assert [each.names for each in found] == [("run.exe",), ("two.exe",)]
    assert found[0].decode(raw) == b"Cat"
    expected = b"Subject: x\r\n\r\nbefore\r\n" + TEXT_NOTE + b"\r\nafter\r\n" + re.escape(UU.replace(b"run", b"two"))
    assert re.fullmatch(expected + b"\r\n", reduced(raw, [0]).message)
    assert b"begin" not in reduced(raw).message
    assert accept_without(raw, [0]).body == reduced(raw, [0]).message[len(b"Subject: x\r\n\r\n") :]


def test_where_the_text_is_itself_encoded_all_of_it_goes() -> None:
    coded = base64.encodebytes(b"before\r\n" + UU + b"\r\n")
    raw = multipart(TEXT, b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + coded)
    [found] = attachments_of(raw).found
    assert found.names == ("run.exe",)
    assert not attachments_of(reduced(raw).message).found
    assert b"hello" in reduced(raw).message


@pytest.mark.parametrize("text", [b"begin at noon", b"begin 644 x\r\nend", b"begin 644 x\r\n#0V%T\r\n`\r\n"])
def test_a_text_that_only_begins_alike_is_none(text: bytes) -> None:
    assert not attachments_of(b"Subject: x\r\n\r\n" + text + b"\r\n").found
