"""The rows of campaigns in the side table: msgpack, about two bytes per copy (one for the id, one for its fit).

Weights and limits, which let new copies join, have a row of their own: showing campaigns does not read it.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate

import msgspec

from store.campaigns.grouping import Handle, OddCopy, Why
from store.campaigns.marks import Mark
from store.campaigns.oddness import Limits, Reason
from store.campaigns.order import Rank
from store.campaigns.standing import Campaign
from store.helpers.decoding import msgpack_decoder
from store.terms.errors import TamperedError

#: A difference of ids from this on does not fit one byte; it is stored separately in 8 bytes.
_WIDE = 255
_MALFORMED = "it is in a form that this version of Mailhold does not know"
_STRANDS = 3


class Ids(msgspec.Struct, frozen=True, array_like=True):
    """Ascending ids as differences, one byte each; 255 stands for the next number in `wide` (8 bytes, big-endian)."""

    steps: bytes
    wide: bytes = b""


class CampaignRow(msgspec.Struct, frozen=True, array_like=True):
    """A campaign as found in `generation`. `odd_reasons`: for each odd copy, its index in `reasons`."""

    generation: int
    rank: int
    copies: Ids
    fits: bytes
    odd: Ids
    odd_reasons: tuple[int, ...]
    reasons: tuple[tuple[Reason, ...], ...]
    seed: Why
    evidence: tuple[Why, ...]
    title: str
    texts: dict[int, str]


class JoiningRow(msgspec.Struct, frozen=True, array_like=True):
    """Weights and limits that let copies join: by strand, keys (8 bytes) and weights (4-byte floats), big-endian."""

    generation: int
    keys: tuple[bytes, ...]
    weights: tuple[bytes, ...]
    typical: float
    expected: tuple[bool, bool, bool]
    least: tuple[float, float, float]
    claimed: bool
    listed: bool
    domains: tuple[str, ...] | None
    told: float = 0.0
    threads: bool = False
    known: bool = False


class JoinedRow(msgspec.Struct, frozen=True, array_like=True):
    """The campaign that a copy joined after the finding of `generation`; fit (0 to 100 %); why it is odd, or ()."""

    generation: int
    campaign: int
    fit: int
    reasons: tuple[Reason, ...] = ()


_encode = msgspec.msgpack.Encoder().encode


def packed_ids(ids: Sequence[int]) -> Ids:
    """Pack ascending ids compactly."""
    steps = bytearray(len(ids))
    wide = array("Q")
    before = 0
    for place, number in enumerate(ids):
        step = number - before
        before = number
        if step < _WIDE:
            steps[place] = step
        else:
            steps[place] = _WIDE
            wide.append(step)
    return Ids(bytes(steps), _big_endian(wide))


def unpacked_ids(ids: Ids) -> array[int]:
    """Unpack the result of `packed_ids`. Raises ValueError for anything else."""
    wide = iter(_keys(ids.wide))
    try:
        found = array("Q", accumulate(_steps(ids.steps, wide)))
    except (OverflowError, RuntimeError):
        raise ValueError("ids out of range") from None
    if next(wide, None) is not None:
        raise ValueError("ids that are none")
    return found


def _steps(steps: bytes, wide: Iterator[int]) -> Iterator[int]:
    for step in steps:
        yield step if step < _WIDE else next(wide)


def packed_campaign(generation: int, handle: Handle, title: str, texts: dict[int, str]) -> bytes:
    """Pack a campaign."""
    reasons = sorted({one.reasons for one in handle.odd}, key=lambda one: [each.value for each in one])
    number = {one: place for place, one in enumerate(reasons)}
    return _encode(
        CampaignRow(
            generation,
            int(handle.rank),
            packed_ids(handle.copies),
            handle.fits,
            packed_ids([one.copy for one in handle.odd]),
            tuple(number[one.reasons] for one in handle.odd),
            tuple(reasons),
            handle.seed,
            handle.evidence,
            title,
            texts,
        )
    )


def unpacked_campaign(data: bytes, campaign_id: int, generation: int) -> Campaign:
    """Unpack a campaign, without its marks. Raises TamperedError."""
    what = f"campaign {campaign_id}"
    try:
        row = msgpack_decoder(CampaignRow).decode(data)
        copies, odd = unpacked_ids(row.copies), unpacked_ids(row.odd)
        if row.generation != generation:
            raise TamperedError(what, "it is not from the last search for campaigns")
        if len(copies) != len(row.fits) or len(odd) != len(row.odd_reasons) or min(row.odd_reasons, default=0) < 0:
            raise TamperedError(what, _MALFORMED)
        return Campaign(
            id=campaign_id,
            rank=Rank(row.rank),
            copies=copies,
            fits=row.fits,
            odd=tuple(OddCopy(copy, row.reasons[place]) for copy, place in zip(odd, row.odd_reasons, strict=True)),
            seed=row.seed,
            evidence=row.evidence,
            title=row.title,
            texts=row.texts,
            mark=Mark(campaign_id),
        )
    except (msgspec.MsgspecError, ValueError, IndexError):
        raise TamperedError(what, _MALFORMED) from None


def packed_joining(generation: int, handle: Handle) -> bytes:
    """Pack a handle's weights and limits, which let copies join."""
    keys = [array("Q") for _ in range(_STRANDS)]
    weights = [array("f") for _ in range(_STRANDS)]
    for key, (strand, weight) in sorted(handle.weights.items()):
        keys[strand].append(key)
        weights[strand].append(weight)
    limits = handle.limits
    return _encode(
        JoiningRow(
            generation,
            tuple(map(_big_endian, keys)),
            tuple(map(_big_endian, weights)),
            limits.typical,
            limits.expected,
            limits.least,
            limits.claimed,
            limits.listed,
            None if limits.domains is None else tuple(sorted(limits.domains)),
            limits.told,
            limits.threads,
            limits.known,
        )
    )


