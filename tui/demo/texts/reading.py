"""Reads the tables beside it."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import TypeVar

import msgspec

T = TypeVar("T")


class Table(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """A table of such a file: `spam_domains` here is `spam-domains` there."""


def text_of(name: str) -> str:
    """Read the text file of that name."""
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def read(name: str, kind: type[T]) -> T:
    """Read the file of that name as `kind`. Raises msgspec.ValidationError if it holds something else."""
    return msgspec.convert(tomllib.loads(text_of(name)), kind)
