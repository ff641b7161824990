"""Content filtering: what a rule bans by name, format and size, and what was found of it in a message."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from store.verdicts import Verdict


class ContentPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a rule bans. `banned_names` are globs, `banned_formats` types by content or groups of them such as
    "executable", `max_size` is the largest message in bytes (0 = no limit)."""

    banned_names: tuple[str, ...] = ()
    banned_formats: tuple[str, ...] = ()
    max_size: int = 0


@dataclass(frozen=True, slots=True)
class ContentResult:
    """What was found: the verdicts, and the indexes of the attachments that are to be taken off."""

    verdicts: tuple[Verdict, ...] = ()
    banned: tuple[int, ...] = ()
