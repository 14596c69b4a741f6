"""One DOI, many ways to write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dois import canonical, plain

WAYS = (
    "{}", " {} ", "doi:{}", "DOI: {}", "https://doi.org/{}", "http://dx.doi.org/{}", "https://www.doi.org/{}", "doi.org/{}",
    "HTTPS://DOI.ORG/{}", "info:doi/{}", "urn:doi:{}",
)  # fmt: skip
SUFFIXES = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="%"), min_size=1, max_size=20
)


@pytest.mark.parametrize("way", WAYS)
@given(SUFFIXES)
def test_every_way_to_write_one_is_the_same_doi(way: str, suffix: str) -> None:
    doi = f"10.5072/{suffix}"
    assert plain(way.format(doi)) == doi
    upper = "".join(c.upper() if c.isascii() else c for c in doi)
    assert canonical(way.format(upper)) == canonical(doi) == canonical(canonical(doi))


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("https://doi.org/10.5072%2Fa%20b", "10.5072/a b"), ("10.5072%2FA", "10.5072%2fa"), ("", ""), ("doi:", ""),
        ("https://doi.org/", ""), ("doi:doi:10.1/x", "doi:10.1/x"), ("10.1/ÄB", "10.1/Äb"), ("10.1/\ud800A", "10.1/\ud800a"),
        ("https://example.org/10.1/x", "https://example.org/10.1/x"), ("https://doi.org.example/10.1/x", "https://doi.org.example/10.1/x"),
    ],
)  # fmt: skip
def test_what_is_no_resolvers_is_left_as_it_is(said: str, means: str) -> None:
    assert canonical(said) == means
