"""The languages that the demo's senders write in, with the charsets that their mail programs use."""

from __future__ import annotations

from functools import cache

from tui.demo.texts.reading import Table, read

_FILES = ("english.toml", "western.toml", "eastern.toml", "asian.toml")


class Text(Table, frozen=True):
    """A message's subject and its text; `{n}`, `{amount}`, `{date}`, `{link}`, `{name}` are filled in."""

    subject: str
    body: str

    @property
    def paragraphs(self) -> list[str]:
        """What blank lines part in the body."""
        return self.body.strip("\n").split("\n\n")


class Language(Table, frozen=True):
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
        """Write a person's name in the order of the language."""
        if self.family_first:
            return f"{family}{'' if self.code in ('ja', 'zh', 'zh-tw', 'ko') else ' '}{given}"
        return f"{given} {family}"


class _Languages(Table, frozen=True):
    language: tuple[Language, ...]


@cache
def languages() -> dict[str, Language]:
    """All of them by code, English first."""
    return {language.code: language for name in _FILES for language in read(name, _Languages).language}
