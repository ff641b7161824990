"""Long conversations that Backup holds whole: a mailing list's debate, and a partner whose files are always refused."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from store.terms.verdicts import Status
from tui.demo.languages import Language
from tui.demo.people import PARTNER_DOMAINS, STAFF, Person, outsider

_SUBJECTS = (
    "[gateway-users] greylisting and retries from large senders",
    "[cad-exchange] tolerance classes in exported drawings",
    "[rail-models] couplings that survive a move",
    "[choir] dates for the winter concert",
)
_PARTNER_SUBJECTS = (
    "Drawings for building 4",
    "Test certificates, lot 2291",
    "Angebot Förderband, 3. Fassung",
    "Photos of the damage",
)
_SENTENCES = (
    "I tried this yesterday and saw the same.",
    "That depends on who reads the log first.",
    "Could somebody post the numbers before and after?",
    "We have had it like that since spring, without complaints.",
    "No: the second paragraph says the opposite.",
    "Please do not top-post, it is hard to follow.",
    "My measurements are attached as a table.",
    "Agreed. Let us close this on Friday.",
    "Sorry for the late answer, I was on a train without network.",
    "The relay answers in 40 ms here, in 400 at your place.",
    "Who wants to write it up for the handbook?",
    "+1",
)
_QUOTED_LINES = 40


class Turn(NamedTuple):
    """One message of a thread: who writes to whom, its text, its place, and the Message-IDs that it answers."""

    sender: Person
    to: Person
    copied: tuple[Person, ...]
    subject: str
    text: str
    message_id: str
    references: tuple[str, ...]
    list_id: str


class Thread:
    """A conversation; `turns()` makes it up once, in order."""

    def __init__(self, rng: Random, language: Language) -> None:
        self._rng = rng
        self._language = language
        self._listed = rng.random() < 0.5
        self.status = Status.MASSMAIL if self._listed else rng.choice((Status.ENCRYPTED, Status.BANNED_FILE_FORMAT))
        self.subject = rng.choice(_SUBJECTS if self._listed else _PARTNER_SUBJECTS)

    def turns(self, count: int) -> list[Turn]:
        """So many messages, each answering the one before and quoting it."""
        rng = self._rng
        people = [outsider(self._language, rng, PARTNER_DOMAINS) for _ in range(6 if self._listed else 1)]
        name = self.subject.partition("]")[0].strip("[")
        to = Person(name, f"{name}@lists.example") if self._listed else rng.choice(STAFF)
        copied = () if self._listed else tuple(rng.sample(STAFF, 2))
        token = f"{rng.getrandbits(40):x}"
        made: list[Turn] = []
        before = ""
        for number in range(count):
            sender = rng.choice(people)
            new = " ".join(rng.sample(_SENTENCES, rng.randrange(1, 4)))
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
