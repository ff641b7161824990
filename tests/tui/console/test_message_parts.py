"""Lists of attachments and links do not pass for complete if they are not, and names that promise another content."""

from __future__ import annotations

import pytest

from store.message.message import NAME_LIMIT, parse_message, summarise
from store.message.parsed import ParsedAttachment, ParsedMessage
from store.message.parser import FILE_NAME_LIMIT
from tests.tui.console.test_message_lines import plain
from tui.console.text.message_parts import attachment_lines, link_lines


def test_a_message_that_was_not_read_has_not_no_links() -> None:
    for parsed in (
        ParsedMessage(error="The message could not be parsed (why)."),
        ParsedMessage(problems=["parts are nested too deeply: not all were read"]),
        ParsedMessage(problems=["a part (text/html) could not be read: why"]),
    ):
        for lines, found in ((link_lines, "links"), (attachment_lines, "attachments")):
            note, empty, none = plain(lines(parsed, 100))
            assert note == f"△ {parsed.error or parsed.problems[0]}"
            assert (empty, none) == ("", f"No {found} were found in what was read.")
    told = ParsedMessage(problems=["the HTML redirects to another page automatically"])
    assert plain(link_lines(told, 100)) == ["The message has no links."]
    assert plain(attachment_lines(told, 100)) == ["The message has no attachments."]


@pytest.mark.parametrize("kind", ["plain", "html"])
@pytest.mark.parametrize("parts", [1, 3])
def test_more_links_than_are_listed_are_told(kind: str, parts: int) -> None:
    link = "http://x{0}.example/ " if kind == "plain" else "<a href='http://x{0}.example/'>x</a> "

    def shown(links: int) -> str:
        bodies = ["".join(link.format(one) + "\n" for one in range(at, links, parts)) for at in range(parts)]
        raw = "Content-Type: multipart/mixed; boundary=b\n\n"
        raw += "".join(f"--b\nContent-Type: text/{kind}\n\n{body}\n" for body in bodies)
        return "\n".join(plain(link_lines(parse_message(f"{raw}--b--\n".encode()), 80)))

    assert "△ not all links are listed" not in shown(500)
    assert "△ not all links are listed" in shown(501)


@pytest.mark.parametrize(
    ("name", "declared", "detected", "odd"),
    [
        ("scan.pdf", "application/octet-stream", "application/x-dosexec", True),
        ("scan.PDF . ", "", "text/html", True),
        ("photo.jpg", "application/octet-stream", "application/x-msdownload", True),
        ("notes.txt", "application/octet-stream", "application/rtf", True),
        ("letter.docx", "application/octet-stream", "application/zip", False),
        ("photo.jpg", "application/octet-stream", "image/jpeg", False),
        ("setup.exe", "application/octet-stream", "application/x-dosexec", False),
        ("list.csv", "application/octet-stream", "text/plain", False),
        ("scan.pdf", "application/octet-stream", "application/x-empty", False),
    ],
)
def test_names_that_promise_another_content_are_pointed_out(name: str, declared: str, detected: str, odd: bool) -> None:
    parsed = ParsedMessage(attachments=[ParsedAttachment(name, declared, detected, 10, b"\x01" * 32)])
    assert ("differs from the name's ending" in "\n".join(plain(attachment_lines(parsed, 100)))) == odd


@pytest.mark.parametrize("spaces", [4, 150, 987, 5000])
def test_no_run_of_spaces_hides_the_ending_of_a_name(spaces: int) -> None:
    name = f"scan.pdf{' ' * spaces}.exe"
    raw = f'Content-Type: application/octet-stream; name="{name}"\nContent-Transfer-Encoding: base64\n\nTVo=\n'
    parsed = parse_message(raw.encode())
    assert len(parsed.attachments[0].name) <= FILE_NAME_LIMIT
    shown = plain(attachment_lines(parsed, 80))[0]
    assert shown.startswith("Name             scan.pdf [") and shown.endswith("spaces] .exe")
    (kept,) = summarise(raw.encode()).attachments
    assert len(kept.name) <= NAME_LIMIT and kept.name.startswith("scan.pdf ") and kept.name.endswith(" .exe")
