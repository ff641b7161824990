"""HTML to text: visible text, hidden text, and the targets of links."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.message import html as message_html
from store.message.html import Reading, read_html
from tests.amounts import amount
from tests.store.message.hostile import texts


def _text(markup: str) -> str:
    return read_html(markup).text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>one\n  two</p><p>three", "one two\n\nthree"),
        ("<div>a<div>b</div>c</div>", "a\nb\nc"),
        ("a<br>b<br><br>c", "a\nb\n\nc"),
        ("<ul><li>a<li>b</ul>", "• a\n• b"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("<b>bo</b>ld <i> it</i> alic", "bold it alic"),
        ("<script>alert(1)</script><style>p{}</style><title>t</title>shown", "shown"),
        ("a &amp; b &lt;c&gt; &#27;[31m", "a & b <c> \x1b[31m"),
        ('<img alt="the logo">', "[image: the logo]"),
        ("<!-- comment -->x<![CDATA[y]]>", "x"),
        ("<h1>Title</h1>text", "Title\n\ntext"),
        ("<textarea>a\nb</textarea>", "a\nb"),
        ("", ""),
        ("no markup", "no markup"),
        ("<p>\ud800</p>", "?"),
    ],
)
def test_markup_becomes_the_text_that_a_reader_sees(markup: str, text: str) -> None:
    assert _text(markup) == text


@pytest.mark.parametrize(
    "markup",
    [
        "<div style='display:none'>secret</div>",
        "<div style='DISPLAY : NONE !important'>secret</div>",
        "<div style='d\\69splay:none'>secret</div>",
        "<div style='dis/**/play:none'>secret</div>",
        "<div style='visibility:hidden'>secret</div>",
        "<div style='mso-hide:all'>secret</div>",
        "<div hidden>secret</div>",
        "<span style='font-size:0'>secret</span>",
        "<span style='font-size:1px'>secret</span>",
        "<span style='opacity:0'>secret</span>",
        "<span style='color:#fff'>secret</span>",
        "<span style='color:#fefefe'>secret</span>",
        "<span style='color:white'>secret</span>",
        "<span style='color:rgb(255, 255, 255)'>secret</span>",
        "<font color=white>secret</font>",
        "<table bgcolor='#123456'><tr><td><font color='#123457'>secret</font></td></tr></table>",
        "<div style='background:#000'><span style='color:black'>secret</span></div>",
        "<div style='text-indent:-9999px'>secret</div>",
        "<div style='position:absolute;left:-5000px'>secret</div>",
        "<div style='height:0;overflow:hidden'>secret</div>",
        "<div style='max-height:0px;overflow:hidden'>secret</div>",
        "<style>.x{display:none}</style><p class='a x'>secret</p>",
        "<style>p#y , b{visibility:hidden}</style><p id=y>secret</p>",
        "<style>/* c */ @media print{.z{display:block}} .x{display:none}</style><p class=x>secret</p>",
        "<div style='display:none'><p>sec<b>ret</b></p></div>",
    ],
)
def test_text_that_a_reader_does_not_see_is_marked(markup: str) -> None:
    reading = read_html(f"<p>before</p>{markup}<p>after</p>")
    [(start, end)] = reading.hidden
    marked = reading.text[start:end]
    assert marked.startswith("[hidden text (")
    assert marked.endswith(": secret]")
    assert reading.text.split(marked)[0].strip() == "before"
    assert reading.text.split(marked)[1].strip() == "after"


@pytest.mark.parametrize(
    "markup",
    [
        "<div style='display:block'>seen</div>",
        "<span style='font-size:10px'>seen</span>",
        "<span style='font-size:0.9em'>seen</span>",
        "<span style='opacity:0.8'>seen</span>",
        "<div style='background-color:#000'><span style='color:#fff'>seen</span></div>",
        "<table bgcolor=black><tr><td><font color=white>seen</font></td></tr></table>",
        "<div style='background:url(x.png)'><span style='color:#fff'>seen</span></div>",
        "<div style='background:linear-gradient(red,blue)'><span style='color:#fff'>seen</span></div>",
        "<style>.a .b{background:#000}</style><div class=a><p class=b><span style='color:#fff'>seen</span></p></div>",
        "<style>.b{background:#000}</style><p class=b><span style='color:#fff'>seen</span></p>",
        "<style>@media print{p{display:none}}</style><p>seen</p>",
        "<div style='height:0'>seen</div>",
        "<p style='color:inherit'>seen</p>",
        "<div style='display:none'> &zwnj;&nbsp;\u200b </div>seen",
    ],
)
def test_text_that_a_reader_sees_is_not_marked(markup: str) -> None:
    reading = read_html(markup)
    assert reading.hidden == []
    assert reading.text == "seen"


def test_links_are_numbered_with_their_text_and_target() -> None:
    reading = read_html(
        "<p>Visit <a href='https://evil.example/x'><b>www.bank</b>.example</a> or "
        "<a href='https://example.org/'>us</a>, <a href='#top'>top</a>.</p>"
        "<area href='http://10.0.0.1/'><form action='https://evil.example/login'></form>"
    )
    assert reading.text == "Visit www.bank.example [1] or us [2], top. [3]"
    assert [(link.text, link.target, link.mismatch) for link in reading.links] == [
        ("www.bank.example", "https://evil.example/x", True),
        ("us", "https://example.org/", False),
        ("", "http://10.0.0.1/", False),
        ("[form]", "https://evil.example/login", False),
    ]


def test_links_of_images_hidden_links_and_relative_ones() -> None:
    reading = read_html(
        "<base href='https://evil.example/dir/'><a href='page'><img alt='Click'></a>"
        "<div style='display:none'><a href='https://seo.example'>words</a></div>"
        "<meta http-equiv=refresh content='0; url=https://next.example/'><iframe src='https://frame.example/'></iframe>"
    )
    targets = {link.target: link for link in reading.links}
    assert targets["https://evil.example/dir/page"].text == "[image: Click]"
    assert targets["https://seo.example"].reason.startswith("hidden link")
    assert targets["https://next.example/"].text == "[refresh]"
    assert targets["https://frame.example/"].text == "[iframe]"
    assert any("redirects to another page" in problem for problem in reading.problems)


def test_remote_images_and_scripts_are_told() -> None:
    reading = read_html("<img src='https://t.example/p.gif'><img src=//x.example/y><img src=cid:1><script>1</script>")
    assert "the HTML refers to 2 remote images, not fetched" in reading.problems
    assert "the HTML contains a script" in reading.problems


def test_limits_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_html, "TEXT_LIMIT", 100)
    monkeypatch.setattr(message_html, "LINK_LIMIT", 3)
    reading = read_html("<p hidden>x</p>" + "<a href='http://a.example/%d'>link</a> " * 50)
    assert len(reading.text) <= 100
    assert reading.truncated
    many = read_html("".join(f"<a href='http://{number}.example'>x</a>" for number in range(9)))
    assert len(many.links) == 3
    assert "not all links are listed" in many.problems


_pieces = st.one_of(
    st.sampled_from(
        [
            "<p>", "</p>", "<div style='display:none'>", "</div>", "<a href='http://x.example'>", "</a>", "<table>",
            "<td hidden>", "<font color=white>", "</font>", "<pre>", "<br>", "<li>", "<svg>", "<math>", "<select>",
            "<style>.x{", "}", "</style>", "<script>", "</script>", "<!--", "-->", "<template>", "<b>", "<plaintext>",
            "<body bgcolor=#000>", "<frameset>", "<base href=http://[>", "<img alt=x src=http://y>", "&#x9b;", "text ",
        ]
    ),
    texts,
)  # fmt: skip


@given(st.lists(_pieces, max_size=30).map("".join))
@settings(max_examples=amount(130, 400), deadline=None)
def test_any_markup_is_read(markup: str) -> None:
    reading = read_html(markup)
    assert isinstance(reading, Reading)
    position = 0
    for start, end in reading.hidden:
        assert position <= start < end <= len(reading.text)
        assert reading.text[start:end].startswith("[hidden text (")
        assert reading.text[end - 1] == "]"
        position = end


def test_a_hidden_line_is_left_out() -> None:
    reading = read_html("a<hr style='font-size:0'>b<hr>c")
    assert (reading.text, reading.hidden) == ("a\nb\n────────\nc", [])


def test_urls_in_text_are_links_that_show_their_target() -> None:
    reading = read_html(
        "<p>See http://evil.example/a?b=1&amp;c=2, <b>https://bold.example/x</b><i>y</i> and (www.c.example).</p>"
        "<pre>ftp://d.example/\n</pre><p>http://e.example/<br>http://evil.example/a?b=1&amp;c=2</p>"
    )
    assert [(link.text, link.target) for link in reading.links] == [
        ("http://evil.example/a?b=1&c=2", "http://evil.example/a?b=1&c=2"),
        ("https://bold.example/xy", "https://bold.example/xy"),
        ("www.c.example", "http://www.c.example"),
        ("ftp://d.example/", "ftp://d.example/"),
        ("http://e.example/", "http://e.example/"),
    ]
    assert not any(link.mismatch or link.reason for link in reading.links)
    assert "[1]" not in reading.text


def test_a_url_that_is_split_by_tags_is_one_link() -> None:
    for markup in ("<span>http://</span><span>evil.exam</span><wbr>ple/x", "http://evil.<!-- -->example/<b></b>x"):
        assert [link.target for link in read_html(markup).links] == ["http://evil.example/x"]
    assert [link.target for link in read_html("http://a.example/<br>x http://b.example/<div>y").links] == [
        "http://a.example/",
        "http://b.example/",
    ]


def test_the_text_of_a_link_and_of_an_image_is_no_link_of_its_own() -> None:
    reading = read_html(
        "<a href='https://evil.example/'>https://bank.example/</a> https://evil.example/ "
        "<img alt='https://alt.example/'><input value='https://input.example/'><!-- https://comment.example/ -->"
    )
    assert [(link.text, link.target, link.mismatch) for link in reading.links] == [
        ("https://bank.example/", "https://evil.example/", True),
        ("https://evil.example/", "https://evil.example/", False),
    ]


def test_a_url_in_hidden_text_is_told_as_hidden() -> None:
    reading = read_html("<p>a <span style='display:none'>http://seo.example/<b>x</b></span>http://b.example/</p>")
    assert [(link.target, link.reason) for link in reading.links] == [
        ("http://seo.example/x", "hidden link (not displayed)"),
        ("http://b.example/", ""),
    ]


def test_html_that_is_only_stripped_still_tells_the_urls_that_are_written_out() -> None:
    markup = "<div>" * 3000 + "<a href='https://evil.example/?a&amp;b'>bank</a> http://b.example/"
    reading = read_html(markup)
    assert [link.target for link in reading.links] == ["https://evil.example/?a&b", "http://b.example/"]
    assert "is nested too deeply: only the tags were stripped" in reading.problems[0]
