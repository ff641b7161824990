"""The commands of `mailhold`, one module each.

A module is imported only when its command is named: that keeps start-up short. A module imports at its top only what
its options and texts need. Imports for opening a store (cryptography and the database: 40 to 300 ms of CPU) belong in
`run`, so that `--help` and wrong usage answer at once.

Each module has `arguments(parser)`, which declares its options, and `run(args) -> int`, which executes the command and
returns the exit code: 0 done, 1 failed or partly done, 2 wrong usage or not confirmed (nothing was done).
"""

from __future__ import annotations

#: name -> (module, one line of help), in the order of `mailhold --help` and of the table in docs/commands.md.
COMMANDS: dict[str, tuple[str, str]] = {
    "console": ("tui.commands.console", "open the console on a store (the default without a command)"),
    "demo": (
        "tui.commands.demo",
        "try the console on a temporary store of sample mail, with a local receiver for deliveries",
    ),
    "setup": (
        "tui.commands.setup",
        "set up a gateway on this machine: user, folders, store, credentials, configuration",
    ),
    "init": ("tui.commands.init", "create a store and print its recovery key once"),
    "import": ("tui.commands.import_", "place messages from files, mailboxes and quarantine folders in Backup"),
    "index": ("tui.commands.index", "index copies that are not indexed yet, so that campaigns can be found"),
    "list": ("tui.commands.list_", "list message copies that match a filter, newest first"),
    "show": ("tui.commands.show", "show all fields of a copy, or the raw message"),
    "campaigns": (
        "tui.commands.campaigns",
        "list and show campaigns (copies grouped by wave); take copies out, join, name and own them",
    ),
    "save": ("tui.commands.save", "save copies to a folder, byte for byte"),
    "deliver": ("tui.commands.deliver", "place copies in the delivery queue"),
    "delete": ("tui.commands.delete", "delete copies (they go to the bin, unless --for-good)"),
    "bin": ("tui.commands.bin", "list, restore or delete the copies in the bin"),
    "queue": ("tui.commands.queue", "show the delivery queue; send, retry or cancel deliveries"),
    "undo": ("tui.commands.undo", "undo the last thing you did, or redo it"),
    "rules": ("tui.commands.rules", "show or change the processing rules; export and import them as TOML"),
    "lists": ("tui.commands.lists", "show or change the custom black list and white list of addresses"),
    "settings": ("tui.commands.settings", "show or change the Backup settings"),
    "status": ("tui.commands.status", "show the number of copies, the space used, the queue and problems"),
    "check": ("tui.commands.check", "verify every copy, signature and hash chain"),
    "backup": ("tui.commands.backup", "back up the store to a file while it is in use, and verify the backup"),
    "restore": ("tui.commands.restore", "accept a store that was restored from a backup, so that it can be used again"),
    "upgrade": ("tui.commands.upgrade", "upgrade a store from an older release to the format of this one"),
    "doctor": ("tui.commands.doctor", "send test messages through the MTA and check that each arrives in the store"),
    "gateway": ("tui.commands.gateway", "run the gateway beside an MTA; enrol, list and revoke gateways"),
    "keys": ("tui.commands.keys", "list, add and remove the passphrases and keys that unlock the store"),
}
