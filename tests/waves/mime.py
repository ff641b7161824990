"""Messages assembled by hand in the manners of many mailers."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from random import Random

from tests.waves.files import File
from tests.waves.words import shaped

_MAILERS = (
    "Microsoft Outlook 16.0",
    "PHPMailer 6.<d1>.<d1>",
    "The Bat! v9.<d1>",
    "Apple Mail (2.37<d2>.<d2>)",
    "SendBlaster <d1>",
    "nodemailer",
    "Foxmail 7.2.<d2>",
    "Zimbra 9.0.0_GA_4<d3>",
    "Evolution 3.4<d1>",
    "Roundcube Webmail/1.6.<d1>",
    "",
    "",
    "",
)
_BOUNDARIES = (
    "----=_NextPart_000_<H4>_01D<H5>.<H8>",
    "----=_Part_<d6>_<d9>.<d13>",
    "--==_mimepart_<h24>",
    "<h32>",
    "b1_<A43>",
    "Apple-Mail=_<H8>-<H4>-<H4>-<H4>-<H12>",
    "_000_<H32>",
    "===============<d19>==",
    "--_com.mail_<d16>",
    "=_<h32>",
    "<A22>",
)
_MESSAGE_IDS = (
    "<A28>@{domain}",
    "<h32>@{domain}",
    "<d14>.<H10>@{host}",
    "CA<A48>@mail.{domain}",
    "<H8>-<H4>-<H4>-<H4>-<H12>@{domain}",
    "<d6>.<d10>@{host}",
    "0<h15>-<h8>-<h4>-<h4>-<h12>-000000@{domain}",
    "<l8>.<d4>@{domain}",
)
_CHARSETS = {
    "en": "iso-8859-1",
    "de": "iso-8859-1",
    "fr": "iso-8859-15",
    "es": "iso-8859-1",
    "it": "windows-1252",
    "pl": "iso-8859-2",
    "ru": "koi8-r",
    "tr": "iso-8859-9",
    "ja": "iso-2022-jp",
}


@dataclass(frozen=True)
class Kit:
    """The manner of one mailer: its templates, the order of its header, its charset and encodings."""

    mailer: str
    mailer_field: str
    boundary: str
    message_id: str
    order: tuple[str, ...]
    zone: int
    legacy: bool
    encoding: str
    words: str
    extra: tuple[tuple[str, str], ...] = ()


def kit(rng: Random) -> Kit:
    """Draw a mailer."""
    order = ["Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Reply-To", "extra", "mailer"]
    rng.shuffle(order)
    extra = [
        ("X-Priority", rng.choice(("1 (Highest)", "3", "1"))),
        ("Importance", "high"),
        ("X-Originating-IP", "[<d2>.<d2>.<d2>.<d2>]"),
        ("X-Report-Abuse", "<h16>"),
        ("Content-Language", "en-US"),
        ("Thread-Index", "AQ<A28>=="),
        ("X-PHP-Script", "mail.php"),
    ]
    return Kit(
        shaped(rng, rng.choice(_MAILERS)),
        rng.choice(("X-Mailer", "User-Agent")),
        rng.choice(_BOUNDARIES),
        rng.choice(_MESSAGE_IDS),
        tuple(order),
        rng.choice((0, 0, 60, 120, 180, -300, 480, -420, 330)),
        rng.random() < 0.25,
        rng.choice(("quoted-printable", "quoted-printable", "base64", "8bit")),
        rng.choice("BQ"),
        tuple(rng.sample(extra, rng.choice((0, 0, 1, 2)))),
    )


@dataclass
class Mail:
    """A message before it is written, with what its envelope and the scanners need."""

    kit: Kit
    when: datetime
    sender: str
    name: str
    to: str
    subject: str
    lang: str
    plain: str = ""
    html: str = ""
    files: list[File] = field(default_factory=list)
    envelope: str = ""
    reply_to: str = ""
    ip: str = ""
    helo: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)
    message_id: str = ""


def word(text: str, manner: str = "B") -> str:
    """Encode a header's text, as encoded words unless it is ASCII."""
    if text.isascii():
        return text
    pieces, piece = [], ""
    for letter in text:
        if len((piece + letter).encode()) > 36:
            pieces.append(piece)
            piece = ""
        piece += letter
    coded = []
    for each in (*pieces, piece):
        raw = each.encode()
        body = base64.b64encode(raw).decode() if manner == "B" else "".join(f"={byte:02X}" for byte in raw)
        coded.append(f"=?utf-8?{manner}?{body}?=")
    return "\n ".join(coded)


