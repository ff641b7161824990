"""The languages of the demo's senders, with the charsets that their mail programs use."""

from __future__ import annotations

from functools import cache

from tui.demo.texts.reading import Table, read

_FILES = ("english.toml", "western.toml", "eastern.toml", "asian.toml")


class Text(Table, frozen=True):
    """A message's subject and text, with placeholders `{n}`, `{amount}`, `{date}`, `{link}`, `{name}`."""

    subject: str
    body: str

    @property
    def paragraphs(self) -> list[str]:
        """Return the paragraphs of the text, which blank lines separate."""
        return self.body.strip("\n").split("\n\n")


class Language(Table, frozen=True):
    """A language: charsets (MIME names), names of people, and the texts of spam, phishing and honest mail."""

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
    """Return all languages by code, English first."""
    return {language.code: language for name in _FILES for language in read(name, _Languages).language}
