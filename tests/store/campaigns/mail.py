"""Small waves of real messages: campaigns whose copies vary, and letters without anything in common."""

from __future__ import annotations

import random

from store.terms.records import CopyRecord
from store.vault.vault import Vault

_SYLLABLES = [one + two for one in "bdfgklmnprstvz" for two in "aeiou"]


def word(rng: random.Random) -> str:
    """Make a unique word."""
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(2, 4)))


def sentence(rng: random.Random) -> str:
    """Make a unique sentence."""
    return " ".join(word(rng) for _ in range(9)).capitalize() + "."


def letter(campaign: int, number: int) -> bytes:
    """Make a copy of a campaign's letter: most of its sentences, its link and kit, its own sender."""
    fixed, own = random.Random(f"campaign-{campaign}"), random.Random(f"copy-{campaign}-{number}")
    subject = " ".join(word(fixed) for _ in range(4))
    sentences = [sentence(fixed) for _ in range(12)]
    host = f"{word(fixed)}.example"
    text = "\n".join([each for each in sentences if own.random() < 0.7] + [sentence(own)])
    return (
        f"From: {word(own)} <{word(own)}@{word(own)}{number}.example>\nTo: you@corp.example\nSubject: {subject}\n"
        f"X-Mailer: {word(fixed)} 3\nMessage-ID: <{number}.{campaign}@{host}>\n\n{text}\nhttp://www.{host}/{word(fixed)}\n"
    ).encode()


def single(number: int) -> bytes:
    """Make a message that has nothing in common with others."""
    return letter(-1 - number, number)


def put_wave(vault: Vault, sizes: tuple[int, ...] = (30, 20), singles: int = 15, *, start: int = 0) -> list[list[int]]:
    """Put a wave; return the copies of each campaign, and last the others. `start`: number of the first copy."""
    found = []
    for campaign, size in enumerate(sizes):
        found.append(put(vault, [letter(campaign, start + number) for number in range(size)]))
    return [*found, put(vault, [single(start + number) for number in range(singles)])]


def put(vault: Vault, raws: list[bytes], record: CopyRecord | None = None) -> list[int]:
    """Put messages into the vault."""
    return vault.put_many((raw, record or CopyRecord(), None) for raw in raws)
