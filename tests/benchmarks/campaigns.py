"""Count the acts that clear an attack wave: handles are found in the product's own traits and acted on in order.

    python -m tests.benchmarks.campaigns WAVE ... [--known SHARE] [--handles]

WAVE is a folder written by `python -m tests.waves` (or by another program in the same form): wave-00.mbox ... and
truth.json. The traits are made once and kept in it. An act deletes the copies of a handle if an act is offered for it,
never the odd ones; a campaign in stolen threads is a handle, and its act is counted. Odd copies with the same reason
are looked at one by one, up to twelve per handle; more than twelve form one line and count as one look. The last line
of figures shows the effect of one more act on each line of answers, which is not offered by default. `--known`: this
share of the good senders is known, and others may look like them. `--handles`: list what each handle holds.

The model: 1.5 s for each decision (one per act and per odd copy looked at); four keys per act (down, open, delete,
Enter), one per odd copy, and one more for each act with odd copies; three keys per second.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import sys
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from store.campaigns.grouping import Grouping, grouped
from store.campaigns.making import Context, made_of
from store.campaigns.material import Entry, Flags, domain_of, entry_of
from store.campaigns.packing import Packed, of_pack, to_pack
from store.files.mbox import read_messages
from store.mail.lookalikes import Lookalikes
from store.message.parser import parse_message
from tests.benchmarks import many, store_maker
from tests.benchmarks.figures import Figure, counted
from tests.waves.wave import Size, make

#: Seconds per decision, keys per second, keys per act, and keys for the odd copies of an act.
_DECISION, _SPEED, _ACT, _ODD = 1.5, 3, 4, 1
_ANSWERS = 12
#: Copies per wave by the benchmarks' size, and the seconds allowed.
_COUNTS = {"10k": 12_000, "100k": 40_000, "1M": 40_000}
_SEED, _SECONDS, _ACTS, _KNOWN = 1, 40, 35, 0.8
_CLIENT = re.compile(rb"(?mi)^Received: from [^\n]*?\[([0-9a-fA-F.:]+)\]")
_TO = re.compile(rb"(?mi)^X-Envelope-To: <[^>\n]*@([^>\n]+)>")


class _Kept(msgspec.Struct, array_like=True):
    """What is kept of a wave: Message-IDs and traits of its copies, in order, and the CPU time (ms) each took."""

    ids: list[str]
    traits: list[Packed]
    cost: float


class Wave(NamedTuple):
    """A wave: its copies, the truth about each, and the CPU time (ms) that the traits of one message took."""

    entries: list[Entry]
    truth: list[Mapping[str, str]]
    cost: float


class Score(NamedTuple):
    """The result of the acts so far: their number, share of campaign copies gone, good and aimed copies, odd ones to
    look at.
    """

    acts: int
    done: float
    good: int
    aimed: int
    noise: int
    odd: int
    with_odd: int

    @property
    def decisions(self) -> int:
        """Decisions: acts and odd copies."""
        return self.acts + self.odd

    @property
    def keys(self) -> int:
        """Keys pressed."""
        return _ACT * self.acts + _ODD * self.with_odd + self.odd

    @property
    def minutes(self) -> float:
        """Minutes an operator needs."""
        return (_DECISION * self.decisions + self.keys / _SPEED) / 60


def _messages(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.glob("wave-*.mbox")):
        with path.open("rb") as stream:
            for message in read_messages(stream):
                assert isinstance(message, bytes)
                yield message


def _made(folder: Path) -> _Kept:
    own = tuple(sorted({found.decode().lower() for raw in _messages(folder) for found in _TO.findall(raw)}))
    kept = _Kept([], [], 0.0)
    spent = 0.0
    for raw in _messages(folder):
        client = _CLIENT.search(raw)
        context = Context(client[1].decode() if client else "", own)
        began = time.process_time()
        markups: list[str] = []
        parsed = parse_message(raw, enter=False, markups=markups)
        made = made_of(parsed, context, markups)
        spent += time.process_time() - began
        kept.ids.append(next(value for name, value in parsed.headers if name.lower() == "message-id").strip())
        kept.traits.append(to_pack(made))
    kept.cost = spent * 1000 / len(kept.ids)
    return kept


def wave_of(folder: Path, known: float = 0.0) -> Wave:
    """Read a wave from its folder; `known` is the share of its good copies whose senders are known.

    Others may look like these senders.
    """
    path = folder / "traits.msgpack"
    if not path.exists():
        path.write_bytes(msgspec.msgpack.encode(_made(folder)))
    kept = msgspec.msgpack.decode(path.read_bytes(), type=_Kept)
    messages = msgspec.json.decode((folder / "truth.json").read_bytes())["messages"]
    truth = [messages[name] for name in kept.ids]
    traits = [of_pack(each).traits for each in kept.traits]
    good = sorted({one.sender for one, what in zip(traits, truth, strict=True) if what["kind"] == "good"})
    senders = set(random.Random(len(good)).sample(good, round(known * len(good))))
    known_domains = Lookalikes(domain_of(one) for one in sorted(senders))

    def flags(sender: str) -> Flags:
        alike = known_domains.of(domain_of(sender))
        return (Flags.KNOWN if sender in senders else Flags.NONE) | (Flags.ALIKE if alike else Flags.NONE)

    entries = [entry_of(number, one, flags(one.sender)) for number, one in enumerate(traits)]
    return Wave(entries, truth, kept.cost)


def acts(wave: Wave, grouping: Grouping, *, answers: bool = False) -> list[Score]:
    """Yield the score after each act that is offered; with `answers`, also after acts on lines of answers."""
    total = sum(one["kind"] == "campaign" for one in wave.truth)
    gone: Counter[str] = Counter()
    scores: list[Score] = []
    odd = with_odd = 0
    many = [handle for handle in grouping.handles if handle.rank.offered and len(handle.answers) > _ANSWERS]
    plan = [(handle, handle.copies) for handle in grouping.handles if handle.rank.offered and handle.copies]
    if answers:
        plan += [(handle._replace(odd=()), array("Q", handle.answers)) for handle in many]
    for handle, copies in plan:
        gone.update(wave.truth[copy]["kind"] for copy in copies)
        looks = sum(1 if n > _ANSWERS else n for n in Counter(one.reasons for one in handle.odd).values())
        odd += looks
        with_odd += looks > 0
        number = len(scores) + 1
        scores.append(
            Score(number, gone["campaign"] / total, gone["good"], gone["targeted"], gone["noise"], odd, with_odd)
        )
    return scores


def at(scores: Sequence[Score], share: float) -> Score | None:
    """Return the score when this share was gone; None if it never was."""
    return next((one for one in scores if one.done >= share), None)


def _told(name: str, score: Score | None) -> str:
    if score is None:
        return f"  {name:9} not reached"
    return (
        f"  {name:9} acts {score.acts:3}  gone {score.done:6.1%}  good {score.good:3}  aimed {score.aimed}  noise "
        f"{score.noise:3}  odd {score.odd:4}  keys {score.keys:4}  decisions {score.decisions:4}  "
        f"{score.minutes:4.1f} min"
    )


def _handles(wave: Wave, grouping: Grouping) -> Iterator[str]:
    for handle in grouping.handles:
        inside = Counter(wave.truth[copy]["kind"] for copy in handle.copies)
        labels = Counter(wave.truth[copy]["label"] for copy in handle.copies).most_common(3)
        odd = Counter(f"{wave.truth[one.copy]['kind']}: {one.reasons[0].value}" for one in handle.odd)
        yield f"    {handle.rank.name:8}{len(handle.copies):6}  {dict(inside)} {labels} odd {dict(odd)}"


def main() -> int:
    """Score the waves named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("waves", type=Path, nargs="+", metavar="WAVE")
    parser.add_argument("--known", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--handles", action="store_true")
    arguments = parser.parse_args()
    for folder in arguments.waves:
        wave = wave_of(folder, arguments.known)
        began = time.process_time()
        grouping = grouped(wave.entries)
        spent = time.process_time() - began
        scores = acts(wave, grouping)
        rest = Counter(wave.truth[copy]["kind"] for copy in grouping.rest)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{folder.name}: {len(wave.entries)} copies, known {arguments.known:.0%}: traits {wave.cost:.2f} ms each, "
            f"handles {spent:.1f} s, {peak} MB; in none: {dict(rest)}"
        )
        if arguments.handles:
            print("\n".join(_handles(wave, grouping)))
        for name, score in (("90 %", at(scores, 0.9)), ("95 %", at(scores, 0.95)), ("all acts", scores[-1])):
            print(_told(name, score), flush=True)
        print(_told("answers", acts(wave, grouping, answers=True)[-1]), flush=True)
    return 0


