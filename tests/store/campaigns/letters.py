"""Entries of small waves with random keys: campaigns that vary, and copies without anything in common."""

from __future__ import annotations

import random

from store.campaigns.material import Entry, Flags


class Campaign:
    """A campaign: makes copies that share most keys of a letter, a link and a kit, each from its own sender."""

    def __init__(self, seed: int, *, domain: str = "") -> None:
        self._rng = random.Random(f"campaign-{seed}")
        self._domain = domain
        self._content = [self._rng.getrandbits(64) for _ in range(24)]
        self._payload = [self._rng.getrandbits(64) for _ in range(2)]
        self._origin = [self._rng.getrandbits(64) for _ in range(2)]

    def copy(self, number: int, flags: Flags = Flags.NONE) -> Entry:
        """Make a copy of the letter: some sentences vary, and each copy has another sender."""
        rng = self._rng
        domain = self._domain or f"d{rng.getrandbits(40):x}.example"
        return Entry(
            number,
            [key for key in self._content if rng.random() < 0.85] + [rng.getrandbits(64) for _ in range(6)],
            self._payload,
            [*self._origin, rng.getrandbits(64)],
            f"{rng.getrandbits(32):x}@{domain}",
            flags,
        )

    def stranger(self, number: int, flags: Flags = Flags.NONE) -> Entry:
        """Make a copy with the link and the kit of the campaign, but a different letter."""
        return self.copy(number, flags)._replace(content=[self._rng.getrandbits(64) for _ in range(24)])


def single(number: int, flags: Flags = Flags.NONE) -> Entry:
    """Make a copy that has nothing in common with others."""
    rng = random.Random(f"single-{number}")
    content, payload, origin = ([rng.getrandbits(64) for _ in range(n)] for n in (20, 2, 3))
    return Entry(number, content, payload, origin, f"{rng.getrandbits(32):x}@s{number}.example", flags)


def wave(seed: int, sizes: tuple[int, ...] = (80, 40, 20), singles: int = 60) -> tuple[list[Entry], list[set[int]]]:
    """Make a shuffled wave; return it with the copies of each campaign."""
    rng = random.Random(f"wave-{seed}")
    numbers = rng.sample(range(1, 10_000), sum(sizes) + singles)
    entries, sets = [], []
    for place, size in enumerate(sizes):
        mine, numbers = numbers[:size], numbers[size:]
        campaign = Campaign(seed * 1000 + place)
        entries += [campaign.copy(number) for number in mine]
        sets.append(set(mine))
    entries += [single(number) for number in numbers]
    rng.shuffle(entries)
    return entries, sets
