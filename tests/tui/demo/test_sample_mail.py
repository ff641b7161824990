"""The composed mail: complete, correct or hostile where it should be, and without real addresses."""

from __future__ import annotations

import email
import hashlib
import io
import re
import zipfile
import zlib
from collections import Counter
from email.message import Message
from random import Random

import pytest

from store.terms.records import CopyRecord
from store.terms.verdicts import Engine, Status, is_kept
from tui.demo import files
from tui.demo.attachments import MAKERS, attachments
from tui.demo.languages import languages
from tui.demo.mime import encoded_words, mailbox
from tui.demo.sample_mail import compose
from tui.demo.scenarios import scenarios

NOW = 1_795_508_000_000
DAY = 86_400_000
Placed = tuple[bytes, CopyRecord, int]


@pytest.fixture(scope="module")
def mail() -> list[Placed]:
    return list(compose(400, now=NOW))


def text_parts(raw: bytes) -> list[Message]:
    if len(raw) > 1_000_000:
        return []  # parsing these takes longer than all others together
    return [part for part in email.message_from_bytes(raw).walk() if part.get_content_maintype() == "text"]


def test_every_engine_and_status_that_condemns(mail: list[Placed]) -> None:
    reasons = Counter(record.reason for _, record, _ in mail)
    assert None not in reasons
    found = {(reason.engine, reason.status) for reason in reasons if reason}
    assert found == {
        (scenario.engine, scenario.status) for scenario in (*scenarios().scenario, scenarios().size_exceeded)
    }
    assert {status for _, status in found} == set(Status) - {Status.CLEAN, Status.NOT_SCANNED}
    assert {engine for engine, _ in found} == set(Engine)


def test_all_of_it_is_what_backup_keeps(mail: list[Placed]) -> None:
    for _, record, _ in mail:
        assert record.reason is not None
        assert is_kept(record.reason.engine, record.reason.status, record.action), record.reason
        assert record.reason in record.verdicts
        assert record.reason.detail and "{" not in record.reason.detail


def test_one_seed_is_one_mail_and_another_is_another(mail: list[Placed]) -> None:
    assert [raw for raw, _, _ in mail[:50]] == [raw for raw, _, _ in list(compose(400, now=NOW))[:50]]
    assert {raw for raw, _, _ in mail}.isdisjoint(raw for raw, _, _ in compose(30, now=NOW, seed=1))
    assert len({raw for raw, _, _ in mail}) == len(mail)


def test_the_mail_of_a_seed_stays_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """All drawn values, their order and every text: a deliberate change of one needs a new digest."""
    monkeypatch.setattr(files.zlib, "compress", lambda data, _level: data)  # its output differs among builds
    digest = hashlib.sha256()
    for raw, record, at in compose(400, now=NOW):
        digest.update(b"%d %d %d " % (len(raw), at, record.rule_id) + raw + str(record.reason).encode())
    assert digest.hexdigest() == "693ba97b0a3c645e71b1c922d0b089be1f366cf7b118136798d7474afb4ea1cf"


