"""The people of the demo: a company at example.org, its partners, and impostors."""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache
from random import Random

from tui.demo.languages import Language
from tui.demo.texts.reading import Table, read


class Person(Table, frozen=True):
    """A display name and an address."""

    name: str
    address: str


class Brand(Table, frozen=True):
    """A made-up company that phishing imitates: its name, its domain, and look-alike domains."""

    name: str
    domain: str
    lookalikes: tuple[str, ...]


class People(Table, frozen=True):
    """All people with fixed names; `outsider` makes up the others."""

    staff: tuple[Person, ...]
    finance: tuple[Person, ...]
    board: tuple[Person, ...]
    shared: tuple[Person, ...]
    bulk: tuple[Person, ...]
    spam_domains: tuple[str, ...]
    partner_domains: tuple[str, ...]
    parcel_words: tuple[str, ...]
    mailbox_words: tuple[str, ...]
    brand: tuple[Brand, ...]


@cache
def people() -> People:
    """Load all people."""
    return read("people.toml", People)


def brand_for(subject: str, rng: Random) -> Brand:
    """Choose the company that phishing with this subject imitates."""
    lowered = subject.lower()
    known, brands = people(), people().brand
    if any(word in lowered for word in known.parcel_words):
        return brands[1]
    if any(word in lowered for word in known.mailbox_words):
        return rng.choice(brands[3:5] if "mailbox" not in lowered else brands[3:])
    return brands[5] if "payroll" in lowered else rng.choice((brands[0], *brands[2:5]))


def idna(domain: str) -> str:
    """Write a domain as in a message: non-ASCII labels in punycode."""
    return domain.encode("idna").decode()


@lru_cache(maxsize=4096)
def local_part(name: str) -> str:
    """Convert `Jürgen Groß` to `jurgen.gross`; a name in another script becomes letters and digits derived from it."""
    decomposed = unicodedata.normalize(
        "NFKD", name.replace("ß", "ss").replace("Ł", "L").replace("ł", "l").replace("ı", "i")
    )
    plain = "".join(
        character for character in decomposed if character.isascii() and (character.isalnum() or character == " ")
    )
    if len(plain.replace(" ", "")) < len(name) // 2:
        return f"user{sum(ord(character) * 31**at for at, character in enumerate(name)) % 10**6}"
    return ".".join(plain.lower().split())


def outsider(language: Language, rng: Random, domains: tuple[str, ...]) -> Person:
    """Make up an external person who writes in that language."""
    name = language.full_name(rng.choice(language.given), rng.choice(language.family))
    return Person(name, f"{local_part(name)}@{rng.choice(domains)}")


def client_address(rng: Random) -> str:
    """Choose a server address from the blocks reserved for documentation."""
    if rng.random() < 0.12:
        return f"2001:db8:{rng.randrange(0x1000, 0xFFFF):x}::{rng.randrange(1, 0xFFFF):x}"
    return f"{rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{rng.randrange(1, 255)}"
