"""The demo's mail: `compose` makes any number of different messages with their records from a seed.

All of it is made up, and domains are those reserved for examples. The same seed and `now` give the same mail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle, islice
from random import Random

from store.terms.records import CopyRecord
from tui.demo.composer import Composer, Placed
from tui.demo.hostile import HOSTILE
from tui.demo.languages import languages
from tui.demo.rhythm import Rhythm
from tui.demo.scenarios import Scenario, scenarios
from tui.demo.threads import Thread

Make = Callable[[int], Placed]

#: Below this number of messages each reason is used in turn; from it on there are campaigns and threads.
_SMALL = 100
_CAMPAIGN_SHARE, _THREAD_SHARE = 0.42, 0.07
_MOST_LARGE = 20
#: Most messages placed within the last hour.
_LATELY = 9
#: Above this number of messages attachments shrink, so that 100,000 messages fit on a laptop.
_FULL_SIZE = 1_000


def compose(count: int, *, now: int, seed: int = 2026) -> Iterator[tuple[bytes, CopyRecord, int]]:
    """Yield `count` messages with their records and the times (Unix ms, ascending) when they were placed in Backup."""
    rng = Random(seed)
    composer = Composer(rng, max(1.0, (count / _FULL_SIZE) ** 0.45))
    for moment, make in _plan(count, composer, Rhythm(now, rng), rng):
        raw, record = make(moment)
        yield raw, record, moment


def _plan(count: int, composer: Composer, rhythm: Rhythm, rng: Random) -> list[tuple[int, Make]]:
    """Plan the time of each message (Unix ms) and the function that makes it, sorted by time."""
    plan: list[tuple[int, Make]] = []
    drawn, size_exceeded = scenarios().scenario, scenarios().size_exceeded
    each = cycle((*drawn, size_exceeded))
    if count < _SMALL:
        makers = [_single(composer, scenario) for scenario in islice(each, count)]
        plan = list(zip(rhythm.moments(count), makers, strict=True))
    else:
        for maker, status in HOSTILE:
            plan.append((rhythm.moments(1)[0], partial(composer.hostile, maker, status)))
        for moment in rhythm.moments(min(_MOST_LARGE, 1 + count // 60)):
            plan.append((moment, _single(composer, size_exceeded)))
        plan += _threads(int(count * _THREAD_SHARE), composer, rhythm, rng)
        plan += _campaigns(int(count * _CAMPAIGN_SHARE), composer, rhythm, rng)
        for moment, scenario in zip(rhythm.moments(len(drawn)), drawn, strict=True):
            plan.append((moment, _single(composer, scenario)))
        rest = count - len(plan)
        fresh = min(_LATELY, rest // 10)
        moments = rhythm.moments(rest - fresh) + rhythm.lately(fresh)
        chosen = rng.choices(drawn, weights=[scenario.weight for scenario in drawn], k=rest)
        plan += [(moment, _single(composer, scenario)) for moment, scenario in zip(moments, chosen, strict=True)]
    plan.sort(key=lambda entry: entry[0])
    return plan


def _threads(count: int, composer: Composer, rhythm: Rhythm, rng: Random) -> list[tuple[int, Make]]:
    known = languages()
    plan: list[tuple[int, Make]] = []
    while count - len(plan) >= 3:
        length = min(count - len(plan), rng.randrange(5, 16))
        thread = Thread(rng, known["en"])
        turns = thread.turns(length)
        for moment, turn in zip(rhythm.conversation(length), turns, strict=True):
            plan.append((moment, partial(composer.turn, turn, thread.status)))
    return plan


def _campaigns(count: int, composer: Composer, rhythm: Rhythm, rng: Random) -> list[tuple[int, Make]]:
    """Plan bursts of messages: each has one text, sender domain and kind of file, and a new recipient per message."""
    drawn = scenarios().scenario
    weights = [scenario.weight for scenario in drawn]
    plan: list[tuple[int, Make]] = []
    while len(plan) < count:
        size = min(count - len(plan), rng.choice((4, 6, 8, 12, 18, 27)))
        campaign = composer.campaign(rng.choices(drawn, weights=weights)[0])
        for moment in rhythm.burst(size, rng.choice((0.5, 2, 6, 30))):
            plan.append((moment, partial(composer.letter, campaign)))
    return plan


def _single(composer: Composer, scenario: Scenario) -> Make:
    return lambda at: composer.letter(composer.campaign(scenario), at)
