"""What foreign strings, numbers, links and bytes become."""

from __future__ import annotations

import contextlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire import text
from shared.wire.addresses import parse_address, safe_url
from shared.wire.raw import at_most, delimited, pieces, split
from shared.wire.text import Malformed


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("a\x00b\x1bc", "abc"),
        ("line\none\ttwo", "line one two"),
        ("\u202eevil\u2066", "evil"),
        ("  edges  ", "edges"),
        ("Ångström · 日本 · 👩‍🔬", "Ångström · 日本 · 👩‍🔬"),
        ("<b>markup stays text</b>", "<b>markup stays text</b>"),
    ],
)
def test_a_title_shows_only_what_can_be_seen(dirty: str, clean: str) -> None:
    assert text.plain(dirty) == clean


@given(st.text(max_size=2000), st.integers(1, 400))
def test_plain_text_is_bounded_visible_and_stable(anything: str, most: int) -> None:
    clean = text.plain(anything, most)
    assert text.is_plain(clean, most)
    assert text.plain(clean, most) == clean


@given(st.text(max_size=300), st.integers(1, 60))
def test_cleaning_is_by_character(anything: str, most: int) -> None:
    """The quick way for printable text gives what looking at every character gives."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    kept = [
        c for c in anything[: 4 * most]
        if c.isspace() or c in "\u200c\u200d" or unicodedata.category(c) not in hidden
    ]  # fmt: skip
    assert text.plain(anything, most) == " ".join("".join(kept).split())[:most].rstrip()


def test_every_character_is_judged_alike_by_itself() -> None:
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    for code in range(0x110000):
        character = chr(code)
        seen = character in "\u200c\u200d" or unicodedata.category(character) not in hidden
        assert text.is_plain(character, 1) == seen, hex(code)


@pytest.mark.parametrize("bad", ["", "a\nb", " a", "a ", "a\x00", "\u202ea", "x" * 101])
def test_an_identifier_is_refused_rather_than_changed(bad: str) -> None:
    with pytest.raises(Malformed):
        text.identifier(bad)


def test_an_identifier_may_hold_spaces_and_any_script() -> None:
    assert text.identifier("2026-open/Messung  α 1.nxs") == "2026-open/Messung  α 1.nxs"


def test_lists_leave_out_bad_identifiers_and_end() -> None:
    assert text.identifiers(["a", "\n", "", "b", "c"], 4) == ("a", "b")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -float("inf"), 1e300, -1e12])
def test_no_calendar_knows_these_instants(seconds: float) -> None:
    assert text.instant(seconds) is None


def test_numbers_fit_every_database() -> None:
    assert text.count(2**64 - 1) == 2**63 - 1
    assert text.duration(float("nan")) is None
    assert text.duration(-1) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://data.example.org/x?y=1#z",
        "http://127.0.0.1:8000/",
        "http://[::1]:8000/",
        "http://localhost/",
        "http://alpha.localhost:8101/",
    ],
)
def test_links_that_may_be_shown(url: str) -> None:
    assert safe_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "javascript:alert(1)",
        "JaVaScRiPt://x/%0aalert(1)",
        "data:text/html,x",
        "ftp://example.org/",
        "//example.org/",
        "/relative",
        "https://",
        "https://user:secret@example.org/",
        "https://example.org@evil.org/",
        "https://evil.org\\@example.org/",
        "https://example.org/ x",
        "https://example.org/\n",
        'https://example.org/"><script>',
        "http://localhost.evil.org/",
        "http://127.0.0.1.evil.org/",
        "https://[::1",
        "https://example.org:99999/",
        "https://example.org/" + "x" * 2000,
    ],
)
def test_links_that_must_not_be_shown(url: str) -> None:
    assert safe_url(url) == ""


def test_addresses() -> None:
    assert str(parse_address("localhost:7443")) == "127.0.0.1:7443"
    assert str(parse_address("[::1]:1")) == "[::1]:1"
    assert parse_address("[::1]:1").is_loopback
    assert not parse_address("localhost.example.org:1").is_loopback
    assert not parse_address("0.0.0.0:1").is_loopback


@pytest.mark.parametrize(
    "bad", ["", "host", "host:", ":1", "host:x", "host:70000", "http://h:1", "h:1/x", "u@h:1"]
)
def test_what_is_no_address(bad: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        parse_address(bad)


@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(1, 15))
def test_pieces_come_back_as_they_were_written(parts: list[bytes], number: int) -> None:
    data = b"".join(delimited(number, part) for part in parts)
    assert pieces(data, number, 20) == parts
    found, rest = split(data + delimited(number % 15 + 1, b"other"), number, 21)
    assert found == parts
    assert pieces(rest, number % 15 + 1, 1) == [b"other"]


@given(st.binary(max_size=400))
def test_any_bytes_are_pieces_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert sum(map(len, pieces(data, 1, 1000))) <= len(data)


@given(st.lists(st.binary(max_size=20), max_size=20), st.integers(1, 15), st.integers(0, 40))
def test_a_field_that_occurs_more_often_is_never_called_rare(parts: list[bytes], number: int, most: int) -> None:
    data = b"".join(delimited(number, part) for part in parts)
    longer = b"".join(bytes((number << 3 | 0x82, 0)) + delimited(1, part)[1:] for part in parts)  # an overlong tag
    for written in (data, longer):
        assert pieces(written, number, 20) == parts
        if at_most(written, number, most):
            assert len(parts) <= most


def test_a_bomb_is_refused_before_it_is_built() -> None:
    with pytest.raises(Malformed, match="more than 64 parts"):
        pieces(b"\x0a\x00" * 1_000_000, 1, 64)