def address(name: str, mailbox: str, manner: str = "B") -> str:
    """Format `"Name" <mailbox>`, or only the mailbox if there is no name."""
    if not name:
        return mailbox
    return f'"{name}" <{mailbox}>' if name.isascii() else f"{word(name, manner)} <{mailbox}>"


def _text(kind: str, text: str, mail: Mail) -> bytes:
    charset = _CHARSETS[mail.lang] if mail.kit.legacy else "utf-8"
    try:
        data = text.encode(charset)
    except UnicodeEncodeError:
        charset, data = "utf-8", text.encode()
    encoding = mail.kit.encoding
    if max(map(len, data.split(b"\n"))) > 900 and encoding == "8bit":
        encoding = "quoted-printable"
    if encoding == "base64":
        data = base64.encodebytes(data)
    elif encoding == "quoted-printable":
        data = binascii.b2a_qp(data)
    head = f"Content-Type: text/{kind}; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n"
    return head.encode() + data.rstrip(b"\n") + b"\n"


def _file(file: File, mail: Mail) -> bytes:
    name = word(file.name, "B")
    place = (
        f'inline; filename="{name}"\nContent-ID: <{file.inline}>' if file.inline else f'attachment; filename="{name}"'
    )
    head = (
        f'Content-Type: {file.kind}; name="{name}"\nContent-Transfer-Encoding: base64\nContent-Disposition: {place}\n\n'
    )
    return head.encode() + base64.encodebytes(file.data)


def _joined(rng: Random, kind: str, parts: list[bytes], mail: Mail) -> bytes:
    if len(parts) == 1:
        return parts[0]
    mark = shaped(rng, mail.kit.boundary)
    head = f'Content-Type: multipart/{kind}; boundary="{mark}"\n\n'.encode()
    between = f"--{mark}\n".encode()
    return head + b"".join(between + part.rstrip(b"\n") + b"\n\n" for part in parts) + f"--{mark}--\n".encode()


def written(rng: Random, mail: Mail) -> bytes:
    """Write the message as its sender did, header and body; add a Message-ID if it has none."""
    domain = mail.sender.rpartition("@")[2]
    if not mail.message_id:
        filled = mail.kit.message_id.format(domain=domain, host=mail.helo or domain)
        mail.message_id = f"<{shaped(rng, filled)}>"
    texts = [_text(kind, text, mail) for kind, text in (("plain", mail.plain), ("html", mail.html)) if text]
    inline = [_file(file, mail) for file in mail.files if file.inline]
    others = [_file(file, mail) for file in mail.files if not file.inline]
    body = _joined(rng, "alternative", texts, mail)
    body = _joined(rng, "mixed", [_joined(rng, "related", [body, *inline], mail), *others], mail)
    manner = mail.kit.words
    local = mail.when.astimezone(timezone(timedelta(minutes=mail.kit.zone)))
    values = {
        "Date": format_datetime(local),
        "From": address(mail.name, mail.sender, manner),
        "To": mail.to,
        "Subject": word(mail.subject, manner),
        "Message-ID": mail.message_id,
        "MIME-Version": "1.0",
        "Reply-To": mail.reply_to,
    }
    lines = []
    for name in mail.kit.order:
        if name == "extra":
            lines += [f"{key}: {shaped(rng, value)}" for key, value in mail.kit.extra]
            lines += [f"{key}: {value}" for key, value in mail.fields]
        elif name == "mailer":
            lines += [f"{mail.kit.mailer_field}: {mail.kit.mailer}"] if mail.kit.mailer else []
        elif values[name]:
            lines.append(f"{name}: {values[name]}")
    return "\n".join(lines).encode() + b"\n" + body
