"""The texts of the files that `mailhold setup` writes; distribution packages ship the same texts."""

from __future__ import annotations

import json
import shutil
import sys
from importlib import resources
from pathlib import Path

from store.installing.places import GROUP, POSTFIX, USER, Places

UNIT = "mailhold-gateway.service"
_SOCKETS = "ReadWritePaths=-/var/spool/postfix/mailhold\n"


def unit(places: Places | None = None) -> str:
    """Return the unit for systemd, with this program's path and, if given, the paths of `places`."""
    text = resources.files("store.gateway").joinpath(UNIT).read_text("utf-8").replace("@MAILHOLD@", program())
    if places is None:
        return text
    text = text.replace("/etc/mailhold/mailhold.toml", str(places.config))
    if not places.postfix:
        text = text.replace(f"SupplementaryGroups={POSTFIX}\n", "")
    lines = needed(places)
    if any(line.startswith("ProtectHome=") for line in lines):
        text = text.replace("ProtectHome=yes\n", "")
    return text.replace(_SOCKETS, "".join(f"{line}\n" for line in lines)) if lines else text


def needed(places: Places) -> list[str]:
    """Return the lines of `[Service]` that give the gateway access to folders: the socket's, and that of a store
    elsewhere.
    """
    lines = [f"ReadWritePaths=-{places.spool}/mailhold"] if places.postfix else []
    folder = places.store_folder
    if folder is not None and folder != Path("/var/lib/mailhold"):
        lines.append(f"ReadWritePaths={folder}")
        if folder.is_relative_to("/home") or folder.is_relative_to("/root"):
            # The unit hides all home folders; this makes only this one visible.
            lines += ["ProtectHome=tmpfs", f"BindPaths={folder}"]
    return lines


def program() -> str:
    """Return the absolute path of the running `mailhold`, or the usual path."""
    beside = Path(sys.executable).parent / "mailhold"
    return str(beside) if beside.exists() else shutil.which("mailhold") or "/usr/local/bin/mailhold"


def sysusers(postfix: bool) -> str:
    """Return the lines for systemd-sysusers. They name Postfix's group only if `postfix`: sysusers would create it."""
    line = f'u {USER} - "Mailhold gateway" /var/lib/mailhold\n'
    return line + (f"m {USER} {POSTFIX}\n" if postfix else "")


def tmpfiles(places: Places) -> str:
    """Return the lines for systemd-tmpfiles."""
    lines = [f"d {places.run} 0755 {USER} {GROUP} -", f"d {places.state} 2770 {USER} {GROUP} -"]
    if places.postfix:
        lines.append(f"d {places.spool}/mailhold 0750 {USER} {POSTFIX} -")
    return "\n".join(lines) + "\n"


def configuration(places: Places) -> str:
    """Return the text of a new `mailhold.toml`: store, milter, and scanners in comments."""
    group = f"group = {json.dumps(POSTFIX)}\n" if places.postfix else ""
    return f"""\
# Written by `mailhold setup`. `mailhold gateway --example-config` shows every key, and
# `mailhold gateway --check-config` checks whether the gateway can work with this file.

[store]
location = {json.dumps(places.store)}
credentials = {json.dumps(str(places.credentials))}

[milter]
listen = [{json.dumps(f"unix:{places.socket}")}]
{group}
# Scanners: remove the number signs for those that run here.
# [engines.clamd]
# address = "unix:/run/clamav/clamd.ctl"
#
# [engines.rspamd]
# address = "127.0.0.1:11333"
"""
