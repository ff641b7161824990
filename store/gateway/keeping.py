"""Hand a copy of an incoming message to the store, in a thread that does not wait for the commit."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from store.gateway.log import say
from store.gateway.policy import ENROLMENT
from store.mail.incoming import Incoming
from store.terms.errors import MailholdError

if TYPE_CHECKING:
    from store.authority.settings import Settings
    from store.terms.records import CopyRecord
    from store.vault.vault import Vault

#: Called with the copy's id once it is durable, or with the error.
Told = Callable[[int | BaseException], None]


class NotKept(Exception):
    """A copy could not be placed. `str()` is the reason, free of message content; `kind` names it in one word."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


def begin(
    vault: Vault | None,
    settings: Settings | None,
    refused: Mapping[str, str],
    incoming: Incoming,
    record: Callable[[], CopyRecord],
    told: Told,
) -> None:
    """Make a message's record and hand in its copy. Never raises: calls `told` with the result, from any thread.

    `refused` maps parts of the configuration that do not verify to the reason. Errors are NotKept, or whatever `record`
    raises.
    """
    try:
        filled = record()
    except Exception as error:
        told(error)
        return
    try:
        _hand_in(vault, settings, refused, incoming, filled, told)
    except Exception as error:
        told(_not_kept(error))


def _hand_in(
    vault: Vault | None,
    settings: Settings | None,
    refused: Mapping[str, str],
    incoming: Incoming,
    record: CopyRecord,
    told: Told,
) -> None:
    """Hand in the copy. A message that was placed before, but whose client got no answer then, keeps that copy."""
    if vault is None:
        raise NotKept("store", "The store is not open.")
    if incoming.truncated:
        raise NotKept("size", "A message is larger than the gateway accepts (max_message), so it has no complete copy.")
    if settings is not None and len(incoming.raw) > settings.max_size:
        raise NotKept("size", "A message is larger than the maximum size of Backup.")
    if ENROLMENT in refused:
        raise NotKept("enrolment", refused[ENROLMENT])
    unanswered, digest = vault.unanswered, hashlib.sha256(incoming.raw).digest()
    tag = unanswered.tag(digest, incoming.sender, incoming.recipients)

    def placed(copy_id: int, error: Exception | None) -> None:
        if error is not None:
            told(_not_kept(error))
            return
        incoming.settle = lambda answered: unanswered.settle(tag, copy_id, answered=answered)
        told(copy_id)

    before = unanswered.take(tag)
    if before is None:
        vault.hand_in(incoming.raw, record, placed, tag=tag, digest=digest)
    else:
        say("message placed before", queue_id=incoming.queue_id, copy=before)
        placed(before, None)


def _not_kept(error: Exception) -> NotKept:
    if isinstance(error, NotKept):
        return error
    if isinstance(error, MailholdError):
        return NotKept("store", str(error))
    say("a copy could not be placed", level=logging.ERROR, error=error)
    return NotKept("store", f"The store does not work as it should ({type(error).__name__}).")
