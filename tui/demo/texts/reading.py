"""Reads the TOML and text files of this folder."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import TypeVar

import msgspec

T = TypeVar("T")


class Table(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """Base of the tables: the field `spam_domains` is `spam-domains` in the file."""


def text_of(name: str) -> str:
    """Read the text file of that name."""
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def read(name: str, kind: type[T]) -> T:
    """Read the TOML file of that name as `kind`. Raises msgspec.ValidationError if it holds something else."""
    return msgspec.convert(tomllib.loads(text_of(name)), kind)
