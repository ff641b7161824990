"""Words for the reasons why copies are odd in their campaign, and for the kinds of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.campaigns.keys import Kind, kind_of
from store.campaigns.oddness import Reason
from tui.terminal.words import copies

if TYPE_CHECKING:
    from collections.abc import Sequence

REASONS = {
    Reason.REPLY: "reply to a message",
    Reason.ALIKE: "look-alike sender",
    Reason.KNOWN: "known sender",
    Reason.APART: "peeled off, or similar",
    Reason.CLAIMS: "claims to be a reply",
    Reason.LISTED: "mailing list",
    Reason.DOMAIN: "other domain",
    Reason.CONTENT: "other text",
    Reason.PAYLOAD: "other links or files",
    Reason.ORIGIN: "other origin",
    Reason.FIT: "poor fit",
}
KINDS = {
    Kind.SUBJECT: "subject",
    Kind.SUBJECT_PAIR: "words of subject",
    Kind.SENTENCE: "sentence",
    Kind.WORDS: "words",
    Kind.CONTACT: "contact",
    Kind.FILE: "file",
    Kind.FILE_NAME: "file name",
    Kind.FILE_SIZE: "file size",
    Kind.HOST: "link host",
    Kind.LINK_DOMAIN: "link domain",
    Kind.PATH: "link path",
    Kind.COLOURS: "colours",
    Kind.NAME: "sender name",
    Kind.ADDRESS: "sender address",
    Kind.DOMAIN: "sender domain",
    Kind.LIST: "mailing list",
    Kind.KIT: "kit",
    Kind.NETWORK: "network",
}
STRANDS = ("Content", "Payload", "Origin")


def reasons_words(reasons: Sequence[Reason]) -> str:
    """Write the reasons as ``known sender, other text``."""
    return ", ".join(REASONS[reason] for reason in reasons)


def kind_words(key: int) -> str:
    """Name the kind of thing that a key stands for: ``link domain``; ``key`` for a number unknown to this version."""
    try:
        return KINDS[kind_of(key)]
    except ValueError:
        return "key"


def campaigns_words(number: int, fitting: int, odd: int) -> str:
    """Warn how many of `number` copies are in campaigns: even a known sender's account
    may be stolen and send such mail.
    """
    if number == 1:
        whose = "fits a campaign" if fitting else "is odd in its campaign"
        return f"This copy {whose}: Esc, then c shows it." if fitting or odd else ""
    said = [f"{copies(fitting)} that {'fits' if fitting == 1 else 'fit'} a campaign"] if fitting else []
    said += [f"{copies(odd)} odd in {'its' if odd == 1 else 'their'} campaign"] if odd else []
    return f"Among them: {', '.join(said)}. Read those before you deliver them." if said else ""
