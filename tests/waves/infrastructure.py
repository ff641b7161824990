"""The senders of a campaign's messages and the targets of their links, by the campaign's operators."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import NamedTuple, Protocol

from tests.waves.mime import Kit, kit
from tests.waves.words import shaped, tongue
from tests.waves.world import Brand, Company, Person, World, address, ascii_of, network

_PATHS = (
    "/{w}/<a6-10>",
    "/<a8>/{w}.php?id=<d6-9>",
    "/?<l1>=<A16-30>",
    "/{w}/<d4>/<h12>/{w2}",
    "/<A9>",
    "/{w}-{w2}/?ref=<H8>",
    "/{w2}/index.html#<A20>",
    "/p/<h24>",
)
_HACKED = (
    "/wp-content/plugins/{w}/<l4-7>.php",
    "/wp-includes/css/{w2}/<a8>/",
    "/.well-known/{w}/<a5>",
    "/modules/mod_{w}/tmpl/<l6>.html",
)
_CLOUD = ("/s/<A15>/{w}?dl=0", "/file/d/<A33>/view", "/:b:/g/personal/<a12>/<A46>")


class Origin(NamedTuple):
    """The stated sender of a message, its envelope and client, and the mailer that wrote it."""

    name: str
    mailbox: str
    envelope: str
    ip: str
    helo: str
    kit: Kit
    fields: tuple[tuple[str, str], ...] = ()
    firm: Company | None = None


class Owner(Protocol):
    """The infrastructure of a campaign: its operators, and its constant random sources."""

    world: World
    ops: dict[str, list[str]]
    brand: Brand

    def fixed(self, axis: str, late: bool, *more: object) -> Random:
        """Return the random source of one of its choices."""
        ...


def _word(world: World, rng: Random) -> str:
    return ascii_of(tongue(world.seed, "en").coin(rng), rng)


def link(owner: Owner, rng: Random, person: Person, when: datetime, late: bool) -> str:
    """Make the link for one message."""
    manner = owner.ops["link"][0]
    fixed = owner.fixed("link", late)
    words = {"w": _word(owner.world, fixed), "w2": _word(owner.world, fixed)}
    path = fixed.choice(_HACKED if manner == "hacked" else _CLOUD if manner == "cloud" else _PATHS).format(**words)
    base = owner.world.domain(fixed)
    if manner == "pool":
        hosts = [owner.world.domain(fixed) for _ in range(fixed.randint(4, 20))]
        base = hosts[(when.day * 24 + when.hour + rng.randrange(2)) % len(hosts)]
    elif manner == "subdomains":
        base = (
            shaped(
                rng,
                rng.choice(("<a6-12>.", "<l3-7>-<d2-4>.", f"{person.mailbox.partition('@')[0].replace('.', '-')}.")),
            )
            + base
        )
    elif manner == "fresh":
        base = owner.world.domain(rng)
    elif manner == "hacked":
        base = owner.world.domain(owner.fixed("link", late, rng.randrange(40)))
    elif manner == "cloud":
        base = fixed.choice(owner.world.clouds)
    elif manner == "shortener":
        return f"https://{fixed.choice(owner.world.shorteners)}/{shaped(rng, '<A6-8>')}"
    elif manner == "redirect":
        goal = f"https://{base}{shaped(rng, path)}".replace(":", "%3A").replace("/", "%2F")
        return f"https://{owner.brand.domain}/url?q={goal}&sa={shaped(rng, '<A8>')}"
    elif manner == "token":
        coded = base64.urlsafe_b64encode(person.mailbox.encode()).decode().rstrip("=")
        return f"https://{base}/{words['w']}?e={coded}"
    elif manner == "address":
        ip = address(owner.fixed("link", late, rng.randrange(3)))
        return f"http://{ip}:{fixed.choice((8080, 8443, 2083))}{shaped(rng, path)}"
    return f"https://{base}{shaped(rng, path)}"


def mailer(owner: Owner, rng: Random, late: bool) -> Kit:
    """Choose the mailer of one message."""
    manner, fixed = owner.ops["kit"][0], owner.fixed("kit", False)
    if manner == "bought":
        return fixed.choice(owner.world.kits)
    if manner == "rotating":
        return kit(owner.fixed("kit", late, rng.randrange(fixed.randint(4, 7))))
    return kit(fixed)


def _client(owner: Owner, rng: Random, late: bool, domain: str) -> tuple[str, str]:
    manner, fixed = owner.ops.get("network", ["host"])[0], owner.fixed("network", late)
    if manner == "botnet":
        ip = address(rng)
        return ip, rng.choice(
            (ip.replace(".", "-") + f".{shaped(rng, '<l3>')}.example", shaped(rng, "<l7>"), f"[{ip}]")
        )
    if manner == "snowshoe":
        nets = [network(fixed) for _ in range(fixed.randint(2, 6))]
        return rng.choice(nets) + str(rng.randint(1, 254)), f"{shaped(rng, '<l2-4><d1-3>')}.{domain}"
    if manner == "cloud":
        ip = rng.choice(fixed.sample(owner.world.rented, 3)) + str(rng.randint(1, 254))
        return ip, f"vm{shaped(rng, '<d4-7>')}.example"
    return address(fixed), f"mail.{domain}"


def _shown(owner: Owner, rng: Random, late: bool, lang: str, to: Company) -> str:
    manner = owner.fixed("shown name", late).randrange(4)
    if owner.ops["sender"][0] == "freemail":
        return (
            to.people[len(to.name) % 3].name
            if owner.ops["goal"] == ["reply"]
            else " ".join(tongue(owner.world.seed, lang).person(rng))
        )
    if manner == 0:
        return owner.brand.name
    if manner == 1:
        return f"{owner.brand.name} {tongue(owner.world.seed, lang).meaning('department' + str(rng.randrange(4)))[0]}"
    if manner == 2:
        return " ".join(tongue(owner.world.seed, lang).person(rng))
    return ""


def origin(owner: Owner, rng: Random, to: tuple[Person, Company], late: bool, lang: str) -> Origin:
    """Choose the origin of one message."""
    manner, fixed, world = owner.ops["sender"][0], owner.fixed("sender", late), owner.world
    shown = _shown(owner, rng, late, lang, to[1])
    if manner == "accounts":
        taken = fixed.sample(world.partners, min(len(world.partners), fixed.randint(4, 30)))
        firm = rng.choice([each for each in taken if each.lang == lang] or taken)
        who = firm.people[fixed.randrange(len(firm.people))]
        return Origin(who.name, who.mailbox, who.mailbox, firm.ip, f"mail.{firm.domain}", firm.kit, (), firm)
    if manner == "service":
        return of_service(
            world, fixed.randrange(len(world.services)), rng, shown or owner.brand.name, world.domain(fixed)
        )
    local = shaped(fixed, "<l4-8>")
    domain = world.domain(fixed)
    if manner in ("local part", "pool", "fresh"):
        local = rng.choice((shaped(rng, "<l3-8><d1-4>"), shaped(rng, "<a8-14>"), _word(world, rng), "no-reply"))
    if manner == "pool":
        domain = world.domain(owner.fixed("sender", late, rng.randrange(fixed.randint(5, 40))))
    elif manner == "fresh":
        domain = world.domain(rng)
    elif manner == "own domain":
        local, domain = (
            rng.choice(("it", "admin", "hr", "scanner", "voicemail", to[0].mailbox.partition("@")[0])),
            to[1].domain,
        )
    elif manner == "freemail":
        local, domain = shaped(rng, "<l4-9>.<l4-8><d1-3>"), fixed.choice(world.freemail)
    elif manner == "look-alike":
        stem = owner.brand.domain.partition(".")[0]
        domain = (
            rng.choice(
                (
                    f"{stem}-{_word(world, rng)}",
                    stem.replace("l", "1", 1) + shaped(rng, "<d1-2>"),
                    f"my{stem}{shaped(rng, '<l2>')}",
                )
            )
            + ".example"
        )
    ip, helo = _client(owner, rng, late, domain)
    envelope = f"{local}@{domain}" if rng.random() < 0.8 else f"bounce-{shaped(rng, '<d6>')}@{domain}"
    return Origin(shown, f"{local}@{domain}", envelope, ip, helo, mailer(owner, rng, late))


def of_service(world: World, number: int, rng: Random, name: str, customer: str) -> Origin:
    """Make the origin of a message that a mailing service sends for `customer`, a domain."""
    service = world.services[number]
    ticket = shaped(rng, "<h24>")
    fields = (
        ("List-Unsubscribe", f"<https://u.{service.domain}/{ticket}>, <mailto:u-{ticket}@{service.domain}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("Feedback-ID", f"{len(customer)}:{shaped(Random(customer), '<d7>')}:{service.domain.partition('.')[0]}"),
        ("DKIM-Signature", f"v=1; a=rsa-sha256; d={service.domain}; s=k1; b={shaped(rng, '<A60>')}="),
        ("Precedence", "bulk"),
    )
    host = f"o{rng.randint(1, 90)}.{service.domain}"
    return Origin(
        name,
        f"news@{customer}",
        f"bounces+{ticket}@{service.domain}",
        service.network + str(rng.randint(1, 250)),
        host,
        service.kit,
        fields,
    )


def tracked(world: World, rng: Random, origin: Origin) -> Callable[[str], str]:
    """Return a function that replaces each link by the sending service's tracking link; other senders change none."""
    for service in world.services:
        if origin.helo.endswith(f".{service.domain}"):
            return lambda _: f"https://click.{service.domain}{shaped(rng, service.path)}"
    return lambda plain: plain
