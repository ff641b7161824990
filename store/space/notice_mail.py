"""The mail that tells the administrator that Backup is running out of free space.

The same notice always has the same Message-ID, so that a mail system can recognise a duplicate sent after a crash.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from store.mail import administrator
from store.terms.sizes import format_size

if TYPE_CHECKING:
    from store.authority.settings import Settings
    from store.space.limits import Usage


def compose(settings: Settings, usage: Usage, *, number: int, now: int, host: str, store_id: bytes) -> bytes:
    """Write the notification as an RFC 5322 message with CRLF line ends.

    `number` counts the notices of this store; `host` is the name of the console's or gateway's host; `now` is Unix ms.
    `settings.administrator` must be a checked address.
    """
    free, below = format_size(usage.free_bytes), format_size(settings.notify_below)
    oldest = f"{datetime.fromtimestamp(usage.oldest / 1000, UTC):%d %b %Y %H:%M} UTC" if usage.oldest else "none"
    text = f"""\
The free space of Backup on {host} has gone below the threshold of {below}.

    Free space        {free}
    Used              {format_size(usage.used_bytes)} of {format_size(usage.max_bytes)}
    Message copies    {usage.messages:,}
    Oldest copy       {oldest}

As soon as the maximum size is exceeded, the oldest copies are removed.
To keep them for longer, delete copies that are not needed, or raise the
maximum:

    mailhold settings set max_size=SIZE

This notification is sent once. It is sent again only after space was freed.
"""
    message_id = f"backup-space-{number}-{hashlib.sha256(store_id).hexdigest()[:16]}@{host}"
    subject = f"Backup on {host}: {free} of free space left"
    return administrator.compose(settings.administrator, subject, text, message_id=message_id, now=now)
