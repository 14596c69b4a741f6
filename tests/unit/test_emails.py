"""E-mail addresses never leave in the catalogue's text."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility_agent.egress.allow import allowed
from shared.catalogue import Changes, DataFile, FilePage, Member, Parameter, Proposal, ProposalPage, SearchPage
from shared.commands import Answer, Payload, Verb
from shared.facilities import Outcome
from shared.wire.commands import encode_answer
from shared.wire.emails import REPLACEMENT, without_emails
from shared.wire.events import DESCRIBED
from shared.wire.facilities import encode_description
from shared.wire.sieve import _MESSAGES, Sieve, written
from tests.corpus.samples import DESCRIPTION, PROPOSAL, RICH

MAIL = "ada.lovelace+beam@users.alpha.example.org"
NAMES = st.text("abcXYZ089äé漢", min_size=1, max_size=8)
DOMAINS = st.builds(
    lambda names, last: ".".join([*names, last]),
    st.lists(NAMES, min_size=1, max_size=3),
    st.sampled_from(["org", "de", "museum", "рф"]),
)
ADDRESSES = st.builds(lambda a, b, d: f"{a}.{b}@{d}", NAMES, NAMES, DOMAINS)
PROSE = st.text(st.characters(codec="utf-8", exclude_characters="@\uff20\ufe6b"), max_size=40)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (MAIL, "[e-mail]"), (f"mail <{MAIL}>, or bob@y.de.", "mail <[e-mail]>, or [e-mail]."),
        ("mailto:ada@x.org?subject", "mailto:[e-mail]"), ("ada@x.org;bob@y.org", "[e-mail];[e-mail]"),
        ("ada\uff20x.org", "[e-mail]"), ('"ada l"@x.org', "[e-mail]"), ("ada@[10.0.0.1]", "[e-mail]"),
        ("zoe\u0308@mu\u0308ller.de", "[e-mail]"), ("a@b.ch@c.de", "[e-mail]"), ("user=ada@x.org", "user=[e-mail]"),
        ("Fe@SiO2 beam@10.5keV 10@300K @home.now a@b", "Fe@SiO2 beam@10.5keV 10@300K @home.now a@b"), ("", ""), ("@", "@"),
    ],
)  # fmt: skip
def test_an_address_is_replaced_and_what_is_none_stays(said: str, left: str) -> None:
    assert without_emails(said) == left


@given(st.lists(st.tuples(PROSE, ADDRESSES), min_size=1, max_size=4), PROSE)
def test_no_address_is_left_of_any_text(pieces: list[tuple[str, str]], end: str) -> None:
    said = "".join(f"{prose} {address} " for prose, address in pieces) + end
    left = without_emails(said)
    for _, address in pieces:
        assert address not in left
        assert address.partition("@")[0] + "@" not in left
    assert left.count(REPLACEMENT) >= len(pieces)
    assert without_emails(left) == left
    for prose, _ in pieces:
        assert prose in left, "nothing else is taken"


@given(st.text(max_size=200))
def test_any_text_without_an_at_sign_is_left_alone(said: str) -> None:
    plain = re.sub("[@\uff20\ufe6b]", "", said)
    assert without_emails(plain) is plain
    assert without_emails(without_emails(said)) == without_emails(said)


@pytest.mark.parametrize(
    "piece",
    [
        "a@",
        "a@b.cc",
        "a@b.cc@",
        "a.",
        "@a.1",
        "x@y.",
        '"',
        '"@',
        "-",
        "a@" + "b." * 40,
        "漢",
        "a@[1",
        "@",
        "a@b.c1 ",
    ],
)
def test_it_takes_time_that_grows_with_the_length_alone(piece: str) -> None:
    """The worst of a few runs of a length, beside one four times as long; a square would be sixteen times."""

    def seconds(size: int) -> float:
        said = (piece * (size // len(piece) + 1))[:size]
        worst = said + "@" + said + "@x.yy"
        best = float("inf")
        for _ in range(5):
            began = time.process_time()
            without_emails(worst)
            best = min(best, time.process_time() - began)
        return best

    short, long = seconds(20_000), seconds(80_000)
    assert long < 10 * max(short, 0.001), (short, long)


def left_of(verb: Verb, payload: Payload) -> bytes:
    data = encode_answer(1, verb, Answer(Outcome.OK, payload)).payload
    return Sieve(allowed()).payload(verb.value, data)[0]


def test_no_address_leaves_in_any_text_of_the_catalogue() -> None:
    text = f"Silver, ask {MAIL}"
    dataset = replace(
        RICH, title=text, sample=text, definition=text, instrument=text, keywords=(text, "silver"),
        parameters=(Parameter(text, text, text), Parameter("n", 1.5, text)),
    )  # fmt: skip
    proposal = replace(
        PROPOSAL, title=text, summary=text, kind=text, instruments=(text,), keywords=(text,),
        members=(Member(text, text, text, "0000-0002-1825-0097"),),
    )  # fmt: skip
    answers: dict[Verb, Payload] = {
        Verb.SEARCH: SearchPage((dataset,), note=text), Verb.GET: dataset, Verb.FILES: FilePage((DataFile(text, 1),)),
        Verb.PROPOSALS: ProposalPage((proposal,), note=text), Verb.CHANGES: Changes((dataset,), (proposal,)),
    }  # fmt: skip
    for verb, payload in answers.items():
        left = left_of(verb, payload)
        assert "@" not in str(_MESSAGES[verb.value].FromString(left)), verb
        message = _MESSAGES[verb.value].FromString(left)
        assert str(message).count("Silver, ask [e-mail]") >= len(written(verb.value)), verb


def test_identifiers_and_a_facilitys_own_contact_leave_as_they_are() -> None:
    dataset = replace(RICH, pid="ada@x.org", doi="10.1/ada@x.org", proposal="p@x.org")
    message: Any = _MESSAGES[Verb.GET.value].FromString(left_of(Verb.GET, dataset))
    assert (message.pid, message.doi, message.proposal) == (dataset.pid, dataset.doi, dataset.proposal)
    data = encode_description(DESCRIPTION)
    assert b"help@alpha.example.org" in Sieve(allowed()).payload(DESCRIBED, data)[0]


def test_other_text_leaves_byte_for_byte() -> None:
    for verb, payload in ((Verb.GET, RICH), (Verb.PROPOSALS, ProposalPage((PROPOSAL, Proposal("p2"))))):
        data = encode_answer(1, verb, Answer(Outcome.OK, payload)).payload
        assert left_of(verb, payload) == data