def campaigns(size: str) -> Iterator[Figure]:
    """Count the acts that clear a wave, the good copies lost, and the cost of finding handles; at 1M for a million
    copies.
    """
    count = _COUNTS[size]
    folder = store_maker.FOLDER / f"wave-{count}"
    if not (folder / "truth.json").exists():
        make(folder, _SEED, Size()._replace(count=count), 1)
    spent = 0.0
    for known, good in ((0.0, 20), (_KNOWN, 8)):
        wave = wave_of(folder, known)
        began = time.process_time()
        grouping = grouped(wave.entries)
        spent = max(spent, time.process_time() - began)
        scores = acts(wave, grouping)
        named = f"campaigns, {count:,} copies, {known:.0%} of good senders known: "
        for share in (0.9, 0.95):
            reached = at(scores, share)
            clears = reached.acts if reached else None
            met = bool(reached and reached.acts <= _ACTS)
            yield counted(f"{named}acts to {share:.0%}", size, clears, "acts", f"{_ACTS}", met)
        last = scores[-1]
        left = sum(wave.truth[copy]["kind"] == "campaign" for copy in grouping.rest)
        yield counted(f"{named}gone after all acts", size, 100 * last.done, "%")
        yield counted(f"{named}acts offered", size, last.acts, "acts")
        yield counted(f"{named}good in all acts", size, last.good, "copies", f"{good}", last.good <= good)
        yield counted(f"{named}aimed in all acts", size, last.aimed, "copies", "0", not last.aimed)
        yield counted(f"{named}odd ones to look at", size, last.odd, "copies")
        yield counted(f"{named}in no campaign", size, left, "copies")
    met = spent <= _SECONDS
    yield counted(f"campaigns, {count:,} copies: find handles", size, spent, "s CPU", f"{_SECONDS}", met)
    yield from many.figures(size)


if __name__ == "__main__":
    sys.exit(main())
