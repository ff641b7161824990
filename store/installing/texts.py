"""The text of each file that setting up writes; a package of a distribution ships the same."""

from __future__ import annotations

import json
import shutil
import sys
from importlib import resources
from pathlib import Path

from store.installing.places import GROUP, POSTFIX, USER, Places

UNIT = "mailhold-gateway.service"


def unit(places: Places | None = None) -> str:
    """Return the unit for systemd, with this program's path and, if given, the paths of `places`."""
    text = resources.files("store.gateway").joinpath(UNIT).read_text("utf-8").replace("@MAILHOLD@", program())
    if places is None:
        return text
    spool = "/var/spool/postfix/mailhold"
    text = text.replace("/etc/mailhold/mailhold.toml", str(places.config)).replace(spool, f"{places.spool}/mailhold")
    if not places.postfix:
        text = text.replace(f"SupplementaryGroups={POSTFIX}\n", "")
    folder = places.store_folder
    if folder is not None and folder != Path("/var/lib/mailhold"):
        written = f"ReadWritePaths=-{places.spool}/mailhold\n"
        text = text.replace(written, f"{written}ReadWritePaths={folder}\n")
    return text


def program() -> str:
    """Return the absolute path of the running `mailhold`, or its usual one."""
    beside = Path(sys.executable).parent / "mailhold"
    return str(beside) if beside.exists() else shutil.which("mailhold") or "/usr/local/bin/mailhold"


def sysusers(postfix: bool) -> str:
    """Return the lines for systemd-sysusers, which would make Postfix's group too: hence `postfix`."""
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
# `mailhold gateway --check-config` looks whether the gateway can work with what stands here.

[store]
location = {json.dumps(places.store)}
credentials = {json.dumps(str(places.credentials))}

[milter]
listen = [{json.dumps(f"unix:{places.socket}")}]
{group}
# Scanners: take the number signs away where they run.
# [engines.clamd]
# address = "unix:/run/clamav/clamd.ctl"
#
# [engines.rspamd]
# address = "127.0.0.1:11333"
"""
