"""The languages that the demo's senders write in, with the charsets that their mail programs use."""

from __future__ import annotations

from typing import NamedTuple


class Text(NamedTuple):
    """A message's subject and its paragraphs; `{n}`, `{amount}`, `{date}`, `{link}`, `{name}` are filled in."""

    subject: str
    body: tuple[str, ...]


class Language(NamedTuple):
    """One language.

    Charsets by their MIME names, names of people, and what spam, phishing and honest mail say in it.
    """

    code: str
    charsets: tuple[str, ...]
    given: tuple[str, ...]
    family: tuple[str, ...]
    spam: tuple[Text, ...]
    phishing: tuple[Text, ...]
    honest: tuple[Text, ...]
    currency: str = "€"
    family_first: bool = False

    def full_name(self, given: str, family: str) -> str:
        """A person's name in the order of the language."""
        if self.family_first:
            return f"{family}{'' if self.code in ('ja', 'zh', 'zh-tw', 'ko') else ' '}{given}"
        return f"{given} {family}"


def languages() -> dict[str, Language]:
    """All of them by code, English first."""
    from tui.demo.languages_asia import ASIA
    from tui.demo.languages_east import EAST
    from tui.demo.languages_english import ENGLISH
    from tui.demo.languages_west import WEST

    return {language.code: language for language in (ENGLISH, *WEST, *EAST, *ASIA)}
