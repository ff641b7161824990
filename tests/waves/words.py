"""Words, names and sentences of nine languages, coined from a seed.

Function words and the conventions of mail ("Re:", "wrote:") are real; every content word is coined, so that a list of
words made for one seed is useless for another. A sentence is a thought: concepts and holes in an order. Every concept
has up to four synonyms per language, so a thought has many wordings that share few words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from random import Random

LANGUAGES = ("en", "de", "fr", "es", "it", "pl", "ru", "tr", "ja")

#: Onsets, nuclei, codas and endings of each language's syllables.
_SOUNDS = {
    "en": (
        "b br c cl d f fl g h j l m n p pr r s st t tr w sh",
        "a e i o u ea oo ai",
        "n r l t d ck st m",
        "er ing ed y ",
    ),
    "de": (
        "b br d f g gr h k kl l m n pf r s sch st t w z",
        "a e i o u ei au ä ö ie",
        "n r l t ch ck st ng",
        "en ung er ",
    ),
    "fr": ("b c ch d f g j l m n p pl qu r s t tr v", "a e i o u ou ai é eu oi", "n r l t s", "er ment tion ée e "),
    "es": ("b c ch d f g h j l ll m n p qu r s t v", "a e i o u ie ue á ó", "n r l s", "ar ción do dad o a "),
    "it": ("b c d f g gl l m n p r s sp st t tr v z", "a e i o u ia io", "n r l", "are zione to tà o a "),
    "pl": ("b ch cz d dz g j k kr l m n p prz r rz s sz t w z", "a e i o u y ą ę ó", "n r l k ł", "ać enie ek ość a "),
    "ru": ("б в г д ж з к кр л м н п пр р с ст т х ц ч ш", "а е и о у ы я ю", "н р л т к м", "ть ние ый ка ок "),
    "tr": ("b c ç d g h k l m n p r s ş t v y z", "a e ı i o ö u ü", "n r l k t m", "mak lık da ler "),
}
_KANJI = (
    "安案運営画会開確完管関期規記急業局金銀計決見件限現口告国在作産支市指紙資示事自質社者車手受住出所書商"
    "証場情信申数世成制税切設先選送前全総速存代達知着中注定提店点電度当登同特届日入認年配発番必表品付物分変保報方法本万無明面要利理流料録"
)
_KANA = "アイウエオカキクコサシスセタチテトナニネノハヒフマミメモラリルレロン"
_FUNCTION = {
    "en": "the a of to in and your our this that is will for with on by from has been please we you at not before",
    "de": "der die das und zu in mit Ihr unser dieses ist wird für auf von bitte wir Sie vor nicht ein den im noch",
    "fr": "le la les de à et en votre notre ce est sera pour sur par veuillez nous vous avant dans un une pas du",
    "es": "el la los de a y en su nuestro este es será para con por nosotros usted antes un una del no lo que",
    "it": "il la i di a e in suo nostro questo è sarà per con su da noi lei prima un una del non che gli",
    "pl": "w z na do i się nie to jest dla po od za nasz ten prosimy przed przez oraz który aby już tylko",
    "ru": "в на и не с по для от за ваш наш это будет мы вы до из при просим или как уже что",
    "tr": "ve bir bu için ile de da sizin bizim olan lütfen önce sonra kadar gibi en daha her",
    "ja": "の に は を が と で も から まで です ます ください",
}
#: reply, forward, greeting, closing, quoting line, unsubscribing, sent from, call to action
_CONVENTIONS = {
    "en": "Re|Fwd|Hello {first},|Kind regards|On {date}, {who} wrote:|Unsubscribe|Sent from my phone|Open",
    "de": "AW|WG|Hallo {first},|Viele Grüße|Am {date} schrieb {who}:|Abmelden|Von unterwegs gesendet|Öffnen",
    "fr": "RE|TR|Bonjour {first},|Cordialement|Le {date}, {who} a écrit :|Se désabonner|Envoyé de mon mobile|Ouvrir",
    "es": "RE|RV|Hola {first}:|Un saludo|El {date}, {who} escribió:|Darse de baja|Enviado desde mi móvil|Abrir",
    "it": "R|I|Gentile {first},|Saluti|Il {date} {who} ha scritto:|Annulla iscrizione|Inviato dal cellulare|Apri",
    "pl": "Odp|PD|Dzień dobry {first},|Pozdrawiam|{date} {who} pisze:|Wypisz się|Wysłane z telefonu|Otwórz",
    "ru": "Re|Fwd|Здравствуйте, {first}!|С уважением|{date} {who} пишет:|Отписаться|Отправлено с телефона|Открыть",
    "tr": "YNT|İLT|Merhaba {first},|Saygılar|{date} tarihinde {who} yazdı:|Abonelikten çık|Telefonumdan gönderildi|Aç",
    "ja": "Re|Fw|{first} 様|よろしくお願いいたします|{date} {who} のメール:|配信停止|スマートフォンから送信|開く",
}
_KEYS = ("reply", "forward", "greeting", "closing", "wrote", "unsubscribe", "sent_from", "open")
_HOLE = re.compile(r"\{(\w+)\}")
_SHAPE = re.compile(r"<([hHdaAl])(\d+)(?:-(\d+))?>")
_LETTERS = {
    "h": "0123456789abcdef",
    "H": "0123456789ABCDEF",
    "d": "0123456789",
    "a": "abcdefghijklmnopqrstuvwxyz0123456789",
    "A": "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789",
    "l": "abcdefghijklmnopqrstuvwxyz",
}

Thought = tuple[str, ...]


def shaped(rng: Random, template: str) -> str:
    """Replace each `<kind low-high>` of `INV-<d4-6>`: h, H hex, d digits, l letters, a, A letters and digits."""

    def drawn(match: re.Match[str]) -> str:
        length = rng.randint(int(match[2]), int(match[3] or match[2]))
        return "".join(rng.choices(_LETTERS[match[1]], k=length))

    return _SHAPE.sub(drawn, template)


def between_holes(text: str, change: Callable[[str], str]) -> str:
    """Change the text between the holes of `text`, and keep the holes."""
    return "".join(part if part.startswith("{") else change(part) for part in re.split(r"(\{\w+\})", text))


def filled(text: str, holes: Mapping[str, str]) -> str:
    """Replace each `{name}` in `text` by its value in `holes`; remove unknown names."""
    return _HOLE.sub(lambda match: holes.get(match[1], ""), text)


class Tongue:
    """One language of a wave."""

    def __init__(self, seed: int, code: str) -> None:
        self.code = code
        self._seed = seed
        self.function = _FUNCTION[code].split()
        self.conventions = dict(zip(_KEYS, _CONVENTIONS[code].split("|"), strict=True))
        rng = Random(f"{seed}/tongue/{code}")
        self._first = [self.coin(rng, 1, 2).capitalize() for _ in range(60)]
        self._last = [self.coin(rng, 2, 3).capitalize() for _ in range(120)]
        self._meanings: dict[str, list[str]] = {}

    def coin(self, rng: Random, low: int = 1, high: int = 3) -> str:
        """Coin a word of `low` to `high` syllables."""
        if self.code == "ja":
            if rng.random() < 0.25:
                return "".join(rng.choices(_KANA, k=low + 2))
            return "".join(rng.choices(_KANJI, k=rng.randint(max(low, 2), max(high, 2))))
        onsets, nuclei, codas, endings = (sounds.split(" ") for sounds in _SOUNDS[self.code])
        word = ""
        for _ in range(rng.randint(low, high)):
            word += rng.choice(onsets) + rng.choice(nuclei) + (rng.choice(codas) if rng.random() < 0.4 else "")
        return word + (rng.choice(endings) if len(word) > 3 and rng.random() < 0.6 else "")

    def person(self, rng: Random) -> tuple[str, str]:
        """Make a first and a last name."""
        return rng.choice(self._first), rng.choice(self._last)

    def meaning(self, concept: str) -> list[str]:
        """Return the synonyms for a concept, one to four: the same in all mail of the wave."""
        known = self._meanings.get(concept)
        if known is None:
            rng = Random(f"{self._seed}/{self.code}/{concept}")
            known = [self.coin(rng) for _ in range(rng.choice((1, 2, 2, 3, 3, 4)))]
            self._meanings[concept] = known
        return known

    def say(self, rng: Random, thought: Thought, reorder: float = 0.0, end: str = ".") -> str:
        """Make a sentence for `thought`; its halves swap with the probability `reorder`. Holes stay."""
        parts = list(thought)
        if len(parts) > 2 and rng.random() < reorder:
            cut = rng.randrange(1, len(parts))
            parts = parts[cut:] + parts[:cut]
        words = []
        for part in parts:
            if rng.random() < 0.8:
                words += rng.choices(self.function, k=rng.choice((1, 1, 2)))
            words.append(part if part.startswith("{") else rng.choice(self.meaning(part)))
        text = ("" if self.code == "ja" else " ").join(words)
        return text[:1].upper() + text[1:] + ("。" if self.code == "ja" and end == "." else end)

    def title(self, rng: Random, thought: Thought, reorder: float = 0.0) -> str:
        """Make a subject line."""
        return self.say(rng, thought, reorder, end="")


@cache
def tongue(seed: int, code: str) -> Tongue:
    """Make the language `code` of the wave `seed`."""
    return Tongue(seed, code)


def thoughts(rng: Random, topic: str, count: int, holes: tuple[str, ...] = (), own: str = "") -> list[Thought]:
    """Make `count` thoughts about `topic`: its concepts, everyday ones, a few of `own`, and every hole somewhere."""
    made: list[list[str]] = []
    for _ in range(count):
        concepts = []
        for _ in range(rng.randint(3, 7)):
            draw = rng.random()
            if draw < 0.45:
                concepts.append(f"{topic}{int(80 * rng.random() ** 2)}")
            elif draw < 0.88 or not own:
                concepts.append(f"common{int(900 * rng.random() ** 2.5)}")
            else:
                concepts.append(f"{own}{rng.randrange(25)}")
        made.append(concepts)
    for hole in holes:
        at = rng.choice(made)
        at.insert(rng.randint(1, len(at)), "{" + hole + "}")
    return [tuple(concepts) for concepts in made]
