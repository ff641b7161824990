"""The data stored per message copy for finding campaigns (keys and flags) and for the filter (a few texts)."""

from __future__ import annotations

from array import array
from typing import NamedTuple


class Traits(NamedTuple):
    """The features of a copy by which campaigns are found.

    Three strands of keys: `content` (what it says), `payload` (what it carries) and `origin` (where it comes from).
    Each is an array of 64-bit unsigned integers (typecode "Q"), sorted, each once: hashes, the same in every process.
    `reply`: it has the headers of an answer; `claims`: its subject begins like an answer's, which anybody can write;
    `quotes`: its text quotes a message; `listed`: it has the headers of a mailing list. `sender`: the address in From
    (lower case, decoded, NOT safe), "" if there is none.
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
        """True if it quotes or answers a message. By default no campaign act takes such a copy."""
        return self.reply or self.quotes


class FileShape(NamedTuple):
    """An attached file: declared name (decoded, NOT safe), format by content, decoded size (bytes), SHA-256."""

    name: str
    content_type: str
    size: int
    sha256: bytes


class Texts(NamedTuple):
    """Texts of the body that the filter needs: link domains, files, the kit (the program that wrote it), List-Id."""

    links: tuple[str, ...] = ()
    files: tuple[FileShape, ...] = ()
    kit: str = ""
    list_id: str = ""


class Made(NamedTuple):
    """Everything made from the body of one copy."""

    traits: Traits
    texts: Texts = Texts()
