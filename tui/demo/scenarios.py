"""Why the demo's messages were kept: each engine and status of Backup, how often, in whose words, what was done."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from store.terms.verdicts import Action, Engine, Status, Verdict


class Scenario(NamedTuple):
    """One reason to be kept. `style` names the kind of letter; `files` are choices of attachments, one of them taken.

    `details` are the scanner's words: `{k}` a number, `{score}` a score, `{file}`, `{sender}`, `{link}` the message's.
    """

    engine: Engine
    status: Status
    weight: float
    style: str
    details: tuple[str, ...]
    actions: tuple[Action, ...]
    files: tuple[tuple[str, ...], ...] = ((),)


_DELETE = (Action.DELETE_MESSAGE,)
_CUT = (Action.DELETE_ATTACHMENT, Action.DELETE_MESSAGE)
_CLEANSE = (Action.DISINFECT, Action.DELETE_ATTACHMENT, Action.DELETE_MESSAGE, Action.DELETE_MESSAGE)

SCENARIOS = (
    Scenario(
        Engine.ANTI_VIRUS,
        Status.INFECTED,
        6,
        "carrier",
        (
            "Win.Trojan.Agent-{k}-0",
            "Win.Downloader.Loader-{k}-0",
            "Doc.Dropper.Agent-{k}-0",
            "Js.Downloader.Generic-{k}-0",
            "Win.Keylogger.Snoop-{k}-1",
            "Xls.Malware.Macro-{k}-0",
        ),
        _CLEANSE,
        (("hidden-exe",), ("exe", "pdf"), ("macros",), ("js",), ("iso",), ("lnk", "zip"), ("ole",), ("rar",)),
    ),
    Scenario(
        Engine.ANTI_VIRUS,
        Status.PROBABLY_INFECTED,
        3,
        "carrier",
        (
            "Heuristics.OLE2.ContainsMacros.VBA",
            "PUA.Win.Packer.Upx-{k}",
            "PUA.Doc.Tool.LibreMacro-{k}",
        ),
        _CLEANSE,
        (("macros",), ("ole",), ("exe",), ("rtf", "pdf")),
    ),
    Scenario(
        Engine.ANTI_VIRUS,
        Status.CORRUPTED,
        2,
        "carrier",
        ("Heuristics.Broken.Executable", "Heuristics.Broken.Media.ZIP.CantReadDirectory"),
        _CUT,
        (("broken-exe",), ("broken-zip",)),
    ),
    Scenario(
        Engine.ANTI_VIRUS,
        Status.ENCRYPTED,
        3,
        "carrier",
        ("Heuristics.Encrypted.Zip", "Heuristics.Encrypted.RAR", "Heuristics.Encrypted.7Zip"),
        _CUT,
        (("locked-zip",), ("locked-zip", "jpeg"), ("rar",), ("7z",)),
    ),
    Scenario(
        Engine.ANTI_SPAM,
        Status.SPAM,
        30,
        "spam",
        (
            "{score} of 15.0: BAYES_SPAM, R_SPF_FAIL, HFILTER_HOSTNAME_UNKNOWN",
            "{score} of 15.0: BAYES_SPAM, MIME_HTML_ONLY, URI_COUNT_ODD",
            "{score} of 15.0: BAYES_SPAM, SUBJ_ALL_CAPS, FREEMAIL_REPLYTO",
            "{score} of 15.0: BAYES_SPAM, R_DKIM_REJECT, DMARC_POLICY_REJECT",
            "{score} of 15.0: FUZZY_DENIED, MISSING_MID, RCVD_NO_TLS_LAST",
        ),
        _DELETE,
        ((), (), (), (), ("png",), ("jpeg",), ("pdf",)),
    ),
    Scenario(
        Engine.ANTI_SPAM,
        Status.PROBABLE_SPAM,
        11,
        "spam",
        (
            "{half} of 15.0: BAYES_SPAM, MANY_INVISIBLE_PARTS",
            "{half} of 15.0: R_SPF_SOFTFAIL, FROM_NEQ_ENVFROM, MISSING_TO",
            "{half} of 15.0: HTML_SHORT_LINK_IMG_1, FORGED_RECIPIENTS",
        ),
        _DELETE,
        ((), (), (), ("jpeg",)),
    ),
    Scenario(
        Engine.ANTI_SPAM,
        Status.BLACKLISTED,
        4,
        "spam",
        ("BLACKLIST_FROM: *@{domain}", "BLACKLIST_IP: {client}"),
        _DELETE,
    ),
    Scenario(
        Engine.ANTI_SPAM,
        Status.MASSMAIL,
        8,
        "bulk",
        (
            "{score} of 15.0: PRECEDENCE_BULK, MAILLIST",
            "{score} of 15.0: PRECEDENCE_BULK, HAS_LIST_UNSUB, URI_COUNT_ODD",
        ),
        _DELETE,
    ),
    Scenario(
        Engine.ANTI_PHISHING,
        Status.PHISHING,
        9,
        "phishing",
        ("PHISHING: {shown} -> {link}", "Heuristics.Phishing.Email.SpoofedDomain", "PHISHED_LIST: {link}"),
        _DELETE,
        ((), (), (), ("html",), ("pdf",)),
    ),
    Scenario(
        Engine.ANTI_PHISHING,
        Status.MALICIOUS_LINK,
        5,
        "phishing",
        ("MALICIOUS_LINK: {link}",),
        _DELETE,
    ),
    Scenario(
        Engine.CONTENT,
        Status.BANNED_FILE_NAME,
        4,
        "carrier",
        ("{file}",),
        _CUT,
        (("hidden-exe",), ("js",), ("vbs",), ("lnk",), ("exe", "png")),
    ),
    Scenario(
        Engine.CONTENT,
        Status.BANNED_FILE_FORMAT,
        4,
        "carrier",
        ("{format}: {file}",),
        _CUT,
        (("disguised-exe",), ("iso",), ("mp4",), ("rar",), ("7z", "word")),
    ),
    Scenario(
        Engine.BLACK_LIST,
        Status.BLACKLISTED,
        4,
        "spam",
        ("{sender}", "*@{domain}"),
        _DELETE,
    ),
)

#: Not drawn by weight: these are as large as they say.
SIZE_EXCEEDED = Scenario(Engine.CONTENT, Status.SIZE_EXCEEDED, 0, "carrier", ("{size} MB, the limit is 8 MB",), _DELETE)

#: What a scanner says of a kind of file, where it does not say the same of every kind.
WORDS_FOR_FILE = {
    (Status.PROBABLY_INFECTED, "exe"): "PUA.Win.Packer.Upx-{k}",
    (Status.PROBABLY_INFECTED, "rtf"): "Heuristics.RTF.EmbeddedObject",
    (Status.PROBABLY_INFECTED, "macros"): "Heuristics.OLE2.ContainsMacros.VBA",
    (Status.CORRUPTED, "broken-exe"): "Heuristics.Broken.Executable",
    (Status.CORRUPTED, "broken-zip"): "Heuristics.Broken.Media.ZIP.CantReadDirectory",
    (Status.ENCRYPTED, "locked-zip"): "Heuristics.Encrypted.Zip",
    (Status.ENCRYPTED, "rar"): "Heuristics.Encrypted.RAR",
    (Status.ENCRYPTED, "7z"): "Heuristics.Encrypted.7Zip",
    (Status.INFECTED, "js"): "Js.Downloader.Generic-{k}-0",
    (Status.INFECTED, "macros"): "Doc.Dropper.Agent-{k}-0",
    (Status.INFECTED, "ole"): "Doc.Malware.Macro-{k}-0",
}
FORMATS = {
    "disguised-exe": "Executable",
    "iso": "Disc image",
    "mp4": "Video",
    "rar": "RAR archive",
    "7z": "7-Zip archive",
}


class Rule(NamedTuple):
    """A processing rule: the number the filter asks for, and its name."""

    id: int
    name: str


RULES = (
    Rule(1, "Default"),
    Rule(2, "Inbound from the Internet"),
    Rule(3, "Finance and payroll"),
    Rule(4, "Board and management"),
    Rule(6, "Partners"),
    Rule(8, "Engineering lists"),
    Rule(11, "Tokyo office"),
)


def rule_for(recipients: tuple[str, ...], sender: str, rng: Random) -> Rule:
    """The rule that judged a message: by its recipients first, then by its sender."""
    first = recipients[0] if recipients else ""
    if first.startswith(("ap@", "payroll@", "ines.")):
        return RULES[2]
    if first.startswith(("board@", "ruth.")):
        return RULES[3]
    if first.endswith("@tokyo.example.org"):
        return RULES[6]
    if sender.endswith(("-partners.example", "-logistik.example", "-parts.example", "-metal.example")):
        return RULES[4]
    return RULES[0] if rng.random() < 0.15 else RULES[1]


def verdicts_for(reason: Verdict, rng: Random) -> tuple[Verdict, ...]:
    """What each engine said: the reason, and what the others found before it or besides it."""
    if reason.engine is Engine.BLACK_LIST:
        return (reason, *(Verdict(engine, Status.NOT_SCANNED) for engine in _SCANNERS))
    found = []
    for engine in _SCANNERS:
        if engine is reason.engine:
            found.append(reason)
        elif engine is Engine.ANTI_SPAM and reason.engine is Engine.ANTI_PHISHING:
            found.append(Verdict(engine, Status.PROBABLE_SPAM, f"{rng.uniform(7, 14):.1f} of 15.0: BAYES_SPAM"))
        elif engine is Engine.ANTI_SPAM and reason.engine is Engine.ANTI_VIRUS and rng.random() < 0.3:
            found.append(Verdict(engine, Status.NOT_SCANNED, "skipped: infected"))
        elif engine is Engine.ANTI_SPAM:
            found.append(Verdict(engine, Status.CLEAN, f"{rng.uniform(-3, 5):.1f} of 15.0"))
        else:
            found.append(Verdict(engine, Status.CLEAN))
    return tuple(found)


_SCANNERS = (Engine.ANTI_VIRUS, Engine.ANTI_SPAM, Engine.ANTI_PHISHING, Engine.CONTENT)
