"""Bodies of the demo's messages: plain letters, newsletters, phishing pages, spam."""

from __future__ import annotations

import html
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import NamedTuple

from tui.demo.languages import Language, Text
from tui.demo.mime import Part, text_part
from tui.demo.people import Brand, idna
from tui.demo.texts.reading import Table, read

WEEK = 7 * 86_400_000


class _Topic(Table, frozen=True):
    title: str
    teaser: str


class _Words(Table, frozen=True):
    months: tuple[str, ...]
    noise: str
    shouts: tuple[str, ...]
    latin: str
    cyrillic: str
    topic: tuple[_Topic, ...]


@cache
def _words() -> _Words:
    return read("letters.toml", _Words)


def _noise(rng: Random, count: int) -> str:
    """Make `count` meaningless words."""
    return " ".join(rng.choices(_words().noise.split(), k=count))


class Letter(NamedTuple):
    """A subject and a body. `shown` is the host that a link displays, `target` the one it opens."""

    subject: str
    body: Part
    shown: str = ""
    target: str = ""


def fill(text: str, values: dict[str, str]) -> str:
    """Fill in the placeholders of `text`."""
    return text.format_map(values) if "{" in text else text


def values_for(language: Language, rng: Random, link: str, name: str, moment: int) -> dict[str, str]:
    """Choose numbers, sums and dates for a message; dates are around `moment` (Unix ms)."""
    day = datetime.fromtimestamp(moment / 1000, UTC) + timedelta(days=rng.randrange(-6, 25))
    if language.code in ("zh", "zh-tw", "ja", "ko"):
        date = f"{day:%Y-%m-%d}"
    elif language.code == "en":
        date = f"{_words().months[day.month - 1]} {day.day}"
    else:
        date = f"{day.day}.{day.month}.{day.year}"
    amount = f"{language.currency}{rng.choice((49, 89, 120, 349, 780, 1250, 4900, 18500, 250000)) + rng.randrange(9):,}"
    return {"n": str(rng.randrange(15, 95)), "amount": amount, "date": date, "link": link, "name": name}


def paragraphs(text: Text, values: dict[str, str]) -> list[str]:
    """Fill in the placeholders of all paragraphs."""
    return [fill(paragraph, values) for paragraph in text.paragraphs]


def plain(text: Text, values: dict[str, str], charset: str, rng: Random) -> Letter:
    """Write a letter in plain text."""
    body = "\n\n".join(paragraphs(text, values)) + "\n"
    return Letter(fill(text.subject, values), text_part(body, charset, rng))


def spam(text: Text, values: dict[str, str], charset: str, rng: Random) -> Letter:
    """Write loud HTML that hides words from the reader but not from filters."""
    lines = "".join(
        f'<p style="font:bold 18px Arial;color:#c00"><a href="{line}">{line}</a></p>'
        if line.startswith("http")
        else f"<p>{html.escape(line)}</p>"
        for line in paragraphs(text, values)
    )
    noise = _noise(rng, 40)
    page = (
        f'<html><head><meta http-equiv="Content-Type" content="text/html; charset={charset}"></head>'
        f'<body bgcolor="#ffffff"><center>{lines}</center>\n'
        f'<font size="1" color="#fffffe">{noise}</font>\n<div style="display:none">{noise[::-1]}</div></body></html>\n'
    )
    return Letter(fill(text.subject, values), text_part(page, charset, rng, subtype="html"))


