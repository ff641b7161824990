"""Text without a charset or with a wrong one is decoded by a guess, and marked as guessed in the view."""

from __future__ import annotations

import subprocess
import sys

import charset_normalizer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.message.guessing import SAMPLE_LIMIT, _sample, charset_name, guessed_codec, read_text
from store.message.message import parse_in_child, parse_message
from tests.amounts import amount

_FRENCH = "Voilà l'été à la plage, où nous étions très heureux d'être ensemble. Après le déjeuner, nous rentrâmes."
_POLISH = "Zauważyliśmy nietypową aktywność. Prosimy o potwierdzenie, w przeciwnym razie dostęp będzie zablokowany."
_RUSSIAN = "Мы заметили необычную активность в вашем счёте. Подтвердите свои данные до пятницы, иначе доступ закроют."
_GREEK = "Παρατηρήσαμε ασυνήθιστη δραστηριότητα στον λογαριασμό σας. Επιβεβαιώστε τα στοιχεία σας μέχρι την Παρασκευή."
_HEBREW = "שמנו לב לפעילות חריגה בחשבונך. אנא אשר את פרטיך עד יום שישי, אחרת הגישה תיחסם. היום מזג האוויר נפלא."
_CHINESE = (
    "我们发现您的账户有异常活动。请在星期五之前确认您的资料，否则访问权限将被关闭。今天天气很好，我们决定去公园散步。"
)
_JAPANESE = (
    "お使いのアカウントで通常とは異なる操作が確認されました。金曜日までに情報をご確認ください。今日は天気がいいです。"
)
_KOREAN = "귀하의 계정에서 비정상적인 활동이 발견되었습니다. 금요일까지 정보를 확인해 주십시오. 오늘은 날씨가 좋습니다."
_TEXTS = [
    (_FRENCH, "windows-1252"), (_POLISH, "windows-1250"), (_RUSSIAN, "windows-1251"), (_RUSSIAN, "koi8-r"),
    (_GREEK, "windows-1253"), (_HEBREW, "windows-1255"), (_CHINESE, "gb18030"), (_JAPANESE, "Shift_JIS"),
    (_JAPANESE, "EUC-JP"), (_KOREAN, "EUC-KR"),
]  # fmt: skip


def _message(text: bytes, content_type: str = "", subject: bytes = b"s") -> bytes:
    field = f"Content-Type: {content_type}\n".encode() if content_type else b""
    return b"Subject: " + subject + b"\n" + field + b"\n" + text + b"\n"


@pytest.mark.parametrize(("text", "charset"), _TEXTS, ids=[charset for _, charset in _TEXTS])
@pytest.mark.parametrize("declared", ["", "us-ascii", "x-unknown", "utf-8"])
def test_the_charset_is_guessed_where_none_or_no_possible_one_is_declared(
    text: str, charset: str, declared: str
) -> None:
    parsed = parse_message(_message(text.encode(charset), f"text/plain; charset={declared}" if declared else ""))
    assert parsed.text.strip() == text
    [problem] = parsed.problems
    assert problem.endswith(f"read as {charset} (a guess)")
    why = {"": "names no charset", "x-unknown": "says x-unknown, which is not a charset"}
    assert why.get(declared, f"says {declared}, which is wrong") in problem


@pytest.mark.parametrize(("text", "charset"), _TEXTS, ids=[charset for _, charset in _TEXTS])
@pytest.mark.parametrize("length", [3, 20, 1000])
def test_a_charset_that_is_declared_and_can_be_right_is_not_doubted(text: str, charset: str, length: int) -> None:
    text = (text * 10)[:length]
    parsed = parse_message(_message(text.encode(charset), f"text/plain; charset={charset}"))
    assert (parsed.text.strip(), parsed.problems) == (text.strip(), [])


@pytest.mark.parametrize(("text", "charset"), [(_RUSSIAN, "koi8-r"), (_GREEK, "windows-1253"), (_CHINESE, "gb18030")])
def test_a_charset_in_which_the_text_is_a_mess_is_doubted(text: str, charset: str) -> None:
    for declared in ("iso-8859-1", "windows-1252"):
        parsed = parse_message(_message(text.encode(charset), f"text/plain; charset={declared}"))
        assert parsed.text.strip() == text
        assert parsed.problems == [f"a part (text/plain) says {declared}, which is wrong; read as {charset} (a guess)"]


def test_utf_8_is_recognised_and_told_only_where_another_charset_is_declared() -> None:
    assert read_text(_RUSSIAN.encode(), "") == (_RUSSIAN, "utf-8", "")
    assert read_text(_RUSSIAN.encode(), "utf-8").note == ""
    for declared in ("iso-8859-1", "us-ascii", "koi8-r", "x-unknown"):
        text, _, note = read_text(_RUSSIAN.encode(), declared)
        assert text == _RUSSIAN
        assert note.endswith("read as UTF-8 (a guess)")
    assert read_text(b"20 \xc2\x80", "windows-1250") == ("20 Â€", "", "")


