"""Who writes to whom in the demo: a company at example.org, its partners, and those who pretend to be someone."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from random import Random
from typing import NamedTuple

from tui.demo.languages import Language


class Person(NamedTuple):
    """A name as it is displayed, and an address."""

    name: str
    address: str


class Brand(NamedTuple):
    """A made-up company that phishing imitates: its name, its own domain, and domains that look like it."""

    name: str
    domain: str
    lookalikes: tuple[str, ...]


STAFF = (
    Person("Anna Lindqvist", "anna.lindqvist@example.org"),
    Person("Tom Bakker", "tom.bakker@example.org"),
    Person("Zoë Marchand", "zoe.marchand@example.org"),
    Person("Rainer Köhler", "rainer.koehler@example.org"),
    Person("Ioana Petrescu", "ioana.petrescu@example.org"),
    Person("Samuel Adeyemi", "samuel.adeyemi@example.org"),
    Person("Mei Tanaka", "mei.tanaka@example.org"),
    Person("Piotr Wróbel", "piotr.wrobel@example.org"),
    Person("Clara Núñez", "clara.nunez@example.org"),
    Person("Dmitri Volkov", "dmitri.volkov@example.org"),
    Person("Ines Albrecht", "ines.albrecht@example.org"),
    Person("Jonas Fischer", "jonas.fischer@example.org"),
    Person("Leila Haddad", "leila.haddad@example.org"),
    Person("Oskar Nyman", "oskar.nyman@example.org"),
    Person("Ruth Feldman", "ruth.feldman@example.org"),
    Person("Viktor Hall", "viktor.hall@berlin.example.org"),
    Person("Yuki Mori", "yuki.mori@tokyo.example.org"),
    Person("Nadia Rahman", "nadia.rahman@example.org"),
)
FINANCE = (
    Person("Accounts Payable", "ap@example.org"),
    Person("Payroll", "payroll@example.org"),
    Person("Ines Albrecht", "ines.albrecht@example.org"),
)
BOARD = (
    Person("Ruth Feldman", "ruth.feldman@example.org"),
    Person("Office of the Board", "board@example.org"),
)
SHARED = (
    Person("", "info@example.org"),
    Person("", "sales@example.org"),
    Person("Jobs", "jobs@example.org"),
    Person("", "support@example.org"),
    Person("All staff", "all@example.org"),
    Person("Purchasing", "purchasing@example.org"),
)

#: The first letters of some look-alikes are Cyrillic or Greek: that is what they are here for.
BRANDS = (
    Brand(
        "Aldermoor Bank",
        "aldermoor-bank.example",
        (
            "аldermoor-bank.example",
            "aldermoor-bänk.example",
            "aldermoor-bank.secure-login.example",
            "alderrnoor-bank.example",
        ),
    ),
    Brand(
        "Parcelwing",
        "parcelwing.example",
        ("pаrcelwing.example", "parcelwìng.example", "parcelwing-tracking.example", "parce1wing.example"),
    ),
    Brand(
        "Fernpay",
        "fernpay.example",
        ("fernраy.example", "fernpay.account-review.example", "fempay.example", "fernpaу.example"),
    ),
    Brand(
        "Officedock", "officedock.example", ("οfficedock.example", "officed0ck.example", "officedock.signin.example")
    ),
    Brand("Cloudattic", "cloudattic.example", ("сloudattic.example", "cloud-attic.example", "cloudatticc.example")),
    Brand("Example IT", "example.org", ("example.org.helpdesk.example", "exаmple-org.test", "example-0rg.test")),
)

SPAM_DOMAINS = (
    "offers.example",
    "mega-deals.example",
    "best-price-now.test",
    "news.bargains.example",
    "lucky-winner.test",
    "mailer7.example.net",
    "promo.fashion-outlet.example",
    "health-wonder.test",
    "quick-credit.example",
    "led-factory.example",
    "seo-heroes.test",
    "cheap-meds.invalid",
)
PARTNER_DOMAINS = (
    "northwind-partners.example",
    "hanse-logistik.example",
    "atelier-lumiere.example",
    "construcciones-sol.example",
    "tokyo-parts.example",
    "ostrava-metal.example",
    "example.com",
    "example.net",
    "university.example",
    "city-council.example",
)
BULK_SENDERS = (
    Person("Weekly Harvest", "newsletter@weekly-harvest.example"),
    Person("Trainline Digest", "digest@rail-news.example"),
    Person("Bücherstube", "neues@buecherstube.example"),
    Person("The Maker Post", "hello@maker-post.example"),
    Person("Conference Alerts", "alerts@conf-calls.example"),
    Person("Kitchen & Garden", "offers@kitchen-garden.example"),
)

_PARCELS = ("parcel", "colis", "pakket", "paczka", "荷物", "包裹")
_MAILBOXES = ("mailbox", "casella", "ящик", "邮箱")


def brand_for(subject: str, rng: Random) -> Brand:
    """The company that a phishing message of that subject would imitate."""
    lowered = subject.lower()
    if any(word in lowered for word in _PARCELS):
        return BRANDS[1]
    if any(word in lowered for word in _MAILBOXES):
        return rng.choice(BRANDS[3:5] if "mailbox" not in lowered else BRANDS[3:])
    return BRANDS[5] if "payroll" in lowered else rng.choice((BRANDS[0], *BRANDS[2:5]))


def idna(domain: str) -> str:
    """The domain as it stands in a message: each label that is not ASCII as punycode."""
    return domain.encode("idna").decode()


@lru_cache(maxsize=4096)
def local_part(name: str) -> str:
    """`Jürgen Groß` -> `jurgen.gross`; a name in another script becomes letters and digits that depend on it."""
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
    """Someone from outside who writes in that language."""
    name = language.full_name(rng.choice(language.given), rng.choice(language.family))
    return Person(name, f"{local_part(name)}@{rng.choice(domains)}")


def client_address(rng: Random) -> str:
    """The address of a server out of the blocks that are reserved for documentation."""
    if rng.random() < 0.12:
        return f"2001:db8:{rng.randrange(0x1000, 0xFFFF):x}::{rng.randrange(1, 0xFFFF):x}"
    return f"{rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{rng.randrange(1, 255)}"
