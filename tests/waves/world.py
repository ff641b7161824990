"""The world of a wave: receiving firms, their partners, brands, services, shared hosts, networks."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from tests.waves.mime import Kit, kit
from tests.waves.words import LANGUAGES, Thought, shaped, thoughts, tongue


class Person(NamedTuple):
    """A person with a mailbox."""

    first: str
    last: str
    mailbox: str

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first} {self.last}"


class Company(NamedTuple):
    """A firm: its language, people, server, mailer, and the disclaimer below its letters ("" for none)."""

    name: str
    domain: str
    lang: str
    people: tuple[Person, ...]
    ip: str
    kit: Kit
    disclaimer: str


class Service(NamedTuple):
    """A mailing service: what all its mail has in common, whoever sends it."""

    domain: str
    network: str
    kit: Kit
    path: str
    footer: tuple[Thought, ...]


class Brand(NamedTuple):
    """A brand that campaigns imitate: real and forged notices share its boilerplate."""

    name: str
    domain: str
    boilerplate: tuple[Thought, ...]
    color: str


_ASCII = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ç": "c", "ş": "s", "ı": "i", "ł": "l", "ą": "a", "ę": "e"}
)


def ascii_of(text: str, rng: Random) -> str:
    """Convert `text` for use in an address; if nothing is left, draw letters."""
    kept = "".join(letter for letter in text.lower().translate(_ASCII) if letter.isascii() and letter.isalnum())
    return kept or shaped(rng, "<l4-8>")


def address(rng: Random) -> str:
    """Draw an IPv4 address."""
    return ".".join(
        str(part)
        for part in (rng.choice((23, 45, 62, 77, 89, 91, 103, 141, 185, 193, 212)), *rng.choices(range(1, 255), k=3))
    )


def network(rng: Random) -> str:
    """Draw the first three bytes of a /24, with the dot."""
    return address(rng).rpartition(".")[0] + "."


class World:
    """All participants of the wave `seed`."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        rng = Random(f"{seed}/world")
        self.own = [
            self._company(rng, lang, 40) for lang in ("en", "en", "de", "fr", "es", "it", "pl", "ru", "tr", "ja")
        ]
        self.partners = [self._company(rng, rng.choice(LANGUAGES), 5) for _ in range(45)]
        self.kits = [kit(rng) for _ in range(5)]
        self.rented = [network(rng) for _ in range(8)]
        self.clouds = [f"{self._word(rng)}.example" for _ in range(3)]
        self.shorteners = [f"{shaped(rng, '<l2>')}.{shaped(rng, '<l2>')}.example" for _ in range(2)]
        self.freemail = [f"{self._word(rng)}mail.example" for _ in range(3)]
        self.services = [self._service(rng, number) for number in range(3)]
        self.brands = [self._brand(rng, number) for number in range(14)]

    def _word(self, rng: Random) -> str:
        return ascii_of(tongue(self.seed, "en").coin(rng, 2, 3), rng)

    def domain(self, rng: Random) -> str:
        """Draw an unused domain of one to two words."""
        words = [self._word(rng) for _ in range(rng.choice((1, 1, 2)))]
        return (
            rng.choice(("", "-")).join(words)
            + rng.choice(("", "", shaped(rng, "<d1-2>"), "online", "-group"))
            + ".example"
        )

    def _company(self, rng: Random, lang: str, count: int) -> Company:
        domain = self.domain(rng)
        people = []
        for _ in range(count):
            first, last = tongue(self.seed, lang).person(rng)
            mailbox = f"{ascii_of(first, rng)}.{ascii_of(last, rng)}@{domain}"
            people.append(Person(first, last, mailbox))
        name = domain.partition(".")[0].title() + rng.choice((" Ltd", " GmbH", " SA", " Group", " & Co"))
        disclaimer = ""
        if rng.random() < 0.6:
            said = thoughts(rng, "disclaimer", rng.randint(4, 9))
            disclaimer = " ".join(tongue(self.seed, lang).say(rng, each) for each in said)
        return Company(name, domain, lang, tuple(people), address(rng), kit(rng), disclaimer)

    def _service(self, rng: Random, number: int) -> Service:
        path = rng.choice(("/ls/click?upn=<A60-110>", "/c/<A22>/<A8>", "/track/<d7>/<h32>", "/e3t/Ctc/<A40>"))
        return Service(
            f"{self._word(rng)}.example", network(rng), kit(rng), path, tuple(thoughts(rng, f"service{number}-", 3))
        )

    def _brand(self, rng: Random, number: int) -> Brand:
        name = self._word(rng).title()
        said = thoughts(rng, f"brand{number}-", rng.randint(5, 9), ("number", "date"))
        return Brand(name, f"{name.lower()}.example", tuple(said), "#" + shaped(rng, "<h6>"))

    def recipient(self, rng: Random, lang: str) -> tuple[Person, Company]:
        """Choose one of our recipients whose firm speaks `lang`, or anyone if none does."""
        firms = [firm for firm in self.own if firm.lang == lang] or self.own
        firm = rng.choice(firms)
        return rng.choice(firm.people), firm
