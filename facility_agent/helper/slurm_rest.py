"""Slurm through slurmrestd, as the account: one token, one order, and neither outlives the question.

The token is the account's own, good for a minute: `scontrol token`, run as the account, or signed by the helper when
its file names the site's key. It is never written, logged or answered. Where to, is the helper's own file's word.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from facility_agent.adapters.compute import slurm_api
from facility_agent.helper import slurm_commands
from facility_agent.helper.config import Slurm

WITHIN_S, LIFE_S, LONGEST = 15, 60, 32 * 2**20
Errors = (OSError, http.client.HTTPException, ValueError, RecursionError)
"""What asking may raise: it is then not known what was done."""


def signed(key: Path, username: str, seconds: int) -> str:
    """A token (HS256) as auth/jwt takes it: `sun` is whose it is. Raises OSError."""
    now = int(time.time())
    parts = ({"alg": "HS256", "typ": "JWT"}, {"exp": now + seconds, "iat": now, "sun": username})
    said = b".".join(_base64(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return (said + b"." + _base64(hmac.new(key.read_bytes(), said, hashlib.sha256).digest())).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@contextmanager
def _in_time() -> Iterator[None]:
    """Raises TimeoutError when it takes longer; only for a process of one thread."""

    def late(*_: object) -> None:
        raise TimeoutError("slurmrestd did not answer in time")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, WITHIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=WITHIN_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connection(address: str, ca: str) -> http.client.HTTPConnection:
    if address.startswith("unix:"):
        return _Unix(address.removeprefix("unix:"))
    parts = urlsplit(address)
    assert parts.hostname is not None
    trust = ssl.create_default_context(cafile=ca or None)
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=WITHIN_S, context=trust)


class Rest:
    """Questions to slurmrestd in one account's name."""

    def __init__(self, address: str, ca: str, username: str, token: str) -> None:
        self._connection = _connection(address, ca)
        self._headers = {"X-SLURM-USER-NAME": username, "X-SLURM-USER-TOKEN": token, "Accept": "application/json"}

    def ask(
        self, method: str, path: str, order: Mapping[str, Any] | None = None, script: str = ""
    ) -> dict[str, Any]:
        """The answer of the newest version that is known here and there. Raises one of Errors."""
        for version in slurm_api.VERSIONS:
            body = json.dumps(slurm_api.submission(version, order, script)).encode() if order else None
            headers = self._headers | ({"Content-Type": "application/json"} if body else {})
            self._connection.request(method, f"/slurm/{version}/{path}", body, headers)
            answer = self._connection.getresponse()
            said = answer.read(LONGEST + 1)
            self._connection.close()  # the next question opens one of its own
            if len(said) > LONGEST:
                raise ValueError("its answer is too long")
            if answer.status == 404 and not said.lstrip().startswith(b"{"):
                continue  # it does not have this version
            found = json.loads(said)
            if not isinstance(found, dict):
                raise ValueError("its answer is no object")  # noqa: TRY004 (one of Errors)
            return found
        raise ValueError("it speaks no version that is known here")


def speak(slurm: Slurm, username: str, token: str, do: Callable[[Rest], dict[str, Any]]) -> dict[str, Any]:
    """What `do` answers; nothing when it is not known what was done. Without a token, this process gets its own."""
    try:
        with _in_time():
            token = token or slurm_commands.token(slurm, LIFE_S)
            return do(Rest(slurm.rest, slurm.rest_ca, username, token))
    except Errors as error:
        _log(error)
        return {}


def submit(rest: Rest, order: Mapping[str, Any], script: str) -> dict[str, Any]:
    """{"job": number}, {"refused": Slurm's words}, or nothing when that is not known. Raises one of Errors."""
    answer = rest.ask("POST", "job/submit", order, script)
    job, faults = answer.get("job_id"), slurm_api.faults(answer.get("errors"))
    if type(job) is int and job > 0:  # an error beside it is a remark
        return {"job": job}
    words = "\n".join(text for _, text in faults)
    if order["gres"] and any(number == slurm_api.UNREADABLE for number, _ in faults):
        words += "\nit may be the generic resource"  # 22.05 says no more of GRES that the cluster does not have
    if not slurm_api.refuses(faults):
        _log(words)
        return {}
    return {"refused": words[-2000:]}


def cancel(rest: Rest, name: str, uid: int, job: int | None) -> dict[str, Any]:
    """End the account's jobs of this name: by the number that is known, or else by a look at all. Raises one of Errors."""
    mine = _own(rest.ask("GET", f"job/{job}"), name, uid) if job else []
    mine = mine or _own(rest.ask("GET", "jobs"), name, uid)
    answers = [rest.ask("DELETE", f"job/{each}") for each in mine]
    return {"asked": not any(slurm_api.faults(answer.get("errors")) for answer in answers)}


def _own(answer: Mapping[str, Any], name: str, uid: int) -> list[int]:
    faults = slurm_api.faults(answer.get("errors"))
    if faults and all(number == slurm_api.NO_SUCH_JOB for number, _ in faults):
        return []
    if faults:
        raise ValueError(f"it cannot tell of jobs: {faults[0][1]}")
    return slurm_api.own(answer, name, uid)


def _log(why: object) -> None:
    sys.stderr.write(f"slurmrestd: {str(why)[:500]!r}\n")
