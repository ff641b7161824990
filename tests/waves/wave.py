"""A complete wave: who sends how much and when, written as mbox files and truth.json."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.waves import scanners
from tests.waves.campaign import Campaign
from tests.waves.good import Caught, Good
from tests.waves.mime import Mail, written
from tests.waves.words import shaped
from tests.waves.world import World

#: Duration of a wave (hours), and the minimum number of messages of a campaign.
HOURS, FEWEST = 60, 4


class Size(NamedTuple):
    """The number of messages of each kind; `count` is the total."""

    count: int = 40_000
    campaigns: int = 60
    good: int = 120
    targeted: int = 5
    noise: int = 150


class _Sent(NamedTuple):
    when: datetime
    label: str
    number: int
    late: bool
    source: Campaign | Caught


def shares(size: Size) -> list[int]:
    """Return the number of messages of each campaign, the largest first. Raises ValueError if `count` is too small."""
    left = size.count - size.good - size.targeted - size.noise
    if left < size.campaigns * FEWEST or size.campaigns < 1 or size.good < size.targeted * 5:
        raise ValueError(
            f"{left} messages are left for {size.campaigns} campaigns, which need {FEWEST} each, and {size.targeted} "
            f"aimed ones need {size.targeted * 5} good ones: give a larger --count or --good, or fewer of the others"
        )
    weights = [1 / (rank + 1) ** 1.1 for rank in range(size.campaigns)]
    spare = left - size.campaigns * FEWEST
    amounts = [FEWEST + int(spare * weight / sum(weights)) for weight in weights]
    amounts[0] += left - sum(amounts)
    return amounts


def _times(campaign: Campaign, amount: int, start: datetime) -> list[datetime]:
    rng = Random(f"{campaign.world.seed}/{campaign.label}/times")
    pace, begin = campaign.ops["pace"][0], rng.uniform(0, HOURS * 0.5)
    if pace == "burst":
        spans = [(begin, begin + rng.uniform(0.4, 2))]
    elif pace == "day":
        spans = [(begin, begin + 24)]
    else:
        spans = [
            (at, at + rng.uniform(0.3, 4)) for at in (rng.uniform(0, HOURS - 4) for _ in range(rng.randint(4, 14)))
        ]
    return sorted(start + timedelta(seconds=int(3600 * rng.uniform(*rng.choice(spans)))) for _ in range(amount))


def make(out: Path, seed: int, size: Size, split: int = 1) -> dict[str, object]:
    """Write the wave to the folder `out`; return the content of truth.json. Raises ValueError like `shares`."""
    amounts, world = shares(size), World(seed)
    rng = Random(f"{seed}/wave")
    start = datetime(2026, 11, 1, 6, tzinfo=UTC) + timedelta(days=rng.randrange(20))
    campaigns: list[Campaign] = []
    for number in range(size.campaigns):
        actor = rng.choice(campaigns).actor if campaigns and rng.random() < 0.14 else ""
        campaigns.append(Campaign(world, f"c{number:02}", actor, (number, size.campaigns)))
    sent = [
        _Sent(when, campaign.label, number, number * 2 >= amount, campaign)
        for campaign, amount in zip(campaigns, amounts, strict=True)
        for number, when in enumerate(_times(campaign, amount, start))
    ]
    for number in range(size.noise):
        lone = Campaign(world, f"n{number:03}")
        sent.append(_Sent(_times(lone, 1, start)[0], lone.label, 0, False, lone))
    for number, caught in enumerate(Good(world, start, HOURS).all(size.good, size.targeted, campaigns)):
        sent.append(_Sent(caught.mail.when, caught.label, number, False, caught))
    sent.sort(key=lambda each: (each.when, each.label, each.number))
    about = {
        campaign.label: {**campaign.about(), "size": amount}
        for campaign, amount in zip(campaigns, amounts, strict=True)
    }
    truth: dict[str, object] = {
        "seed": seed,
        "count": size.count,
        "campaigns": about,
        "messages": _written(out, world, sent, split),
    }
    (out / "truth.json").write_text(json.dumps(truth, ensure_ascii=False, indent=1) + "\n")
    return truth


def _written(out: Path, world: World, sent: list[_Sent], split: int) -> dict[str, dict[str, object]]:
    out.mkdir(parents=True, exist_ok=True)
    gateway = world.own[0].domain
    known: dict[str, dict[str, object]] = {}
    for part in range(split):
        with (out / f"wave-{part:02}.mbox").open("wb") as mbox:
            for each in sent[len(sent) * part // split : len(sent) * (part + 1) // split]:
                rng = Random(f"{world.seed}/{each.label}/{each.number}/written")
                mail, entry, level, signature = _drawn(each)
                message = written(rng, mail)
                found = scanners.judged(rng, level, signature)
                if found.status == "banned-file-name":
                    named = next((file.name for file in mail.files if file.name.isascii()), "")
                    found = found._replace(name=named) if named else scanners.Found("anti-spam", "spam", 15.2)
                entry |= {"engine": found.engine, "status": found.status, "score": found.score, "lang": mail.lang}
                assert mail.message_id not in known, mail.message_id
                known[mail.message_id] = entry
                mbox.write(
                    scanners.separated(mail.envelope, mail.when, scanners.headed(rng, mail, found, gateway, message))
                )
    return known


def _drawn(each: _Sent) -> tuple[Mail, dict[str, object], str, str]:
    """Yield the message, its entry in truth.json so far, its level for the scanners, and a signature's name."""
    if isinstance(each.source, Caught):
        level = "good" if each.source.kind == "good" else "words"
        return each.source.mail, {"label": each.label, "kind": each.source.kind, **each.source.about}, level, ""
    campaign = each.source
    # A signature is written for one hour's file; vendors change its name at will.
    naming = campaign.fixed("signature", each.late, each.when.day, each.when.hour // 6)
    signature = shaped(
        naming,
        naming.choice(("Sanesecurity.Malware.<d5>", "Win.Dropper.Agent-<d7>", "Js.Phish.<H6>", "Doc.Loader.<d6>-0")),
    )
    kind = "campaign" if each.label.startswith("c") else "noise"
    return (
        campaign.message(each.number, each.when, each.late),
        {"label": each.label, "kind": kind},
        campaign.level,
        signature,
    )


def drawn_shares(truth: dict[str, object]) -> list[tuple[str, str, float, float]]:
    """Return for each operator its axis, its name, and the share of campaigns and of messages that use it."""
    campaigns: dict[str, dict] = truth["campaigns"]  # type: ignore[assignment]
    amounts, messages = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for each in campaigns.values():
        for axis, names in (("lure", [each["lure"]]), *each["operators"].items()):
            for name in names:
                amounts[axis, name] += 1
                messages[axis, name] += each["size"]
    total = sum(messages[key] for key in messages if key[0] == "lure")
    return [(*key, amounts[key] / len(campaigns), messages[key] / total) for key in sorted(amounts)]
