"""Hostile messages, for Hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

_TOKENS = st.sampled_from(
    [
        b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b" ", b"\t", b":", b";", b"=", b'"', b"\\", b"--", b"--x",
        b"--x--", b"\n--x\n", b"\r\n--x\r\n", b"\n--x--\n", b"\n--y\n", b"\n--y--\n", b"From ", b">From a\n",
        b"Subject: ", b"From: a@example.org\n", b"To: ", b"Date: Tue, 24 Nov 2026 08:10:47 +0100\n", b"Date: ",
        b"Received: a; ", b"Content-Type: ", b"multipart/mixed; boundary=x\n", b"text/html\n", b"message/rfc822\n",
        b'multipart/alternative; boundary="y"\n', b"text/plain; charset=", b"multipart/digest; boundary=x\n",
        b"utf-8", b"utf-7\n", b"utf-16\n", b"iso-2022-jp\n", b"hz\n", b"idna\n", b"zlib\n", b"name=",
        b"Content-Disposition: attachment; filename=", b"filename*0*=utf-8''%e2", b"; filename*1=b",
        b"Content-Transfer-Encoding: base64\n", b"Content-Transfer-Encoding: quoted-printable\n",
        b"Content-Transfer-Encoding: x-uuencode\n", b"begin 644 a.exe\n", b"end\n", b"=?utf-8?q?", b"=?utf-8?b?",
        b"=?x?q?", b"?=", b"=C3=A9", b"=1B[31m", b"8J+AgA==", b"<a href='http://", b"<b>", b"</b>",
        b"<style>a{display:none}</style>", b"<div style='", b"display:none'>", b"<![CDATA[", b"<!--", b"&#27;",
        b"&#x202e;", b"\x1b[2J", b"\x9b", b"\0", b"\xff\xfe", b"\xc3\xa9", b"PK\x03\x04", b"MZ",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "\u202e\u200b\ud7ff".encode(), b"99999999999999999999",
    ]
)  # fmt: skip

#: Any bytes, some of which look like a message.
messages = st.one_of(
    st.binary(max_size=600),
    st.lists(st.one_of(_TOKENS, st.binary(max_size=12)), max_size=60).map(b"".join),
)
#: Text with everything that a terminal might execute.
texts = st.one_of(
    st.text(st.characters(), max_size=80),
    st.text(
        st.sampled_from(
            "aé字\x1b\x9b\u202e\u200b\u200d\ufe0f\u0301\U0001f469\U0001f3fd\u1161\ud800\U000e0041\n\r\t[]\\"
        ),
        max_size=60,
    ),
)
