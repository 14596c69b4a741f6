"""slurmrestd's JSON of all known versions, without a slurmrestd: what is sent, what is read, and what is not believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from facility_agent.adapters.compute import slurm_api
from facility_agent.adapters.compute.slurm_queue import Job, Wanted
from facility_agent.adapters.compute.slurm_rows import (
    Jobs,
    Nodes,
    PastJobs,
    listed,
    of_accounting,
    of_queue,
    reader,
    works,
)
from facility_agent.adapters.compute.slurm_settings import SlurmSettings
from facility_agent.helper import slurm_rest as helpers
from shared.errors import BackendUnavailable

A = "6f1c4e9e-0000-4000-8000-00000000000a"
WANTED = {A: Wanted(4001, "ada", 0.0)}
ORDER = {
    "name": f"parasol-{A}", "folder": "/home/ada/.parasol/x", "cpus": 2, "memory": 2**30, "minutes": 60, "variables": {"PATH": "/usr/bin"},
    "partition": "main", "account": "", "qos": "q", "reservation": "", "constraint": "fast&avx512", "gres": "gpu:a100:1,scratch:2",
}  # fmt: skip


def test_what_is_submitted_is_the_same_in_every_version() -> None:
    old = slurm_api.submission(slurm_api.OLD, ORDER, "#!x")
    assert old["script"] == "#!x"
    assert old["job"]["environment"] == {"PATH": "/usr/bin", "SLURM_UMASK": "0077"}
    assert (old["job"]["gres"], old["job"]["no_requeue"], old["job"]["nodes"]) == (
        "gpu:a100:1,scratch:2",
        True,
        [1, 1],
    )
    for version in slurm_api.VERSIONS[:-1]:
        new = slurm_api.submission(version, ORDER, "#!x")["job"]
        assert new["script"] == "#!x"
        assert new["environment"] == ["PATH=/usr/bin", "SLURM_UMASK=0077"]
        assert new["tres_per_node"] == "gres/gpu:a100:1,gres/scratch:2"
        assert (new["requeue"], new["minimum_nodes"], new["maximum_nodes"]) == (False, 1, 1)
        for key in (
            "name",
            "current_working_directory",
            "standard_output",
            "memory_per_node",
            "time_limit",
            "qos",
            "constraints",
        ):
            assert new[key] == old["job"][key], key
    assert (old["job"]["memory_per_node"], old["job"]["time_limit"]) == (1024, 60)
    assert {"account", "reservation"}.isdisjoint(old["job"]), "what is not asked is not said"
    assert "gres" not in slurm_api.submission(slurm_api.OLD, {**ORDER, "gres": ""}, "")["job"]


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("RUNNING", "RUNNING"), (["RUNNING"], "RUNNING"), (["CANCELLED", "COMPLETING"], "COMPLETING"),
        (["RUNNING", "CONFIGURING"], "CONFIGURING"), (["PENDING", "REQUEUED"], "PENDING"), (["PENDING", "REVOKED"], "REVOKED"),
        ([], ""), (None, ""), ({"x": 1}, ""), ([1], ""),
    ],
)  # fmt: skip
def test_a_state_of_flags_is_an_end_only_when_nothing_lives(said: Any, state: str) -> None:
    assert slurm_api.state(said) == state


def _code(code: int | None, signal: int | None = None) -> dict[str, Any]:
    def number(value: int | None) -> dict[str, Any]:
        return {"set": value is not None, "infinite": False, "number": value or 0}

    return {"status": ["SUCCESS"], "return_code": number(code), "signal": {"id": number(signal), "name": ""}}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (768, 3), (9, 137), (0, 0), (15, 143), (_code(3), 3), (_code(0), 0), (_code(0, 9), 137), (_code(None), None), (True, None),
        ({"status": "SIGNALED", "return_code": None, "signal": {"signal_id": 9, "name": "Killed"}}, 137), ("3", None), (None, None),
        ({"return_code": {"set": True, "infinite": True, "number": 5}}, None),
    ],
)  # fmt: skip
def test_an_exit_code_is_as_a_shell_has_it(said: Any, code: int | None) -> None:
    assert slurm_api.exit_code(said) == code


NEW = {
    "job_id": 7, "name": f"parasol-{A}", "user_id": 4001, "job_state": ["PENDING"], "exit_code": _code(0), "batch_host": "",
    "start_time": {"set": True, "infinite": False, "number": 1795628212}, "partition": "main", "state_reason": "Resources",
}  # fmt: skip


def queued(job: dict[str, Any]) -> tuple[str, Job] | None:
    (row,) = listed(
        reader(Jobs)(json.dumps({"errors": [], "jobs": [{**job, "of": [{"no": "interest"}]}]}).encode()).jobs
    )
    return of_queue(row, WANTED)


def accounted(job: dict[str, Any]) -> tuple[str, Job] | None:
    (row,) = listed(reader(PastJobs)(json.dumps({"errors": [], "jobs": [job]}).encode()).jobs)
    return of_accounting(row, WANTED)


def working(node: dict[str, Any]) -> bool:
    (row,) = listed(reader(Nodes)(json.dumps({"errors": [], "nodes": [node]}).encode()).nodes)
    return works(row, "main")


def test_both_forms_of_a_job_are_read_alike() -> None:
    old = {**NEW, "job_state": "PENDING", "exit_code": 0, "start_time": 1795628212}
    expected = (A, Job(7, "PENDING", 0, "", "2026-11-25T17:36:52", "main", "Resources"))
    assert queued(NEW) == queued(old) == expected
    past = {"job_id": 7, "name": f"parasol-{A}", "user": "ada", "state": {"current": "FAILED", "reason": "None"}}
    bug = {"status": "SUCCESS", "return_code": 0}
    assert accounted({**past, "exit_code": bug}) == (A, Job(7, "FAILED")), "not known, and not 0"
    new = {**past, "state": {"current": ["FAILED"]}, "exit_code": _code(3)}
    assert accounted(new) == (A, Job(7, "FAILED", 3))


@pytest.mark.parametrize(
    ("node", "does"),
    [
        ({"state": "idle", "state_flags": []}, True), ({"state": ["MIXED"]}, True), ({"state": ["IDLE", "DRAIN"]}, False),
        ({"state": "idle", "state_flags": ["DRAIN"]}, False), ({"state": "down"}, False), ({"state": "idle", "partitions": ["other"]}, False),
        ({"state": "idle", "partitions": "main"}, False),
    ],
)  # fmt: skip
def test_a_node_works_when_nothing_keeps_it_away(node: dict[str, Any], does: bool) -> None:
    assert working({"partitions": ["main"], **node}) is does


@pytest.mark.parametrize("body", [b"", b"[]", b'{"jobs": [1]}', b'{"jobs": {}}', b'{"jobs": []', b"[" * 100_000])
def test_what_is_no_list_of_jobs_is_refused(body: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        reader(Jobs)(body)


def test_an_answer_without_a_list_tells_nothing() -> None:
    with pytest.raises(BackendUnavailable):
        listed(reader(Jobs)(b'{"errors": [], "nodes": []}').jobs)


@pytest.mark.parametrize(
    "changes",
    [
        {"user_id": 4002}, {"user_id": "4001"}, {"user_id": None}, {"name": A}, {"name": f"parasol-{A} "}, {"name": ["x"]}, {"job_id": "7"},
        {"job_id": True}, {"job_state": ""}, {"job_state": None},
    ],
)  # fmt: skip
def test_a_job_that_is_not_exactly_one_of_ours_counts_for_nothing(changes: dict[str, Any]) -> None:
    assert queued({**NEW, **changes}) is None
    assert slurm_api.own({"jobs": [{**NEW, **changes}]}, f"parasol-{A}", 4001) == [] or "job_state" in changes


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda child: st.lists(child, max_size=4) | st.dictionaries(st.text(max_size=10), child, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(sorted(NEW)), JSON)
def test_whatever_stands_in_a_field_is_a_job_of_ours_or_nothing(key: str, value: Any) -> None:
    found = queued({**NEW, key: value})
    assert found is None or (found[0] == A and isinstance(found[1].state, str))
    accounted({**NEW, "user": "ada", "state": value, key: value})
    working({"state": value, "state_flags": value, "partitions": value})


@given(JSON)
def test_whatever_is_answered_is_errors_or_a_refusal_to_read(value: Any) -> None:
    try:
        faults = slurm_api.faults(value)
    except ValueError:
        return
    assert all(type(number) is int and isinstance(text, str) for number, text in faults)


@pytest.mark.parametrize(
    ("errors", "sure"),
    [
        ([], False), ([{"error_code": 2045}], True), ([{"error_number": 9001}], True), ([{"error_code": 5005}], False),
        ([{"error_code": 2045}, {"error_code": 1007}], False), ([{"errno": -1}], False), ([{"error": "no"}], False),
        ([{"error_code": "2045"}], False),
    ],
)  # fmt: skip
def test_only_slurms_own_no_is_a_refusal(errors: list[Any], sure: bool) -> None:
    assert slurm_api.refuses(slurm_api.faults(errors)) is sure


@pytest.mark.parametrize(
    "address", ["unix:/run/s", "https://slurm.example:6820", "https://[::1]", "https://slurm/"]
)
def test_an_address_is_a_socket_or_https(address: str) -> None:
    assert SlurmSettings(rest=address).rest
    assert slurm_api.checked(address) == address.rstrip("/")


@pytest.mark.parametrize(
    "address",
    [
        "http://slurm.example:6820", "unix:run/s", "/run/s", "https://", "ftp://x", "https://x/path", "https://u:p@x", "https://x?y", "x",
        "https://x#y", "https://x y", "https://x:99999999", "http://127.0.0.1:6820", "https://x:0",
    ],
)  # fmt: skip
def test_any_other_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        slurm_api.checked(address)
    with pytest.raises(ValidationError):
        SlurmSettings(rest=address)


def test_a_token_is_signed_as_auth_jwt_takes_it(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"\0\xff of the site" * 3)
    head, body, mac = helpers.signed(key, "ada", 60).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    assert (claims["sun"], claims["exp"] - claims["iat"], set(claims)) == ("ada", 60, {"sun", "exp", "iat"})
    expected = hmac.new(key.read_bytes(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(mac + "=") == expected