def unpacked_joining(data: bytes, campaign: Campaign, generation: int) -> Handle:
    """Unpack a campaign's weights and limits into a handle for `Joiner`. Raises TamperedError."""
    what = f"what lets copies join campaign {campaign.id}"
    try:
        row = msgpack_decoder(JoiningRow).decode(data)
        if row.generation != generation:
            raise TamperedError(what, "it is not from the last search for campaigns")
        weights: dict[int, tuple[int, float]] = {}
        for strand, (keys, heavy) in enumerate(zip(row.keys, row.weights, strict=True)):
            pairs = zip(_keys(keys), _weights(heavy), strict=True)
            weights.update((key, (strand, weight)) for key, weight in pairs)
        if len(row.keys) != _STRANDS:
            raise TamperedError(what, _MALFORMED)
    except (msgspec.MsgspecError, ValueError):
        raise TamperedError(what, _MALFORMED) from None
    domains = None if row.domains is None else frozenset(row.domains)
    return Handle(
        rank=campaign.rank,
        copies=campaign.copies,
        fits=campaign.fits,
        odd=campaign.odd,
        seed=campaign.seed,
        evidence=campaign.evidence,
        weights=weights,
        limits=Limits(
            row.typical, row.expected, row.least, row.claimed, row.listed, domains, row.told, row.threads, row.known
        ),
    )


def packed_joined(row: JoinedRow) -> bytes:
    """Pack a row of a copy that joined."""
    return _encode(row)


def unpacked_joined(data: bytes, copy_id: int) -> JoinedRow:
    """Unpack the result of `packed_joined`. Raises TamperedError."""
    try:
        return msgpack_decoder(JoinedRow).decode(data)
    except msgspec.MsgspecError:
        raise TamperedError(f"the campaign of copy {copy_id}", _MALFORMED) from None


def _big_endian(values: array[int] | array[float]) -> bytes:
    if sys.byteorder == "little":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _keys(data: bytes) -> array[int]:
    values = array("Q")
    values.frombytes(data)
    if sys.byteorder == "little":
        values.byteswap()
    return values


def _weights(data: bytes) -> array[float]:
    values = array("f")
    values.frombytes(data)
    if sys.byteorder == "little":
        values.byteswap()
    return values