def phishing(text: Text, values: dict[str, str], charset: str, brand: Brand, rng: Random) -> Letter:
    """Write a page in a company's name; its link shows one address and opens another."""
    target = idna(rng.choice(brand.lookalikes))
    scheme, path = "https" if rng.random() < 0.7 else "http", rng.choice(("login", "verify", "id", "secure/pay"))
    url = f"{scheme}://{target}/{path}?s={rng.getrandbits(40):x}"
    shown = f"https://{brand.domain}/account"
    button = f'<a href="{url}" style="background:#0b5;color:#fff;padding:10px 18px">{shown}</a>'
    lines = "".join(
        f"<p>{html.escape(fill(line, {**values, 'link': chr(0)})).replace(chr(0), button)}</p>"
        for line in text.paragraphs
    )
    if url not in lines:
        lines += f"<p>{button}</p>"
    hidden = _noise(rng, 25)
    page = (
        f'<!DOCTYPE html>\n<html><head><meta charset="{charset}"><title>{brand.name}</title></head>\n'
        f'<body style="font-family:Helvetica,Arial"><table width="600" align="center"><tr><td>\n'
        f'<h2 style="color:#0a3d62">{brand.name}</h2>\n{lines}\n'
        f'<span style="font-size:0;line-height:0;color:transparent">{hidden}</span>\n'
        f'<p style="color:#888;font-size:11px">{brand.name} · <a href="{url}&u=1">{brand.domain}</a></p>\n'
        "</td></tr></table></body></html>\n"
    )
    subject = fill(text.subject, values)
    return Letter(subject, text_part(page, charset, rng, subtype="html"), brand.domain, target)


def newsletter(name: str, host: str, rng: Random, moment: int) -> tuple[str, str, str]:
    """Write a newsletter's subject, plain text and HTML, with missing pictures and a tracking pixel."""
    issue = moment // WEEK - 2_700
    topics = Random(f"{name} {issue}").sample(_words().topic, 3)
    year = datetime.fromtimestamp(moment / 1000, UTC).year
    subject = f"{topics[0].title} · {name} no. {issue}"
    token = f"{rng.getrandbits(48):x}"
    lines = [f"{name}, issue {issue}", ""]
    cells = []
    for number, topic in enumerate(topics):
        url = f"https://{host}/{issue}/{number}?r={token}"
        lines += [topic.title.upper(), topic.teaser, url, ""]
        cells.append(
            f'<tr><td style="padding:16px 24px"><img src="https://{host}/img/{issue}-{number}.jpg" width="552" alt="">'
            f'<h2 style="font:22px Georgia,serif;margin:12px 0 6px">{html.escape(topic.title)}</h2>'
            f'<p style="font:15px/1.5 Georgia,serif;color:#333">{html.escape(topic.teaser)} '
            f'<a href="{url}">Read&nbsp;more&nbsp;&rarr;</a></p></td></tr>\n'
        )
    lines += [f"You receive this because you subscribed. Leave: https://{host}/leave?r={token}", ""]
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><style>a{color:#06c}@media(max-width:600px)'
        '{table{width:100%!important}}</style></head>\n<body style="margin:0;background:#f4f1ea">'
        '<table width="600" align="center" cellpadding="0" style="background:#fff">\n'
        f'<tr><td style="padding:24px;font:italic 28px Georgia,serif">{html.escape(name)}</td></tr>\n{"".join(cells)}'
        f'<tr><td style="padding:24px;font:11px Arial;color:#999">&copy; {year} {html.escape(name)}. '
        f'<a href="https://{host}/leave?r={token}">Unsubscribe</a></td></tr></table>'
        f'<img src="https://{host}/open.gif?r={token}" width="1" height="1" alt=""></body></html>\n'
    )
    return subject, "\n".join(lines), page


def obfuscated(subject: str, rng: Random) -> str:
    """Obfuscate the subject as spammers do to get past filters."""
    turn = rng.random()
    if turn < 0.12:
        return subject.upper()
    if turn < 0.2:
        return f"{rng.choice(_words().shouts)} {subject} {rng.choice(('🔥', '!!!', '👉', ''))}".rstrip()
    if turn < 0.24:
        return "\u200b".join(subject)
    if turn < 0.28:
        return " ".join(subject[:24])
    if turn < 0.32:
        return subject.translate(str.maketrans(_words().latin, _words().cyrillic))
    return f"Re: {subject}" if turn < 0.38 else subject