def test_three_months_of_days_with_weekends_and_bursts(mail: list[Placed]) -> None:
    times = [at for _, _, at in compose(3000, now=NOW)]
    assert times == sorted(times) and times[-1] <= NOW and times[0] >= NOW - 92 * DAY
    assert len({at // DAY for at in times}) > 80
    weekend = sum(1 for at in times if (at // DAY + 4) % 7 in (0, 6))
    assert 0.1 < weekend / len(times) < 0.27
    crowded = max(Counter(record.subject.casefold() for _, record, _ in mail).values())
    assert crowded >= 4


@pytest.mark.parametrize("count", [0, 1, 13, 14, 99, 100, 101])
def test_any_number(count: int) -> None:
    assert sum(1 for _ in compose(count, now=NOW)) == count


def test_only_domains_that_are_reserved_for_examples(mail: list[Placed]) -> None:
    reserved = re.compile(r"(^|\.)(example(\.(com|net|org))?|test|invalid)$")
    for raw, record, _ in mail:
        header = raw.partition(b"\r\n\r\n")[0].decode("latin-1")
        text = "\n".join((header, record.from_, record.to, record.subject, *record.envelope_recipients))
        for part in text_parts(raw):
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            text += "\n" + payload.decode("latin-1")
        for domain in re.findall(r"[\w.+-]@([A-Za-z0-9.-]+[A-Za-z0-9])|https?://([A-Za-z0-9.-]+)", text):
            host = (domain[0] or domain[1]).rstrip(".")
            assert "." not in host or reserved.search(host), host


def test_charsets_are_what_they_say() -> None:
    seen: Counter[str] = Counter()
    scripts = set()
    # A sample this small has no hostile ones, whose charsets are wrong on purpose.
    for raw, record, _ in (placed for seed in range(6) for placed in compose(90, now=NOW, seed=seed)):
        assert "\ufffd" not in record.subject + record.from_ + record.to
        for part in text_parts(raw):
            charset = part.get_content_charset()
            if charset is None or part.get_filename():
                continue
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            text = payload.decode(charset)
            seen[charset] += 1
            scripts |= {block(character) for character in text if character.isalpha()}
    assert len(seen) >= 12, seen
    assert scripts >= {"latin", "greek", "cyrillic", "hebrew", "arabic", "thai", "kana", "han", "hangul", "devanagari"}


def block(character: str) -> str:
    code = ord(character)
    for name, low, high in (
        ("latin", 0x41, 0x24F),
        ("greek", 0x370, 0x3FF),
        ("cyrillic", 0x400, 0x52F),
        ("hebrew", 0x590, 0x5FF),
        ("arabic", 0x600, 0x6FF),
        ("devanagari", 0x900, 0x97F),
        ("thai", 0xE00, 0xE7F),
        ("kana", 0x3040, 0x30FF),
        ("han", 0x4E00, 0x9FFF),
        ("hangul", 0xAC00, 0xD7AF),
    ):
        if low <= code <= high:
            return name
    return "other"


def test_each_charset_that_a_language_names_can_say_what_the_language_says() -> None:
    wanted = (
        "iso-2022-jp shift_jis gb18030 big5 koi8-r windows-1251 windows-1252 windows-1256 iso-8859-1 iso-8859-2 "
        "iso-8859-7 iso-8859-9 euc-kr utf-8"
    )
    named = {charset for language in languages().values() for charset in language.charsets}
    assert named >= set(wanted.split())
    for language in languages().values():
        for charset in set(language.charsets) - {"us-ascii"}:
            assert any(
                can_say(text.subject, charset) for text in (*language.spam, *language.phishing, *language.honest)
            )
        for name in (*language.given, *language.family):
            assert name == name.strip()


def can_say(text: str, charset: str) -> bool:
    try:
        return text.encode(charset).decode(charset) == text
    except UnicodeEncodeError:
        return False


@pytest.mark.parametrize(
    "charset", ["utf-8", "iso-2022-jp", "shift_jis", "gb18030", "big5", "koi8-r", "iso-8859-1", "euc-kr"]
)
@pytest.mark.parametrize("quoted", [False, True])
def test_encoded_words_decode_to_the_text_and_keep_to_their_length(charset: str, quoted: bool) -> None:
    from email.header import decode_header, make_header

    for text in (
        "Grüße aus Köln, überall 100 % mehr Möglichkeiten für jeden",
        "распродажа " * 9,
        "請款單 見積書 견적서" * 5,
    ):
        encoded = encoded_words(text, charset, quoted=quoted)
        assert all(len(word) <= 75 for word in encoded.split(b"\r\n "))
        assert str(make_header(decode_header(encoded.decode().replace("\r\n", "")))) == text


def test_a_name_with_specials_is_quoted() -> None:
    assert mailbox('O\'Neil "Al", Ltd.', "a@example.com", "utf-8") == b'"O\'Neil \\"Al\\", Ltd." <a@example.com>'
    assert mailbox("", "a@example.com", "utf-8") == b"a@example.com"


MAGIC = {
    "pdf": b"%PDF-",
    "word": b"PK\3\4",
    "macros": b"PK\3\4",
    "sheet": b"PK\3\4",
    "ole": bytes.fromhex("d0cf11e0"),
    "png": b"\x89PNG\r\n",
    "jpeg": b"\xff\xd8\xff",
    "gif": b"GIF89a",
    "zip": b"PK\3\4",
    "locked-zip": b"PK\3\4",
    "broken-zip": b"PK\3\4",
    "7z": b"7z\xbc\xaf",
    "rar": b"Rar!\x1a\7",
    "exe": b"MZ",
    "hidden-exe": b"MZ",
    "disguised-exe": b"MZ",
    "broken-exe": b"MZ",
    "iso": bytes(8),
    "js": b"//",
    "vbs": b"//",
    "lnk": b"\x4c\0\0\0\1\x14\2\0",
    "rtf": b"{\\rtf1",
    "html": b"<!DOCTYPE html",
    "ics": b"BEGIN:VCALENDAR",
    "csv": b"id,value",
    "mp4": b"\0\0\0\x18ftyp",
}


def test_each_kind_of_file_can_be_made_and_has_a_name() -> None:
    assert MAKERS.keys() == attachments().kind.keys() == MAGIC.keys()
    named = {kind for scenario in scenarios().scenario for choice in scenario.files for kind in choice}
    assert named <= MAKERS.keys()
    assert {kind for words in scenarios().words.values() for kind in words} | scenarios().formats.keys() <= named


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_files_begin_as_their_format_says(kind: str) -> None:
    data = MAKERS[kind](Random(1), 5_000)
    assert data.startswith(MAGIC[kind])
    if kind == "iso":
        assert data[0x8001:0x8006] == b"CD001"


def test_files_hold_what_they_claim() -> None:
    rng = Random(1)
    for data in (files.archive(rng, 900), files.word(rng, 900, macros=True), files.sheet(rng, 900)):
        assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    locked = zipfile.ZipFile(io.BytesIO(files.encrypted_archive(rng, 900)))
    assert all(member.flag_bits & 1 for member in locked.infolist())
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(files.broken_archive(rng, 900)))
    picture = files.png(rng, 3_000)
    at = picture.index(b"IDAT")
    size = int.from_bytes(picture[at - 4 : at], "big")
    width = int.from_bytes(picture[16:20], "big")
    assert len(zlib.decompress(picture[at + 4 : at + 4 + size])) == width * (3 * width + 1)
    document = files.pdf(rng, 4_000)
    start = int(document.rsplit(b"startxref\n", 1)[1].split()[0])
    assert document[start:].startswith(b"xref")
    first = int(document[start:].split(b"\n")[3].split()[0])
    assert document[first:].startswith(b"1 0 obj")


def test_variety(mail: list[Placed]) -> None:
    records = [record for _, record, _ in mail]
    assert len({record.rule_id for record in records}) >= 5
    assert len({name.rpartition(".")[2] for record in records for name in (a.name for a in record.attachments)}) >= 15
    assert len({record.client_address for record in records}) > 100
    assert any(record.blacklisted_by for record in records) and any(record.whitelisted_by for record in records)
    assert any(record.envelope_sender == "" for record in records)
    assert all(re.fullmatch(r"4c[0-9A-Za-z]{13}", record.mta_message_id) for record in records)
    assert any(record.cc for record in records)
    hidden = [r for r in records if any(to not in r.to + r.cc for to in r.envelope_recipients)]
    assert len(hidden) > 20
    bodies = b"\n".join(raw for raw, _, _ in mail)
    assert b"xn--" in bodies and b"List-Unsubscribe" in bodies and b"multipart/alternative" in bodies
    sizes = [record.size or len(raw) for raw, record, _ in mail]
    assert max(sizes) > 8_000_000 and min(sizes) < 1_000


def test_size_exceeded_is_as_large_as_it_says(mail: list[Placed]) -> None:
    for raw, record, _ in mail:
        if record.reason and record.reason.status is Status.SIZE_EXCEEDED:
            assert record.reason.detail == f"{len(raw) / 1_000_000:.1f} MB, the limit is 8 MB" and len(raw) > 8_000_000


def test_long_threads(mail: list[Placed]) -> None:
    headers = [email.message_from_bytes(raw.partition(b"\r\n\r\n")[0]) for raw, _, _ in mail]
    assert max(len(header.get("References", "").split()) for header in headers) >= 4
    ids = {record.message_id.strip("<>") for _, record, _ in mail}
    for header in headers:
        answered = header.get("In-Reply-To")
        assert answered is None or answered.strip("<>") in ids


def test_the_hostile_ones_are_there(mail: list[Placed]) -> None:
    subjects = "\n".join(record.subject for _, record, _ in mail)
    for character in ("\x1b", "\u202e", "\u200b", "\u0335"):
        assert character in subjects
    assert "[@click=app.quit]" in subjects and "[/foo]" in subjects
    assert any(len(raw) > 50_000 and len(record.subject) >= 500 for raw, record, _ in mail)
    assert any("/etc/cron.d" in a.name for _, record, _ in mail for a in record.attachments)
    assert any(raw.startswith(b"This file never had a header") for raw, _, _ in mail)
