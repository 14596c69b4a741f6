"""The helper's two judgements, for anything that could be said: is it a message, and may it be this account."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility_agent.helper.config import VARIABLE, Config, Misconfigured, names_account, only_roots
from facility_agent.helper.identity import NOBODIES, allowed
from facility_agent.helper.messages import VERBS, Refused, parse

START: dict[str, Any] = {
    "verb": "start", "id": str(uuid.UUID(int=1, version=4)), "username": "ada", "uid": 4001, "gid": 4001, "groups": [4002],
    "home": "/home/ada", "command": ["/usr/bin/x", "y"], "variables": {"A": "b"}, "task": None, "mounts": [["p", "/data/p", True]],
    "readable": ["/usr"], "writable": ["/dev"], "cpus": 1, "memory": 2**30, "grace_s": 10,
}  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
CONFIG = Config(990, 990, Path("/s"), Path("/t"), Path("/f"), {}, nss=False, also_groups=frozenset({100}))


def judged(ask: Callable[[], Any]) -> tuple[Any, Refused | None]:
    """(answer, None) or (None, why not); anything else that is raised is a fault."""
    try:
        return ask(), None
    except Refused as refused:
        return None, refused


def test_the_message_that_is_changed_below_is_one() -> None:
    verb, said = parse(json.dumps(START).encode())
    assert verb == "start"
    assert said == {key: value for key, value in START.items() if key != "verb"}


@given(st.binary(max_size=300) | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_whatever_is_said_is_a_message_or_refused(body: bytes) -> None:
    answer, refused = judged(lambda: parse(body))
    if refused is not None:
        assert refused.reason == "INVALID_REQUEST"
        assert len(refused.sentence.splitlines()) == 1
    else:
        verb, said = answer
        assert set(said) == set(VERBS[verb])


@given(st.sampled_from(sorted(START)), ANYTHING)
def test_one_field_that_is_something_else_is_in_bounds_or_refused(field: str, value: Any) -> None:
    try:
        verb, said = parse(json.dumps({**START, field: value}).encode())
    except Refused:
        return
    if verb != "start":
        assert field == "verb"
        return
    assert all(type(said[name]) is int for name in ("uid", "gid", "cpus", "memory", "grace_s"))
    assert 0 < said["uid"] < 2**32 - 2
    assert 0 < said["gid"] < 2**32 - 2
    assert all(type(group) is int and 0 < group < 2**32 - 2 for group in said["groups"])
    for path in (said["home"], said["command"][0], *said["readable"], *said["writable"]):
        assert path.startswith("/")
        assert ".." not in path.split("/")
        assert "\0" not in path
    for place, _, _ in said["mounts"]:
        assert len(place.split("/")) <= 2
        assert not {"", ".", ".."} & {*place.split("/")}


IDS = st.integers(1, 2**32 - 3) | st.sampled_from(
    [1, 33, 99, 100, 101, 989, 990, 991, 999, 1000, 65533, 65534, 65535]
)


@given(IDS, IDS, st.lists(IDS, max_size=5))
def test_no_system_account_no_agent_no_group_of_theirs(uid: int, gid: int, groups: list[int]) -> None:
    said = {"username": "ada", "uid": uid, "gid": gid, "groups": groups}
    good = uid >= 1000 and uid not in NOBODIES
    for group in (gid, *groups):
        good &= group == 100 or (group >= 1000 and group not in NOBODIES)
    account, refused = judged(lambda: allowed(said, CONFIG))
    assert good == (refused is None)
    if refused is not None:
        assert refused.reason == "IDENTITY_REFUSED"
    else:
        assert (account.uid, account.gid, account.groups) == (uid, gid, frozenset([gid, *groups]))


@pytest.mark.parametrize("uid", [1500, 2000])
def test_the_agents_own_uid_and_group_are_refused_wherever_they_lie(uid: int) -> None:
    config = Config(1500, 2000, Path("/s"), Path("/t"), Path("/f"), {}, nss=False)
    said = {"username": "ada", "uid": 3000, "gid": 3000, "groups": [3001]}
    assert allowed(said, config).uid == 3000
    for change in ({"uid": 1500}, {"gid": 2000}, {"groups": [3001, 2000]}):
        with pytest.raises(Refused):
            allowed({**said, **change}, config)


@pytest.mark.parametrize("name", ["JUPYTER_TOKEN", "A", "X_1", "LDAP", "PATHS"])
def test_an_ordinary_variable_may_be_named(name: str) -> None:
    assert VARIABLE.fullmatch(name)


@pytest.mark.parametrize(
    "name",
    [
        "LD_PRELOAD",
        "LD_",
        "PATH",
        "HOME",
        "IFS",
        "ENV",
        "BASH_ENV",
        "GLIBC_TUNABLES",
        "",
        "a",
        "A B",
        "A=",
        "1A",
        "A\n",
    ],
)
def test_what_steers_loaders_and_shells_may_not(name: str) -> None:
    assert not VARIABLE.fullmatch(name)


@pytest.mark.parametrize(
    ("template", "good"),
    [
        ("{home}/.parasol/packages", True), ("/scratch/{username}", True), ("/scratch", False), ("{home}", False), ("x/{home}", False),
        ("/x/{username}/../y", False), ("{home}/../{username}", False), ("/x/{uid}", False), ("{homes}/x", False), ("/{}/{home}", False),
    ],
)  # fmt: skip
def test_only_a_folder_of_each_account_may_hold_its_packages(template: str, *, good: bool) -> None:
    assert names_account(template) is good


def test_what_an_ordinary_user_made_is_not_trusted(tmp_path: Path) -> None:
    mine = tmp_path / "x"
    mine.write_text("x")
    for path in (mine, Path("x"), Path("/usr/../usr/bin/env"), Path("/no/such")):
        with pytest.raises(Misconfigured):
            only_roots(path)
    only_roots(Path("/usr/bin/env").resolve())
