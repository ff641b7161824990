"""What is kept of a message copy so that campaigns can be found in it: keys, flags, and the few texts of the filter."""

from __future__ import annotations

from array import array
from typing import NamedTuple


class Traits(NamedTuple):
    """What a copy has in common with others, by which campaigns are found.

    Three strands of keys: `content` (what it says), `payload` (what it carries) and `origin` (where it comes from).
    Each is an array of 64-bit unsigned integers (typecode "Q"), sorted, each once: hashes, the same in every process.
    `reply`: it has the headers of an answer; `claims`: its subject begins as one of an answer, which costs nothing;
    `quotes`: its text quotes a message; `listed`: it has the headers of a mailing list. `sender` is the address in From
    (lower case, decoded, NOT safe), "" where there is none.
    """

    content: array[int]
    payload: array[int]
    origin: array[int]
    reply: bool
    listed: bool
    sender: str
    quotes: bool = False
    claims: bool = False

    @property
    def threaded(self) -> bool:
        """True where it quotes or answers a message: such a copy is in no act on a campaign by default."""
        return self.reply or self.quotes


class FileShape(NamedTuple):
    """A file that a copy carries: declared name (decoded, NOT safe), format by content, decoded size, SHA-256."""

    name: str
    content_type: str
    size: int
    sha256: bytes


class Texts(NamedTuple):
    """What the filter asks of the body: domains of links, files, the kit (the program that wrote it), List-Id."""

    links: tuple[str, ...] = ()
    files: tuple[FileShape, ...] = ()
    kit: str = ""
    list_id: str = ""


class Made(NamedTuple):
    """All that is made from the body of one copy."""

    traits: Traits
    texts: Texts = Texts()
