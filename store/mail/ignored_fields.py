"""Names of header fields that a relay adds to a released message, for the setting `release_ignores`.

Anyone who has a released message can add such fields to it, and its marker stays valid. So fields that mail programs
show, sort by or act on are refused.
"""

from __future__ import annotations

import re

from store.terms.errors import SettingError

MOST = 20
_NAME = re.compile(r"[!-9;-~]{1,100}")
_FAMILIES = ("list-", "resent-", "mime-", "content-", "arc-", "x-mailhold-", "x-spam", "x-virus", "x-amavis-")
_NEVER = frozenset(
    (
        *("date", "from", "sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to", "references"),
        *("subject", "comments", "keywords", "received", "return-path", "delivered-to", "apparently-to", "errors-to"),
        *("authentication-results", "dkim-signature", "received-spf", "autocrypt", "encrypted", "face", "x-face"),
        *("importance", "priority", "x-priority", "x-msmail-priority", "sensitivity", "precedence", "auto-submitted"),
        *("disposition-notification-to", "return-receipt-to", "x-confirm-reading-to", "mail-followup-to"),
        *("mail-reply-to", "newsgroups", "followup-to", "expires", "supersedes", "status", "x-status", "lines"),
        *("organization", "user-agent", "x-mailer", "x-unsubscribe", "x-original-to", "bimi-selector", "bimi-location"),
    )
)


def parse_names(text: str) -> tuple[str, ...]:
    """Split `text` at commas and blanks into field names, each once regardless of case. () for an empty text.

    Raises SettingError for an invalid name, a field that mail programs use, and more than 20 names.
    """
    names: dict[str, str] = {}
    for each in re.split(r"[,\s]+", text.strip()):
        if each:
            names.setdefault(each.lower(), each)
    for key, name in names.items():
        if not _NAME.fullmatch(name):
            raise SettingError(f"{name[:40]!r} is not the name of a header field. Write release_ignores=X-Relay-Note.")
        if key in _NEVER or key.startswith(_FAMILIES):
            raise SettingError(
                f"{name[:40]} cannot be in release_ignores: mail programs act on it, and anyone who has a released "
                "message could add it. Configure the relay not to add it, or to add it above the message."
            )
    if len(names) > MOST:
        raise SettingError(f"release_ignores takes {MOST} names at most: name the fields that `mailhold doctor` found.")
    return tuple(names.values())
