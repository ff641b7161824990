"""What the gateway writes above a message: envelope, verdicts, its Received line. Two nodes, two scanners."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from random import Random
from typing import NamedTuple

from tests.waves.mime import Mail
from tests.waves.words import shaped


class Found(NamedTuple):
    """The scanners' result: the engine, its status, the score, and a signature if one matched."""

    engine: str
    status: str
    score: float
    name: str = ""


_LEVELS = {
    # pressure: weights of (spam, probable, phishing, malicious link, infected, banned, blacklisted, massmail)
    "file": (30, 14, 8, 4, 30, 10, 2, 2),
    "link": (38, 18, 24, 14, 0, 0, 4, 2),
    "words": (50, 34, 8, 0, 0, 0, 6, 2),
    "good": (22, 52, 8, 4, 0, 4, 0, 10),
}
_NAMES = (
    ("anti-spam", "spam"),
    ("anti-spam", "probable-spam"),
    ("anti-phishing", "phishing"),
    ("anti-phishing", "malicious-link"),
    ("anti-virus", "infected"),
    ("content", "banned-file-name"),
    ("anti-spam", "blacklisted"),
    ("anti-spam", "massmail"),
)


def judged(rng: Random, level: str, signature: str = "") -> Found:
    """Draw a verdict for a message of the level `level`: file, link, words or good."""
    engine, status = rng.choices(_NAMES, weights=_LEVELS[level])[0]
    if status in ("infected", "banned-file-name"):
        return Found(engine, status, 0.0, signature or shaped(rng, "Sig.<H4>-<d5>"))
    low, high = (5.1, 14.4) if status == "probable-spam" else (15.1, 19.0 if level == "good" else 34.0)
    return Found(engine, status, round(rng.uniform(low, high), 1))


def headed(rng: Random, mail: Mail, found: Found, gateway: str, message: bytes) -> bytes:
    """Return `message` with the lines that a node of `gateway` writes above it."""
    queue = shaped(rng, "4<A9>")
    top = [f"X-Envelope-From: <{mail.envelope}>", f"X-Envelope-To: <{mail.to}>"]
    symbols = {
        "phishing": "PHISHING",
        "malicious-link": "MALICIOUS_LINK",
        "massmail": "PRECEDENCE_BULK",
        "blacklisted": "BLACKLIST_FROM",
    }
    if found.status == "infected":
        top.append(f"X-Virus-Status: Infected ({found.name})")
    elif found.status == "banned-file-name":
        top.append(f"X-Amavis-Alert: BANNED, message contains part: multipart/mixed,{found.name}")
    elif found.engine == "anti-phishing" or found.status == "massmail" or rng.random() < 0.6:
        reject = found.status != "probable-spam" and found.score >= 15
        drawn = [f"{symbols[found.status]}(8.00)[]"] if found.status in symbols else []
        drawn += rng.sample(
            [
                "BAYES_SPAM(5.10)[99.9%]",
                "R_SPF_SOFTFAIL(1.00)[]",
                "HTML_SHORT_LINK_IMG_1(2.00)[]",
                "R_DKIM_NA(0.00)[]",
                "MID_RHS_MATCH_FROM(0.00)[]",
                "FUZZY_DENIED(6.00)[]",
                "RBL_SENDERSCORE(2.00)[]",
            ],
            3,
        )
        top.append(f"X-Spamd-Result: default: {reject} [{found.score} / 15.00];\n\t" + ";\n\t".join(drawn))
        top.append(f"X-Rspamd-Action: {'reject' if reject else 'add header'}")
    else:
        listed = " BLACKLISTED" if found.status == "blacklisted" else ""
        tests = ",".join(
            sorted(
                rng.sample(
                    ["BAYES_99", "RDNS_NONE", "HTML_MESSAGE", "URIBL_BLACK", "MIME_HTML_ONLY", "FSL_BULK_SIG"], 3
                )
            )
        )
        top.append(f"X-Quarantine-ID: <{shaped(rng, '<A12>')}>")
        top.append(f"X-Spam-Status: Yes, score={found.score} tag=-999 tag2=5 kill=15{listed} tests=[{tests}]")
    client = f"{mail.helo} ({rng.choice((mail.helo, 'unknown'))} [{mail.ip}])"
    stamp = format_datetime(mail.when)
    top.append(
        f"Received: from {client} by mx{rng.randint(1, 2)}.{gateway} (Postfix) with ESMTPS id {queue}\n"
        f"\tfor <{mail.to}>; {stamp}"
    )
    return "\n".join(top).encode() + b"\n" + message


def separated(sender: str, when: datetime, message: bytes) -> bytes:
    """Return the message as an mboxrd file holds it: its separator first, an empty line last."""
    lines = [
        b">" + line if line.lstrip(b">").startswith(b"From ") else line for line in message.rstrip(b"\n").split(b"\n")
    ]
    return f"From {sender or 'MAILER-DAEMON'} {when:%a %b %d %H:%M:%S %Y}\n".encode() + b"\n".join(lines) + b"\n\n"