def test_a_few_damaged_bytes_are_no_other_charset() -> None:
    for text, charset in _TEXTS[6:]:
        damaged = text.encode(charset) + b"\xff "
        read = read_text(damaged, charset)
        assert read.text.startswith(text)
        assert read.note == ""
    damaged_utf8 = _RUSSIAN.encode()[:-1] + b"\xff"
    assert read_text(damaged_utf8, "utf-8").note == ""


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_a_byte_order_mark_declares(mark: str) -> None:
    data = _FRENCH.encode(mark) if mark != "utf-16-be" else b"\xfe\xff" + _FRENCH.encode(mark)
    assert read_text(data, "") == (_FRENCH, "", "")


def test_html_names_its_charset_itself_or_is_guessed() -> None:
    markup = "<html>{}<p style='color: red'>" + _RUSSIAN + "</p></html>"
    guessed = parse_message(_message(markup.format("").encode("koi8-r"), "text/html"))
    assert guessed.text == _RUSSIAN
    assert guessed.problems == ["a part (text/html) names no charset; read as koi8-r (a guess)"]
    named = parse_message(_message(markup.format("<meta charset=koi8-r>").encode("koi8-r"), "text/html"))
    assert (named.text, named.problems) == (_RUSSIAN, [])


def test_raw_bytes_in_the_header_are_read_as_the_text_is() -> None:
    subject = "Срочно: подтвердите"
    parsed = parse_message(_message(_RUSSIAN.encode("koi8-r"), subject=subject.encode("koi8-r")))
    assert parsed.headers[0] == ("Subject", subject)
    assert "the header holds raw bytes; read as koi8-r (a guess)" in parsed.problems
    for raw, problems in (
        (subject.encode(), []),
        (b"caf\xe9", ["the header holds raw bytes; read as windows-1252 (a guess)"]),
    ):
        assert parse_message(_message(b"body", subject=raw)).problems == problems


def test_the_child_guesses_within_its_limits() -> None:
    parsed = parse_in_child(_message(_GREEK.encode("cp1253")))
    assert (parsed.text.strip(), parsed.error) == (_GREEK, None)
    assert "read as windows-1253 (a guess)" in parsed.problems[0]


def test_only_what_needs_a_guess_loads_the_library() -> None:
    code = (
        "import sys; from store.message.message import parse_message, summarise\n"
        "raw = b'Subject: caf\\xe9\\n\\ncaf\\xe9 \\xe0 la carte \\xe9\\xe9'\n"
        "summarise(raw); parse_message('Subject: s\\n\\ncafé'.encode()); print('charset_normalizer' in sys.modules)\n"
        "parse_message(raw); print('charset_normalizer' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_a_library_that_fails_costs_the_guess_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise IndexError

    monkeypatch.setattr(charset_normalizer, "from_bytes", fail)
    assert read_text(_FRENCH.encode("cp1252"), "") == (
        _FRENCH,
        "cp1252",
        "names no charset; read as windows-1252 (a guess)",
    )


def test_little_is_no_ground_for_a_guess() -> None:
    assert guessed_codec(b"\xc1\xc2\xc3") == ""
    assert read_text(b"caf\xe9", "").text == "café"


def test_a_few_signs_are_no_ground_to_doubt_what_is_declared() -> None:
    assert read_text("©®™©®™".encode("cp1252"), "iso-8859-1") == ("©®™©®™", "", "")


@pytest.mark.parametrize("claimed", ["windows-1250", "iso-8859-2", "windows-1257"])
def test_words_of_the_text_do_not_sway_the_guess(claimed: str) -> None:
    text = f"charset={claimed} {_FRENCH}"
    assert read_text(text.encode("cp1252"), "").text == text


@given(
    st.binary(max_size=200), st.sampled_from(["", "us-ascii", "utf-8", "big5", "koi8-r", "utf-7", "utf-16", "hz", "x"])
)
@settings(max_examples=amount(70, 200), deadline=None)
def test_any_bytes_are_text_in_any_charset(data: bytes, declared: str) -> None:
    text, charset, note = read_text(data, declared)
    assert isinstance(text, str)
    assert not note or (charset_name(charset) in note and not data.isascii())


@given(
    st.lists(st.sampled_from([b"\xe9", b"a", b"<", b">", b"\n", b" ", b"word " * 50, b"\xc3\xa9" * 300]), max_size=60)
)
def test_a_sample_is_short_and_holds_what_is_not_ascii(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    sample = _sample(data)
    foreign = bytes(byte for byte in data if byte > 127)
    kept = bytes(byte for byte in sample if byte > 127)
    assert foreign.startswith(kept)
    assert kept == foreign or len(sample) <= SAMPLE_LIMIT + len(pieces)
    assert len(sample) <= len(data)
