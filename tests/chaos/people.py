"""Persons who launch and stop all the time, and remember what they were told."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson

from central_portal.api.ids import global_id
from facility_agent.socket.client import DoorkeeperClient
from shared.identity import Scope, Subject
from tests.chaos.site import Site
from tests.integration.openid import Op
from tests.integration.tab import Tab

FRONT = 8
_SIGN_IN = threading.Lock()
LOST = (OSError, http.client.HTTPException, orjson.JSONDecodeError, KeyError, TypeError)
"""What a request comes to when nobody answers it."""


class Person:
    """Someone signed in, with an account link and a grant at one facility. `webs` gives the ports to ask, in turn."""

    def __init__(self, name: str, op: Op, site: Site, webs: Callable[[], Sequence[int]]) -> None:
        self.name, self.site, self._op, self._webs = name, site, op, webs
        self.cookies: dict[str, str] = {}
        self._turn = itertools.count(random.randrange(2))
        self.subject, self.sid = Subject(op.issuer, name), f"sid-{name}"

    def tab(self) -> Tab:
        ports = self._webs()
        return Tab(FRONT, self.cookies, ports[next(self._turn) % len(ports)])

    def come(self) -> None:
        """Sign in, link the account, fetch a grant: the facility's gateway is this test."""
        with _SIGN_IN:
            self._op.person = (self.name, self.sid)
            assert self.tab().sign_in(self._op).status == 303
        self.fetch_grant()

    def fetch_grant(self) -> None:
        start = self.tab().get(f"/connect/{self.site.name}/start?scope=read+run&return=/search")
        callback = asyncio.run(self._consent(start.location))
        back = self.tab().get(callback, site="cross-site").location
        assert back.endswith("outcome=OK"), f"{self.name}: {start.location} {back}"

    async def _consent(self, url: str) -> str:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        door = DoorkeeperClient(self.site.socket, self.site.state / "socket.token")
        try:
            await door.link(self.subject, await door.local_identity(self.name))
            scopes = frozenset(Scope(word) for word in asked["scope"].split())
            issued = await door.issue_code(self.subject, self.sid, scopes, asked["code_challenge"], asked["key"])
        finally:
            await door.close()
        back = {"code": issued.code, "key": issued.key, "state": asked["state"], "iss": self.site.gateway}
        return f"{urlsplit(asked['redirect_uri']).path}?{urlencode(back)}"

    def launch(self, workspace_id: str) -> dict[str, Any]:
        """The payload. Raises one of LOST when nobody answered."""
        slug = self.site.name
        words = {
            "id": workspace_id, "environment": global_id("Environment", slug, "app"),
            "flavour": global_id("Flavour", slug, "small"), "title": "A trial",
        }  # fmt: skip
        given = ", ".join(f"{name}: {json.dumps(value)}" for name, value in words.items())
        query = f"mutation{{launchWorkspace(input: {{{given}, proposals: [], lifetimeSeconds: 3600}}) {PAYLOAD}}}"
        return dict(self.tab().graphql(query)["launchWorkspace"])

    def stop(self, workspace_id: str) -> dict[str, Any]:
        """The payload. Raises one of LOST when nobody answered."""
        node = json.dumps(global_id("Workspace", workspace_id))
        return dict(
            self.tab().graphql(f"mutation{{stopWorkspace(input: {{id: {node}}}) {PAYLOAD}}}")["stopWorkspace"]
        )

    def look(self, workspace_id: str) -> dict[str, Any] | None:
        """The workspace as the portal shows it, None when there is none."""
        node = json.dumps(global_id("Workspace", workspace_id))
        found = self.tab().graphql(f"{{workspace(id: {node}){{state problem{{code}}}}}}")["workspace"]
        return dict(found) if found else None

    def found(self) -> str:
        """The outcome of a search at the facility."""
        search = self.tab().graphql("{search(query: {}){outcomes{outcome facility{slug}}}}")["search"]
        return str(next(o["outcome"] for o in search["outcomes"] if o["facility"]["slug"] == self.site.name))


PAYLOAD = "{workspace{state problem{code}} problem{code message}}"


@dataclass
class Asked:
    """One launch. `at` is when; `told` what the person heard when they asked, empty while nobody has answered."""

    id: str
    person: Person
    at: float
    told: str = ""
    refused: str = ""
    took: float = 0.0
    stop_asked: bool = False
    stop_told: str = ""


@dataclass
class Load:
    """Launches and stops, about `rate` a second, by `people` in turn, until told otherwise."""

    people: Sequence[Person]
    rate: float
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop, self._pause = threading.Event(), threading.Event()
        self._workers = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(WORKERS)]
        self._lock = threading.Lock()
        self.errors: list[str] = []

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        self._stop.set()
        for worker in self._workers:
            worker.join(60)

    def _work(self, number: int) -> None:
        random_ = random.Random(number)
        due = time.monotonic() + number / self.rate
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due = max(due, time.monotonic() - 1.0) + random_.uniform(0.5, 1.5) * WORKERS / self.rate
            person = random_.choice(list(self.people))
            mine = [a for a in self.asked[-200:] if a.person is person and a.told and not a.stop_asked]
            if len(mine) > 3 and random_.random() < 0.5:
                self._end(random_.choice(mine))
            else:
                self._begin(person)

    def _begin(self, person: Person) -> None:
        asked = Asked(str(uuid.uuid4()), person, time.monotonic())
        with self._lock:
            self.asked.append(asked)
        payload = self._insist(lambda: person.launch(asked.id))
        asked.took = time.monotonic() - asked.at
        if payload is None:
            return
        workspace, problem = payload["workspace"], payload["problem"]
        if workspace is not None:
            asked.told = workspace["state"]
        else:
            asked.refused = problem["code"]

    def burst(self, count: int) -> None:
        """So many launches at once."""
        threads = [
            threading.Thread(target=self._begin, args=(person,))
            for _, person in zip(range(count), itertools.cycle(self.people))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    def _end(self, asked: Asked) -> None:
        asked.stop_asked = True
        payload = self._insist(lambda: asked.person.stop(asked.id))
        if payload is not None:
            asked.stop_told = payload["workspace"]["state"] if payload["workspace"] else payload["problem"]["code"]

    def _insist(self, ask: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        """Ask again under the same id until somebody answers, as the client does."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                return ask()
            except LOST as error:
                self.errors.append(f"{type(error).__name__}: {error}"[:200])
                self._pause.wait(0.2)
        return None

    def between(self, start: float, end: float) -> list[Asked]:
        """What was asked meanwhile."""
        with self._lock:
            return [a for a in self.asked if start <= a.at <= end]


WORKERS = 4
