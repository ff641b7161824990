"""Changes to a text that make each copy different."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.waves.words import shaped

_LOOK_ALIKES = {
    "a": "аɑ",
    "c": "ϲс",
    "e": "еҽ",
    "i": "іı",
    "j": "ј",
    "o": "оοօ",
    "p": "рρ",
    "s": "ѕ",
    "x": "хⅹ",
    "y": "уү",
    "h": "һ",
    "d": "ԁ",
    "A": "АΑ",
    "B": "ВΒ",
    "C": "СϹ",
    "E": "ЕΕ",
    "H": "НΗ",
    "I": "ІΙ",
    "K": "КΚ",
    "M": "МΜ",
    "O": "ОΟ",
    "P": "РΡ",
    "T": "ТΤ",
    "X": "ХΧ",
    "а": "a",
    "е": "e",
    "о": "o",
    "р": "p",
    "с": "c",
    "х": "x",
    "у": "y",
    "カ": "力",
    "ロ": "口",
    "ニ": "二",
    "一": "ー",
}
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u180e"


def homoglyphs(rng: Random, text: str, share: float = 0.12) -> str:
    """Replace about `share` of the letters of `text` that have look-alikes."""
    return "".join(
        rng.choice(_LOOK_ALIKES[letter]) if letter in _LOOK_ALIKES and rng.random() < share else letter
        for letter in text
    )


def invisible(rng: Random, text: str, share: float = 0.08) -> str:
    """Insert zero-width characters between about `share` of the letters of `text`."""
    return "".join(
        letter + rng.choice(_INVISIBLE) if letter.isalpha() and rng.random() < share else letter for letter in text
    )


def split_words(rng: Random, html: str, share: float = 0.15) -> str:
    """Convert to HTML with some words split by empty tags."""
    cuts = ("<span></span>", "<b></b>", "<wbr>", "<!-- -->", '<font size="0"></font>', "<i></i>")
    words = html.split(" ")
    for at, word in enumerate(words):
        if len(word) > 4 and word.isalpha() and rng.random() < share:
            middle = rng.randrange(2, len(word) - 1)
            words[at] = word[:middle] + rng.choice(cuts) + word[middle:]
    return " ".join(words)


def buster(rng: Random, coin: Callable[[Random], str]) -> str:
    """Make a meaningless line: digits, letters or coined words."""
    manner = rng.randrange(3)
    if manner == 0:
        return shaped(rng, "<A16-60>")
    if manner == 1:
        return shaped(rng, "<H6>-<d5-9>-<a4-12> <d6>")
    return " ".join(coin(rng) for _ in range(rng.randint(5, 30)))


def shuffled(rng: Random, paragraphs: list[list[str]]) -> list[list[str]]:
    """Reorder paragraphs, and the sentences in each."""
    mixed = [rng.sample(each, len(each)) for each in paragraphs]
    rng.shuffle(mixed)
    return mixed


def dropped(rng: Random, paragraphs: list[list[str]]) -> list[list[str]]:
    """Keep about two thirds of the paragraphs, at least one."""
    return [each for each in paragraphs if rng.random() < 0.67] or paragraphs[:1]


def html_page(look: Random, rng: Random, blocks: list[str], title: str, classes: bool) -> str:
    """Put blocks of HTML in a page: `look` draws tags, nesting and styles; with `classes`, `rng` draws class names."""
    names = rng if classes else look
    wrap = look.choice(("table", "table", "div", "section"))
    tone, pale = shaped(look, "#<h6>"), shaped(look, "#f<d1>f<d1>f<d1>")
    family = look.choice(("Arial", "Helvetica,sans-serif", "Segoe UI", "Verdana", "Georgia,serif", "Calibri"))
    unit = f"{look.randint(12, 17)}{look.choice(('px', 'px', 'pt'))}"
    cell = look.choice(("p", "div", "td", "p"))
    attributes = [
        f'style="font-family:{family};font-size:{unit};color:{tone}"',
        f'class="{shaped(names, "<l2-7>-<a2-5>")}"',
    ]
    look.shuffle(attributes)
    inner = ""
    for block in blocks:
        written = f"<{cell} {' '.join(attributes)}>{block}</{cell}>"
        inner += (
            f"<tr>{written if cell == 'td' else f'<td>{written}</td>'}</tr>\n" if wrap == "table" else written + "\n"
        )
    head = f'{wrap} width="{look.randint(480, 700)}" bgcolor="{pale}" id="{shaped(names, "<l1><a3-9>")}"'
    page = f"<{head}>\n{inner}</{wrap}>"
    for _ in range(look.randint(0, 3)):
        page = look.choice(
            (
                "<div>{}</div>",
                "<center>{}</center>",
                '<div style="padding:{{}}px">{}</div>'.replace("{{}}", str(look.randint(4, 40))),
            )
        ).format(page)
    if look.random() < 0.6:
        head = f'<head><title>{title}</title><meta charset="utf-8"></head>'
        page = f'<html>{head}<body bgcolor="{pale}">{page}</body></html>'
    return page
