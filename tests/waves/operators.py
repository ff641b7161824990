"""What a campaign can do, how often it is drawn, and what each operator does."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple


class Lure(NamedTuple):
    """A story: its frequency, what it wants of the reader, and its files."""

    weight: float
    goals: tuple[str, ...]
    files: tuple[str, ...] = ("pdf",)


LURES = {
    "signature": Lure(5, ("link", "qr", "file", "link"), ("html", "pdf", "svg")),
    "parcel": Lure(6, ("link", "link", "link", "file"), ("zip", "html")),
    "tax": Lure(4, ("link", "file", "qr"), ("pdf", "zip", "xlsx")),
    "voicemail": Lure(5, ("file", "link", "qr"), ("html", "svg")),
    "payroll": Lure(4, ("reply", "reply", "link", "qr"), ("docx", "pdf")),
    "crypto": Lure(4, ("link", "wallet")),
    "extortion": Lure(4, ("wallet",)),
    "invoice": Lure(6, ("file", "file", "link", "phone"), ("pdf", "xlsx", "zip", "html")),
    "mailbox": Lure(4, ("link", "link", "file"), ("html",)),
    "second factor": Lure(3, ("qr",)),
    "shared file": Lure(5, ("link",)),
    "subscription": Lure(3, ("phone",), ("pdf",)),
    "loader": Lure(5, ("file", "link"), ("zip", "html", "docx")),
    "calendar": Lure(2, ("link",), ("ics",)),
    "gift cards": Lure(3, ("reply",)),
    "advance fee": Lure(3, ("reply",), ("pdf",)),
    "pills": Lure(3, ("link",)),
    "dating": Lure(2, ("link", "reply")),
    "rankings": Lure(2, ("reply",)),
    "job": Lure(2, ("reply", "link"), ("docx",)),
}

#: axis: {operator: (weight, what it does)}. A campaign draws several of `subject` and `disguise`, one of all others.
OPERATORS: dict[str, dict[str, tuple[float, str]]] = {
    "languages": {
        "one": (58, "one language"),
        "few": (27, "two to four languages: other text, the rest of the kit the same"),
        "many": (15, "six or more languages"),
    },
    "text": {
        "same": (16, "the same sentences for everybody"),
        "spintax": (22, "each sentence drawn from two to six fixed wordings"),
        "paraphrase": (20, "each sentence worded anew for each message: synonyms, order, function words"),
        "anew": (14, "written anew: only half of the thoughts, in other words, another length, and filler thoughts"),
        "brand": (10, "a brand's real notice, boilerplate and all, with one sentence of its own"),
        "hijacked": (
            12,
            "a few words above a stolen thread, another one for each victim, with its names and disclaimer",
        ),
        "short": (6, "one or two sentences, worded anew"),
    },
    "order": {
        "kept": (55, "paragraphs stand in one order"),
        "shuffled": (30, "paragraphs shuffled, sentences shuffled within"),
        "dropped": (15, "a random third of the paragraphs left out"),
    },
    "subject": {
        "numbers": (40, "a case or invoice number, drawn anew"),
        "person": (22, "the recipient's name, address or company"),
        "homoglyphs": (12, "letters replaced by look-alikes of other scripts"),
        "invisible": (10, "zero-width characters and soft hyphens between letters"),
        "emoji": (10, "an emoji before or after"),
        "tag": (14, "a random tag in brackets"),
        "prefix": (18, "Re: or Fwd: in the language, now and then"),
        "templates": (35, "two to eight fixed wordings"),
        "anew": (16, "worded anew for each message"),
    },
    "disguise": {
        "homoglyphs": (16, "a share of the body's letters replaced by look-alikes"),
        "invisible": (16, "zero-width characters, soft hyphens, word joiners in the body"),
        "hidden text": (22, "hidden paragraphs of good mail's words (display:none, size 0, white on white)"),
        "buster": (24, "a line of random characters or words at the end"),
        "split words": (14, "words cut by empty tags"),
        "disclaimer": (18, "a company's long disclaimer, copied from good mail"),
        "reply tail": (8, "a made-up quoted exchange below"),
        "comments": (14, "random HTML comments and unused styles"),
    },
    "layout": {
        "plain": (14, "text only"),
        "html": (36, "HTML only"),
        "both": (34, "HTML and the same as text"),
        "odd pair": (10, "HTML, and a text part that says something innocent"),
        "image": (6, "a picture of the text, hardly a word"),
    },
    "markup": {
        "fixed": (35, "the same tags, classes and styles"),
        "classes": (25, "class names and ids drawn anew"),
        "rebuilt": (25, "tables, divs and nesting drawn anew, attributes reordered, colours and sizes jittered"),
        "several": (15, "one of three to six page templates"),
    },
    "link": {
        "host": (14, "one host, a rotating path"),
        "pool": (14, "a pool of hosts that rotates hourly"),
        "subdomains": (12, "a new subdomain of one domain for each message"),
        "fresh": (12, "a domain of its own for each message, one shape of path"),
        "hacked": (10, "hacked sites, deep paths of site software"),
        "cloud": (14, "a shared file host that good mail and other campaigns use too"),
        "shortener": (7, "a public shortener"),
        "redirect": (7, "an open redirect of a well-known brand"),
        "token": (6, "one host; the recipient's address in the link, in base64"),
        "address": (4, "an IP address with a port"),
    },
    "file": {
        "same": (15, "the same bytes and name"),
        "bytes": (25, "other bytes each time (another SHA-256), the same name"),
        "hourly": (30, "name and bytes change with the hour"),
        "named": (30, "name and bytes change with each message; the recipient's name in it now and then"),
    },
    "sender": {
        "fixed": (8, "one address"),
        "local part": (12, "one domain, a rotating local part"),
        "pool": (14, "a pool of domains that rotates"),
        "fresh": (10, "a domain of its own for each message"),
        "accounts": (18, "taken-over accounts of companies that good mail comes from too"),
        "own domain": (8, "the recipient's own domain, forged"),
        "service": (20, "a mailing service that good newsletters use too: its domain, links, headers and network"),
        "freemail": (8, "freemail accounts, an executive's or stranger's name"),
        "look-alike": (6, "domains that look like the brand's"),
    },
    "network": {
        "host": (20, "one server"),
        "snowshoe": (25, "a few /24 networks"),
        "botnet": (35, "addresses from everywhere"),
        "cloud": (20, "a few networks of rented servers that other campaigns rent too"),
    },
    "kit": {
        "one": (62, "one mailer, boundary, Message-ID and header order"),
        "bought": (18, "a mailer that several campaigns have bought"),
        "rotating": (20, "four to seven mailers in turn, charset and transfer encoding with them"),
        "service": (0, "what the mailing service writes: never drawn, it comes with that sender"),
    },
    "pace": {
        "burst": (35, "all within an hour or two"),
        "day": (35, "spread over a day"),
        "slow": (30, "over the whole wave, in spurts"),
    },
    "drift": {
        "none": (70, "stays as it is"),
        "subject": (7, "new subject lines halfway"),
        "text": (7, "new text halfway, the same lure"),
        "link": (8, "new links halfway"),
        "sender": (8, "new senders and networks halfway"),
    },
}
_SEVERAL = {"subject": (0, 1, 1, 2, 2, 3), "disguise": (0, 0, 1, 1, 2, 3)}


def one_of(rng: Random, weights: dict[str, float]) -> str:
    """Draw a key by weight."""
    return lying_at(rng.random(), weights)


def lying_at(share: float, weights: dict[str, float]) -> str:
    """Return the key at `share` (0 to 1) of the weights laid end to end."""
    left = share * sum(weights.values())
    for name, weight in weights.items():
        left -= weight
        if left < 0:
            return name
    return list(weights)[-1]


def draw(rng: Random, lure: str, place: Callable[[str], float]) -> dict[str, list[str]]:
    """Draw the operators of one campaign, by axis, without axes that its goal does not use.

    `place` (0 to 1) is a position within each axis: evenly spread among a wave's campaigns, so that no operator is left
    out by chance.
    """
    ops: dict[str, list[str]] = {"goal": [rng.choice(LURES[lure].goals)]}
    for axis, choices in OPERATORS.items():
        weights = {name: weight for name, (weight, _) in choices.items()}
        if axis not in _SEVERAL:
            ops[axis] = [lying_at(place(axis), weights)]
            continue
        chosen = []
        for _ in range(rng.choice(_SEVERAL[axis])):
            name = one_of(rng, weights)
            del weights[name]
            chosen.append(name)
        ops[axis] = sorted(chosen)
    goal = ops["goal"][0]
    with_file = goal == "file" or lure == "calendar" or (goal in ("phone", "reply") and rng.random() < 0.3)
    if not with_file:
        del ops["file"]
    if goal not in ("link", "qr"):
        del ops["link"]
        ops["drift"] = ["none" if name == "link" else name for name in ops["drift"]]
    if goal == "reply":
        ops["layout"] = [rng.choice(("plain", "plain", "both"))]
        ops["text"] = [rng.choice(("short", "short", "paraphrase", "anew", "spintax"))]
        ops["sender"] = [rng.choice(("freemail", "freemail", "pool", "accounts", "fresh"))]
        ops["disguise"] = [name for name in ops["disguise"] if name == "disclaimer"]
    if goal == "qr" and ops["layout"][0] in ("plain", "image"):
        ops["layout"] = ["html"]
    if ops["layout"][0] == "image" and goal != "link":
        ops["layout"] = ["both"]
    if lure == "loader":
        ops["text"] = ["hijacked"]
    if ops["text"][0] == "hijacked":
        del ops["subject"]
        ops["drift"] = ["none" if name == "subject" else name for name in ops["drift"]]
        ops["sender"] = ["accounts"]
        ops["disguise"] = [name for name in ops["disguise"] if name == "disclaimer"]
        ops["layout"] = [rng.choice(("plain", "html", "both"))]
    if ops["sender"][0] in ("accounts", "service"):
        del ops["network"]
    if ops["sender"][0] == "service":
        ops["kit"] = ["service"]
    if ops["layout"][0] == "plain":
        ops["markup"] = []
        ops["disguise"] = [name for name in ops["disguise"] if name not in ("split words", "hidden text", "comments")]
    return {axis: names for axis, names in ops.items() if names}
