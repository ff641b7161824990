"""Make an attack wave: what a quarantine holds after a bad weekend, and the truth about each message.

    python -m tests.waves OUT [--seed 1] [--count 40000] [--split 1] [--campaigns 60] [--good 120] [--targeted 5]
                              [--noise 150]

Writes OUT/wave-00.mbox ... and OUT/truth.json; `mailhold import OUT/wave-*.mbox` takes verdicts and envelopes from the
scanners' header fields. The same seed makes the same bytes; each seed has its own words, firms, brands, domains and
kits. Prints the share of each operator, which `operators.py` explains. It was written without knowledge of how Mailhold
groups mail.

truth.json: {"seed", "count", "campaigns": {label: {"lure", "languages", "actor", "operators": {axis: [name]}, "size"}},

             "messages": {Message-ID with its brackets: {"label", "kind", "engine", "status", "score", "lang"}}}
    kind "campaign"  c00 ...: campaigns of one "actor" (the label of the first) share kit, page, senders and link hosts
    kind "good"      g00 ...: a label for each newsletter, list, thread or series; "what" it is; a twin has "twin_of"
    kind "targeted"  t0 ...: "thread" is the label of the good thread that it copies
    kind "noise"     n000 ...: spam outside of campaigns
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.waves.operators import OPERATORS
from tests.waves.wave import Size, drawn_shares, make


def main() -> int:
    """Make a wave by the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.waves", description="Make an attack wave as mbox files and truth.json."
    )
    parser.add_argument("out", type=Path, help="the folder that is written")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--split", type=int, default=1, help="how many mbox files")
    for name, default in Size()._asdict().items():
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    size = Size(args.count, args.campaigns, args.good, args.targeted, args.noise)
    try:
        truth = make(args.out, args.seed, size, max(args.split, 1))
    except ValueError as error:
        parser.error(str(error))
    for axis, name, campaigns, messages in drawn_shares(truth):
        what = OPERATORS.get(axis, {}).get(name, (0, ""))[1]
        print(f"{axis:10} {name:14} {campaigns:6.0%} of campaigns {messages:6.0%} of messages  {what}")
    return 0


sys.exit(main())
