"""Keys: features that copies share, as 64-bit numbers that are the same in every process and release.

    key = kind (8 bits) || the first 56 bits of BLAKE2b(kind || text)

The upper half of the kind is the strand. So a key reveals the kind of feature, but not the text.
"""

from __future__ import annotations

import enum
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b

_SHIFT, _STRAND_SHIFT = 56, 60
#: Characters of a key's text that are hashed.
TEXT_LIMIT = 400


class Strand(enum.IntEnum):
    """Groups of keys: what a copy says, what it carries, and where it comes from."""

    CONTENT = 1
    PAYLOAD = 2
    ORIGIN = 3


class Kind(enum.IntEnum):
    """The kind of feature that a key stands for; the upper four bits are its strand."""

    SUBJECT = 0x10
    SUBJECT_PAIR = 0x11
    SENTENCE = 0x12
    WORDS = 0x13
    CONTACT = 0x14
    FILE = 0x20
    FILE_NAME = 0x21
    FILE_SIZE = 0x22
    HOST = 0x23
    LINK_DOMAIN = 0x24
    PATH = 0x25
    COLOURS = 0x26
    NAME = 0x30
    ADDRESS = 0x31
    DOMAIN = 0x32
    LIST = 0x33
    KIT = 0x34
    NETWORK = 0x35

    @property
    def strand(self) -> Strand:
        """The strand of keys of this kind."""
        return Strand(self >> 4)


#: A feature of a copy: its kind, and the text to hash.
Trait = tuple[Kind, str]


#: By kind: the byte that is hashed first, and the key's upper 8 bits.
_HEADS = [(bytes((number,)), number << _SHIFT) for number in range(256)]


def key_of(kind: int, text: str) -> int:
    """Hash a kind and a text to a 64-bit key. Keys of different kinds never collide."""
    head, upper = _HEADS[kind]
    digest = blake2b(head + text[:TEXT_LIMIT].encode("utf-8", "replace"), digest_size=7).digest()
    return upper | int.from_bytes(digest, "big")


def kind_of(key: int) -> Kind:
    """Return the kind of a key. Raises ValueError if the number is not a key."""
    return Kind(key >> _SHIFT)


def strands(traits: Iterable[Trait]) -> tuple[array[int], array[int], array[int]]:
    """Hash traits to keys, by strand; sorted, each once."""
    keys = sorted({key_of(kind, text) for kind, text in traits})
    payload = bisect_left(keys, Strand.PAYLOAD << _STRAND_SHIFT)
    origin = bisect_left(keys, Strand.ORIGIN << _STRAND_SHIFT)
    return array("Q", keys[:payload]), array("Q", keys[payload:origin]), array("Q", keys[origin:])
