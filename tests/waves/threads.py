"""Exchanges of letters between two firms: the base of good mail, and what hijackers steal."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from tests.waves.words import filled, shaped, thoughts, tongue
from tests.waves.world import Company, Person, World


class Thread(NamedTuple):
    """Its subject, the text quoted so far, and the header fields of an answer."""

    subject: str
    quoted: str
    fields: list[tuple[str, str]]


def letter(
    world: World, rng: Random, lang: str, who: Person, to: str, holes: dict[str, str], topic: str, short: bool = False
) -> str:
    """Write a letter: greeting, a few sentences about `topic`, closing and name."""
    said = tongue(world.seed, lang)
    plan = thoughts(
        rng,
        topic,
        rng.randint(1, 2) if short else rng.randint(2, 7),
        tuple(rng.sample(("date", "number", "amount"), rng.randint(0, 2))),
    )
    body = " ".join(filled(said.say(rng, each), holes) for each in plan)
    return (
        f"{filled(said.conventions['greeting'], {'first': to})}\n\n{body}\n\n{said.conventions['closing']}\n{who.name}"
    )


def holes_of(rng: Random, when: datetime) -> dict[str, str]:
    """Draw a date near `when`, a number and an amount for a letter."""
    day = when - timedelta(days=rng.randint(1, 30))
    return {
        "date": f"{day:%d.%m.%Y}",
        "number": shaped(rng, "<d5-7>"),
        "amount": f"{rng.randint(60, 30000)}.{rng.randint(0, 99):02} EUR",
    }


def thread(world: World, rng: Random, firm: Company, other: Person, when: datetime, rounds: int = 0) -> Thread:
    """Write `rounds` letters (0: one to three) between a person of `firm` and `other`, the latest first."""
    said, quoted = tongue(world.seed, firm.lang), ""
    topic = f"business{rng.randrange(12)}-"
    subject = said.title(rng, thoughts(rng, topic, 1)[0][:4])
    who = rng.choice(firm.people)
    ids: list[str] = []
    for turn in range(rounds or rng.randint(1, 3)):
        writer, reader = (other, who) if turn % 2 else (who, other)
        text = letter(world, rng, firm.lang, writer, reader.first, holes_of(rng, when), topic)
        if writer is who and firm.disclaimer:
            text += f"\n\n{firm.disclaimer}"
        sent = when - timedelta(hours=rng.randint(5, 400))
        head = filled(said.conventions["wrote"], {"date": f"{sent:%d.%m.%Y %H:%M}", "who": writer.name})
        quoted = f"{head}\n" + "\n".join(f"> {line}" for line in f"{text}\n\n{quoted}".rstrip().split("\n"))
        ids.append(f"<{shaped(rng, '<A24>')}@{writer.mailbox.partition('@')[2]}>")
    fields = [("In-Reply-To", ids[-1]), ("References", " ".join(ids))]
    return Thread(f"{said.conventions['reply']}: {subject}", quoted, fields)
