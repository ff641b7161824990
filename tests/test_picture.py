"""The pictures keep their columns whatever fonts there are, and name no web font."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from tests.contrast import blended, contrast, pairs
from tests.picture import CELL, pieces, placed
from tests.screenshots import FOLDER, SHOTS


def drawn(text: str, left: str = "12.2") -> str:
    """Return a picture of one text, as Textual writes it."""
    said = text.replace("&", "&amp;").replace(" ", "&#160;")
    return (
        "<svg><!-- made --><style>@font-face { src: url(https://a.invalid/f) } .terminal-1-matrix { font-family: "
        'Fira Code, monospace; font-size: 20px; } .terminal-1-r1 { fill: #111111 }</style><rect fill="#222222" x="0" '
        f'y="1.5" width="900" height="24"/><text class="terminal-1-r1" x="{left}" y="20" textLength="9" '
        f'clip-path="url(#terminal-1-line-0)">{said}</text></svg>'
    )


@pytest.mark.parametrize(
    "text", ["one  two   three", "副業で月収JPY 18,500を…  55 K", "[중요] 계정", "a  ลดราคา 88%  b"]
)
def test_each_piece_is_at_its_cell(text: str) -> None:
    for piece in pieces(text):
        before = next(at for at in range(len(text)) if cell_len(text[:at]) == piece.cell and text[at] != " ")
        assert text[before:].startswith(piece.text)
        assert cell_len(piece.text) == piece.cells
    assert "".join(piece.text for piece in pieces(text)).replace(" ", "") == text.replace(" ", "")


def test_joining_scripts_are_one_piece_kept_in_its_cells() -> None:
    text = "53% הנחה על הכל"
    assert [(piece.text, piece.kept) for piece in pieces(text)] == [(text, True)]
    assert '<svg x="36.6" y="0"' in placed(drawn(f"  {text}"), "p")


def test_wide_characters_stand_alone_at_two_cells() -> None:
    picture = placed(drawn("限時55"), "p")
    assert re.findall(r'x="([\d.]+)" y="20" textLength="([\d.]+)"', picture) == [
        ("12.2", "24.4"),
        ("36.6", "24.4"),
        ("61", "24.4"),
    ]


def test_no_web_font_no_remark_and_names_of_its_own() -> None:
    picture = placed(drawn("a & b"), "list")
    assert "a.invalid" not in picture and "<!--" not in picture and "terminal-1" not in picture
    assert 'class="list-r1"' in picture and ">a &amp; b<" in picture


def test_pairs_are_found_in_what_is_placed() -> None:
    (text,) = {(pair.text, pair.ground) for said in ("ab", "限", "ลด") for pair in pairs(placed(drawn(said), "p"))}
    assert text == ("#111111", "#222222")


def test_contrast_is_what_it_is_said_to_be() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert blended("#000000", "#ffffff", 0.25) == "#404040"


def test_the_committed_pictures_are_placed() -> None:
    for shot in SHOTS:
        picture = (FOLDER / f"{shot.name}.svg").read_text()
        assert "@font-face" not in picture and "&#160;&#160;" not in picture, shot.name
        edges = [
            float(x) + float(width)
            for x, width in re.findall(r' x="([\d.]+)" y="[\d.]+" textLength="([\d.]+)"', picture)
        ]
        assert max(edges) <= shot.size[0] * CELL + 1, shot.name
