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
    "console": ("tui.commands.console", "open the console on a store (what `mailhold` does without a command)"),
    "demo": (
        "tui.commands.demo",
        "open the console on a throw-away store of sample mail, with a receiver to deliver to",
    ),
    "setup": (
        "tui.commands.setup",
        "make what a gateway needs on this machine: user, folders, store, credentials, configuration",
    ),
    "init": ("tui.commands.init", "create a store and print its recovery key once"),
    "import": ("tui.commands.import_", "place messages from files, mailboxes and quarantine folders in Backup"),
    "index": ("tui.commands.index", "make of the copies what campaigns are found by; what is made already stays"),
    "list": ("tui.commands.list_", "list message copies, newest first, by the filter language"),
    "show": ("tui.commands.show", "show everything about a copy, or its bytes"),
    "campaigns": ("tui.commands.campaigns", "the copies by wave, and why; take copies out, join, name and own waves"),
    "save": ("tui.commands.save", "save copies to a folder, byte for byte"),
    "deliver": ("tui.commands.deliver", "place copies in the delivery queue"),
    "delete": ("tui.commands.delete", "delete copies from Backup"),
    "bin": ("tui.commands.bin", "the copies that were deleted and can come back"),
    "queue": ("tui.commands.queue", "show the delivery queue; retry or cancel a delivery"),
    "undo": ("tui.commands.undo", "take your last act back, or do again what was taken back"),
    "rules": ("tui.commands.rules", "show or change the processing rules; export and import them as TOML"),
    "lists": ("tui.commands.lists", "show or change the custom black list and white list of addresses"),
    "settings": ("tui.commands.settings", "show or change the Backup settings"),
    "status": ("tui.commands.status", "how many copies there are, and how much space they take"),
    "check": ("tui.commands.check", "verify every copy, signature and chain"),
    "backup": ("tui.commands.backup", "write a copy of the store to a file, while it is in use, and verify it"),
    "restore": ("tui.commands.restore", "sign that a store that was put back holds, so that work goes on with it"),
    "upgrade": ("tui.commands.upgrade", "bring a store that a former release made to this one's format"),
    "doctor": ("tui.commands.doctor", "send test messages through the MTA, and follow each to the store"),
    "gateway": ("tui.commands.gateway", "judge mail beside an MTA and keep copies; enrol, list and revoke gateways"),
    "keys": ("tui.commands.keys", "list, add and remove the ways to unlock the store"),
}
