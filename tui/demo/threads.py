"""Long conversations, of which Backup holds every message: a mailing list, and a partner
whose files are always refused.
"""

from __future__ import annotations

from functools import cache
from random import Random
from typing import NamedTuple

from store.terms.verdicts import Status
from tui.demo.languages import Language
from tui.demo.people import Person, outsider, people
from tui.demo.texts.reading import Table, read

_QUOTED_LINES = 40


class _Words(Table, frozen=True):
    lists: tuple[str, ...]
    partners: tuple[str, ...]
    sentences: tuple[str, ...]


@cache
def _words() -> _Words:
    return read("threads.toml", _Words)


class Turn(NamedTuple):
    """One message of a thread: sender, recipient, text, position, and the Message-IDs that it answers."""

    sender: Person
    to: Person
    copied: tuple[Person, ...]
    subject: str
    text: str
    message_id: str
    references: tuple[str, ...]
    list_id: str


class Thread:
    """A conversation. `turns()` composes it, once and in order."""

    def __init__(self, rng: Random, language: Language) -> None:
        self._rng = rng
        self._language = language
        self._listed = rng.random() < 0.5
        self.status = Status.MASSMAIL if self._listed else rng.choice((Status.ENCRYPTED, Status.BANNED_FILE_FORMAT))
        self.subject = rng.choice(_words().lists if self._listed else _words().partners)

    def turns(self, count: int) -> list[Turn]:
        """Return `count` messages; each answers and quotes the one before."""
        rng = self._rng
        domains, staff, sentences = people().partner_domains, people().staff, _words().sentences
        writers = [outsider(self._language, rng, domains) for _ in range(6 if self._listed else 1)]
        name = self.subject.partition("]")[0].strip("[")
        to = Person(name, f"{name}@lists.example") if self._listed else rng.choice(staff)
        copied = () if self._listed else tuple(rng.sample(staff, 2))
        token = f"{rng.getrandbits(40):x}"
        made: list[Turn] = []
        before = ""
        for number in range(count):
            sender = rng.choice(writers)
            new = " ".join(rng.sample(sentences, rng.randrange(1, 4)))
            quoted = "".join(f"> {line}\n" for line in before.splitlines()[:_QUOTED_LINES])
            text = f"{quoted}\n{new}\n\n{sender.name}\n" if quoted else f"Hello,\n\n{new}\n\n{sender.name}\n"
            if made:
                text = f"{made[-1].sender.name} wrote:\n{text}"
            made.append(
                Turn(
                    sender,
                    to,
                    copied,
                    f"Re: {self.subject}" if number else self.subject,
                    text,
                    f"{token}.{number}@{sender.address.partition('@')[2]}",
                    tuple(turn.message_id for turn in made),
                    f"{name}.lists.example" if self._listed else "",
                )
            )
            before = text
        return made
