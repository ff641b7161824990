"""The animated picture: its shapes, and that the committed one plays anywhere, is small and legible."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from rich.segment import Segment
from rich.style import Style

from tests.contrast import ENOUGH, contrast
from tests.film import PICTURE, SCENES
from tests.film_svg import CELL, LINE, MARGIN, Cell, Frame, Look, cells_of, film, keyframes
from tests.readme import ROOT

SVG = "{http://www.w3.org/2000/svg}"
TEXT = PICTURE.read_text()
TREE = ElementTree.fromstring(TEXT)
FRAMES = TREE.findall(f".//{SVG}g[@class='frame']")
LINES = {group.get("id"): group for group in TREE.findall(f"{SVG}defs/{SVG}g")}


def drawn(*segments: Segment) -> list[tuple[str, dict[str, str], str | None]]:
    """Return the shapes of a line as tag, attributes and text, without the class."""
    svg = ElementTree.fromstring(film([Frame([cells_of(segments)], ["x"], "", 1)], "t"))
    return [
        (each.tag.removeprefix(SVG), {name: value for name, value in each.attrib.items() if name != "class"}, each.text)
        for each in svg.findall(f"{SVG}defs/{SVG}g/*")
    ]


def test_words_stand_in_their_columns_whatever_the_font() -> None:
    assert drawn(Segment("  ab c   d<")) == [
        ("text", {"x": str(2 * CELL), "y": "14", "textLength": str(4 * CELL)}, "ab c"),
        ("text", {"x": str(9 * CELL), "y": "14", "textLength": str(2 * CELL)}, "d<"),
    ]


def test_a_wide_character_takes_two_columns_and_a_mark_none() -> None:
    assert [cell.width for cell in cells_of([Segment("新e\u0301x")])] == [2, 1, 1]
    assert [(at["x"], at.get("textLength"), text) for _, at, text in drawn(Segment("新言 e\u0301x"))] == [
        ("0", str(4 * CELL), "新言"),
        (str(5 * CELL), str(2 * CELL), "e\u0301x"),
    ]


def test_a_symbol_stands_in_the_middle_of_its_cell() -> None:
    assert drawn(Segment("a✓")) == [
        ("text", {"x": "0", "y": "14"}, "a"),
        ("text", {"x": str(1.5 * CELL), "y": "14"}, "✓"),
    ]


def test_lines_and_bars_are_shapes_that_meet() -> None:
    (line,) = drawn(Segment("──"))
    assert line == ("rect", {"y": "9", "width": str(2 * CELL), "height": "1"}, None)
    down, right = drawn(Segment("┌"))
    assert [down[1][name] for name in ("x", "y", "width", "height")] == ["4", "9", "1", str(LINE - 8)]
    assert [right[1][name] for name in ("x", "y", "width", "height")] == ["4", "9", "5", "1"]
    bar, half = drawn(Segment("██▌"))
    assert bar[1]["width"] == str(2 * CELL)
    assert (half[1]["x"], half[1]["width"]) == (str(2 * CELL), str(CELL / 2))


def test_colours_are_those_on_the_screen() -> None:
    style = Style(color="#ff0000", bgcolor="#00ff00", bold=True, reverse=True)
    assert cells_of([Segment("a", style)]) == [Cell("a", 1, Look("#00ff00", "#ff0000", bold=True))]
    (dim,) = cells_of([Segment("a", Style(color="#ffffff", bgcolor="#000000", dim=True))])
    assert dim.look.ink == "#999999"


def test_a_line_of_several_frames_is_drawn_once() -> None:
    same, other = cells_of([Segment("same")]), cells_of([Segment("here")])
    text = film([Frame([same, other], ["a"], "A", 1), Frame([same, same], ["b"], "B", 3)], "t")
    assert text.count(">same<") == 1
    svg = ElementTree.fromstring(text)
    used = [
        [use.get("href") for use in frame.findall(f"{SVG}use")] for frame in svg.findall(f".//{SVG}g[@class='frame']")
    ]
    assert used == [["#l0", "#l1"], ["#l0", "#l0"]]
    width = 4 * CELL + 2 * MARGIN
    assert f"0%{{transform:translateX(0px)}}25%{{transform:translateX(-{width}px)}}" in text
    assert "4s step-end infinite" in text


def test_frames_of_one_size_only() -> None:
    frames = [Frame([cells_of([Segment(text)])], [], "", 1) for text in ("a", "ab")]
    with pytest.raises(ValueError, match="several sizes"):
        film(frames, "t")


def test_the_committed_picture_has_the_scenes_and_their_times() -> None:
    assert len(FRAMES) == len(SCENES)
    width = float(TREE.get("viewBox", "").split()[2])
    assert keyframes([scene.seconds for scene in SCENES], width) in TEXT
    for frame, scene in zip(FRAMES, SCENES, strict=True):
        assert [text.text for text in frame.findall(f"{SVG}text")] == [*scene.drawn, scene.says]
    assert 12 <= sum(scene.seconds for scene in SCENES) <= 20


def test_the_committed_picture_plays_in_an_img() -> None:
    """An `<img>` runs no script of a picture and fetches nothing for it."""
    tags = {element.tag.removeprefix(SVG) for element in TREE.iter()}
    assert tags == {"svg", "title", "style", "defs", "g", "rect", "text", "use"}
    for element in TREE.iter():
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            if "href" in name:
                assert value.removeprefix("#") in LINES
    assert not re.search(r"url\(|@import|@font-face|<!|<\?", TEXT)
    assert re.findall(r"\w+://[^\"]*", TEXT) == [SVG.strip("{}")]


def test_the_committed_picture_is_small_and_has_no_names_by_chance() -> None:
    assert len(TEXT.encode()) < 200_000
    assert list(LINES) == [f"l{number}" for number in range(len(LINES))]
    bodies = [ElementTree.tostring(each, encoding="unicode").partition(">")[2] for each in LINES.values()]
    assert len(set(bodies)) == len(bodies)


def test_the_committed_picture_stands_still_for_who_wants_that() -> None:
    """The first frame is shown, as in viewers without animation."""
    assert "@media (prefers-reduced-motion:reduce){.film{animation:none}}" in TEXT
    assert FRAMES[0].get("transform") is None
    assert all(frame.get("transform") for frame in FRAMES[1:])


def texts_of(line: ElementTree.Element, ground: str) -> list[tuple[float, str, float]]:
    """Return the texts of a line: first column, text, and contrast with the background."""
    fills = dict(re.findall(r"\.(c\d+)\{fill:(#[0-9a-f]{6})", TEXT))
    behind: list[tuple[float, float, str]] = []
    found = []
    for shape in line:
        x, fill = float(shape.get("x", "0")), fills[shape.get("class", "")]
        if shape.tag == f"{SVG}rect" and shape.get("height") == str(LINE):
            behind.append((x, x + float(shape.get("width", "0")), fill))
        elif shape.tag == f"{SVG}text":
            here = next((colour for start, end, colour in behind if start <= x < end), ground)
            found.append((x, shape.text or "", contrast(fill, here)))
    return found


def sides_of(line: ElementTree.Element) -> list[float]:
    """Return the columns of a window's two sides in a line; one or none if it has no window."""
    return sorted({float(r.get("x", "0")) for r in line.findall(f"{SVG}rect") if r.get("width") == "1"})


def test_the_committed_picture_can_be_read() -> None:
    """Text dimmed behind an open window is not checked."""
    (ground,) = re.findall(rf'<rect x="{MARGIN}"[^>]*style="fill:(#\w+)"', TEXT)
    read = 0
    for frame in FRAMES:
        lines = [LINES[use.get("href", "").removeprefix("#")] for use in frame.findall(f"{SVG}use")]
        window = any(len(sides_of(line)) == 2 for line in lines)
        for line in lines:
            sides = sides_of(line) if window else [-1, MARGIN * 1000]
            for x, text, ratio in texts_of(line, ground):
                if len(sides) == 2 and sides[0] < x < sides[1]:
                    assert ratio >= ENOUGH, text
                    read += 1
    assert read > 500


@pytest.mark.parametrize("page", ["README.md", "docs/campaigns.md"])
def test_the_committed_picture_is_shown(page: str) -> None:
    (alt,) = re.findall(rf"!\[([^]]+)\]\((?:\.\./)?screenshots/{re.escape(PICTURE.name)}\)", (ROOT / page).read_text())
    assert len(alt) > 40
