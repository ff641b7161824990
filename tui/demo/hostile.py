"""Messages that attack their reader: escape sequences, markup, bidi overrides, absurd sizes and structures.

A real Backup holds such mail, so the demo does too; the console must show all of it as harmless text.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from random import Random

from store.terms.verdicts import Status
from tui.demo.files import executable
from tui.demo.mime import Header, Part, attachment_part, base64_lines, message

_PLAIN = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


def _word(data: bytes | str) -> bytes:
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return b"=?utf-8?B?" + base64.b64encode(raw) + b"?="


def _text(text: str) -> Part:
    return Part(_PLAIN, text.replace("\n", "\r\n").encode())


def _escapes(headers: list[Header]) -> bytes:
    subject = _word("\x1b]0;owned\x07\x1b[2J\x1b[31mYour terminal is mine\x1b[0m")
    body = (
        "\x1b]52;c;cm0gLXJmIH4=\x07 was put on your clipboard.\n\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\\n"
    )
    return message([*headers, ("Subject", subject)], _text(body + "\x9b31m C1 \x9b0m \x07\x08\x08\x7f\n"))


def _markup(headers: list[Header]) -> bytes:
    subject = b"[@click=app.quit]Win a phone[/] [bold red]now[/bold red]"
    return message([*headers, ("Subject", subject)], _text("[link=https://evil.example]x[/link] [[/]] [/foo]\n"))


def _stray_tag(headers: list[Header]) -> bytes:
    return message([*headers, ("Subject", b"Re: [/foo] [$accent] [[unclosed")], _text("[/]\n"))


def _bidi(headers: list[Header]) -> bytes:
    part = attachment_part(
        "invoice_\u202efdp.exe", "application/pdf", base64_lines(executable(Random(7), 900)), "utf-8"
    )
    body = b"--b\r\n" + _PLAIN + b"\r\nSee the PDF.\r\n--b\r\n" + part.head + b"\r\n" + part.body + b"--b--\r\n"
    subject = _word("Payment \u202e0002 RUE\u202c confirmed \u2066\u2067x\u2069")
    return message([*headers, ("Subject", subject)], Part(b"Content-Type: multipart/mixed; boundary=b\r\n", body))


def _giant_subject(headers: list[Header]) -> bytes:
    subject = b"\r\n ".join(_word(f"Endless offer {number}, ") for number in range(1500))
    return message([*headers, ("Subject", subject)], _text("The subject says it all.\n"))


def _stacked_marks(headers: list[Header]) -> bytes:
    stacked = "".join(letter + "\u0335\u0321\u0322\u0327\u0316\u0317\u0301\u0308\u030c" * 4 for letter in "Verify now")
    zero_width = "\u200b\u200d\u2060".join("Free gift")
    return message([*headers, ("Subject", _word(f"{stacked} {zero_width}\ufeff"))], _text(stacked + "\n"))


def _raw_bytes(headers: list[Header]) -> bytes:
    subject = "Überweisung für März".encode("latin-1") + b" \x80\xff"
    return message([*headers, ("Subject", subject)], Part(b"Content-Type: text/plain\r\n", b"Gr\xfc\xdfe\r\n"))


def _nul_and_returns(headers: list[Header]) -> bytes:
    return message([*headers, ("Subject", b"first\rsecond\x00third\x0bfourth\x0cfifth")], _text("a\rb\x00c\n"))


def _climbing_name(headers: list[Header]) -> bytes:
    name = _word("../../../../etc/cron.d/update\x00.txt")
    head = (
        b'Content-Type: text/plain; name="'
        + name
        + b'"\r\nContent-Disposition: attachment; filename="'
        + name
        + b'"\r\n'
    )
    body = b"--b\r\n" + _PLAIN + b"\r\nSave me.\r\n--b\r\n" + head + b"\r\nnothing\r\n--b--\r\n"
    return message(
        [*headers, ("Subject", b"Your configuration update")],
        Part(b"Content-Type: multipart/mixed; boundary=b\r\n", body),
    )


def _nested(headers: list[Header]) -> bytes:
    body = _PLAIN + b"\r\nThe bottom.\r\n"
    for depth in range(120):
        edge = b"x%d" % depth
        body = b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n%s\r\n--%s--\r\n" % (edge, edge, body, edge)
    head, _, rest = body.partition(b"\r\n\r\n")
    return message([*headers, ("Subject", b"A parcel in a parcel in a parcel")], Part(head + b"\r\n", rest))


def _crowd(headers: list[Header]) -> bytes:
    crowd = b",\r\n ".join(b'"Reader %d" <reader%d@list.example>' % (number, number) for number in range(3000))
    kept = [header for header in headers if header[0] != "To"]
    return message([*kept, ("To", crowd), ("Subject", b"To all three thousand of you")], _text("Hello.\n"))


def _address_as_name(headers: list[Header]) -> bytes:
    kept = [header for header in headers if header[0] != "From"]
    sender = b'"Ruth Feldman <ruth.feldman@example.org>" <ceo.private@mail-free.test>'
    text = "Are you at your desk? I need a payment made today, quietly.\n\nRuth\nSent from my phone\n"
    return message([*kept, ("From", sender), ("Subject", b"Quick favour")], _text(text))


def _broken_words(headers: list[Header]) -> bytes:
    subject = b"=?x-no-such-charset?B?AAA?= =?utf-8?B?!!!!?= =?utf-8?Q?=ZZ=f?= =?iso-2022-jp?B?GyRC?= =?utf-8?B?"
    return message(
        [*headers, ("Subject", subject)], Part(b"Content-Type: text/plain; charset=x-none\r\n", b"\xfe\xfe\r\n")
    )


def _emoji(headers: list[Header]) -> bytes:
    subject = _word("👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 1️⃣ ﷽ 𓀀𓂀 Ｗｉｄｅ ｶﾅ \u1160\u3164 end")
    return message([*headers, ("Subject", subject)], _text("👩🏽‍🚀 wide and narrow ﷽\n"))


def _impossible_date(headers: list[Header]) -> bytes:
    kept = [header for header in headers if header[0] != "Date"]
    return message([*kept, ("Date", b"Thu, 32 Foo 99999 25:61:61 +9999"), ("Subject", b"")], _text("When was this?\n"))


def _no_header(_headers: list[Header]) -> bytes:
    return b"This file never had a header: it is what a broken script sent.\r\n\r\nFrom here on it is text.\r\n"


Maker = Callable[[list[Header]], bytes]

#: Pairs of a function that makes a hostile message, and the status that an engine gave it.
HOSTILE: tuple[tuple[Maker, Status], ...] = (
    (_escapes, Status.SPAM),
    (_markup, Status.PROBABLE_SPAM),
    (_stray_tag, Status.SPAM),
    (_bidi, Status.INFECTED),
    (_giant_subject, Status.SPAM),
    (_stacked_marks, Status.PHISHING),
    (_raw_bytes, Status.SPAM),
    (_nul_and_returns, Status.PROBABLE_SPAM),
    (_climbing_name, Status.BANNED_FILE_NAME),
    (_nested, Status.PROBABLE_SPAM),
    (_crowd, Status.SPAM),
    (_address_as_name, Status.PHISHING),
    (_broken_words, Status.SPAM),
    (_emoji, Status.SPAM),
    (_impossible_date, Status.PROBABLE_SPAM),
    (_no_header, Status.SPAM),
)
