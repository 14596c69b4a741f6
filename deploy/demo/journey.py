"""A scientist's journey as steps that the check, the browser's tests and the benchmarks share."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect

from deploy.demo.browser import Browser, Page
from deploy.demo.configure import Addresses
from deploy.demo.people import PEOPLE, Person

SEARCH = """query($q: SearchInput!) { search(query: $q) {
  nodes { id title proposal isOpen facility { slug } }
  outcomes { facility { slug } outcome count problem { code message } } } }"""
LAUNCH = """mutation($i: LaunchWorkspaceInput!) { launchWorkspace(input: $i) {
  workspace { id uuid state } problem { code message } } }"""
WATCH = """subscription { workspaceChanged { uuid state sequence openUrl problem { code message } steps { name state } } }"""

Step = Callable[[str, Callable[[], Any]], Any]
"""Carries out one named step, says so, and returns its result."""


class StepFailed(AssertionError):
    """A step did not come out as it must."""


def must(holds: object, why: str) -> None:
    """Raise StepFailed unless `holds`."""
    if not holds:
        raise StepFailed(why)


@dataclass
class Journey:
    """One person in one browser."""

    at: Addresses
    person: Person = PEOPLE[0]

    def __post_init__(self) -> None:
        self.browser = Browser()
        self.workspace = str(uuid.uuid4())
        self.open_url = ""
        self.home = f"{self.at.portal}/facilities"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """One GraphQL operation; raises StepFailed on errors."""
        answer = self.browser.post_json(
            f"{self.at.portal}/graphql", {"query": query, "variables": variables}
        ).json()
        must("errors" not in answer, f"GraphQL: {json.dumps(answer.get('errors'))[:500]}")
        data: dict[str, Any] = answer["data"]
        return data

    def facilities(self) -> None:
        """Anyone sees both facilities, online, with what they offer."""
        nodes = self.ask(
            "{facilities{nodes{slug state environments{title software{name version}} services{url}}}}"
        )["facilities"]["nodes"]
        must({n["slug"] for n in nodes} == {"alpha", "beta"}, f"facilities: {nodes}")
        must(all(n["state"] == "ONLINE" and n["environments"] and n["services"] for n in nodes), f"{nodes}")

    def open_data(self) -> None:
        """Without signing in, open data alone; soon after the facilities have come, all of them."""
        end = time.monotonic() + 30.0
        while True:
            found = self.ask(SEARCH, q={})["search"]
            must(all(n["isOpen"] for n in found["nodes"]), "a stranger sees data that are not open")
            if {o["outcome"] for o in found["outcomes"]} == {"OK"}:
                return
            must(time.monotonic() < end, f"{found['outcomes']}")
            threading.Event().wait(0.2)

    def sign_in(self) -> Page:
        """At UmbrellaID, chosen on its page."""
        page = self.browser.get(f"{self.at.portal}/signin/umbrella?return=/facilities", since=self.home)
        page = self._umbrella(page)
        me = self.ask("{me{name accountLinks{state}}}")["me"]
        must(me and me["name"] == self.person.name, f"signed in as {me}, at {page.url} {page.body[:200]}")
        return page

    def _umbrella(self, page: Page) -> Page:
        while urlsplit(page.url).netloc == urlsplit(self.at.umbrella).netloc and "/interaction/" in page.url:
            page = self.browser.submit(page, {"login": self.person.login})
        return page

    def outcomes_before(self) -> None:
        """Signed in, both facilities ask for a sign-in there, and open data are shown meanwhile."""
        outcomes = self.ask(SEARCH, q={})["search"]["outcomes"]
        must({o["outcome"] for o in outcomes} == {"SIGN_IN_NEEDED"}, f"{outcomes}")

    def connect(self, facility: str) -> Page:
        """Link the local account at the facility's gateway, confirm, and come back with a grant."""
        page = self.browser.get(f"{self.at.portal}/connect/{facility}/start?return=/search", since=self.home)
        page = self._umbrella(page)
        username, password, _ = self.person.accounts[facility]
        if "/sign-on" in page.url and facility == "alpha":
            page = self.browser.submit(page)
            page = self.browser.submit(page, {"login": username})
        elif "/sign-on" in page.url:
            page = self.browser.submit(page, {"username": username, "password": password})
        if "/confirm" in page.url:
            must(self.person.name in page.body and username in page.body, "the page does not name both identities")
            page = self.browser.submit(page, button="allow")
        must("outcome=OK" in page.url, f"ended at {page.url} ({page.status}): {page.body[:400]}")
        return page

    def regrant(self, facility: str) -> Page:
        """A second visit needs nobody's hand."""
        page = self.browser.get(f"{self.at.portal}/connect/{facility}/start?return=/search", since=self.home)
        must("outcome=OK" in page.url, f"ended at {page.url}: {page.hops}")
        return page

    def find(self, **query: Any) -> dict[str, Any]:
        """One of one's own datasets."""
        found = self.ask(SEARCH, q=query)["search"]
        own = [n for n in found["nodes"] if not n["isOpen"]]
        must(own, f"nothing of one's own: {found['outcomes']}")
        dataset: dict[str, Any] = own[-1]
        return dataset

    def watch(self, ready: Callable[[dict[str, Any]], bool], within: float = 90.0) -> list[str]:
        """Follow `workspaceChanged` until `ready`; the states seen."""
        states: list[str] = []
        with self.socket(f"{self.at.portal}/graphql", ["graphql-transport-ws"]) as socket:
            socket.send(json.dumps({"type": "connection_init"}))
            socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": WATCH}}))
            end = time.monotonic() + within
            while True:
                message = json.loads(socket.recv(timeout=max(0.1, end - time.monotonic())))
                if message["type"] == "error":
                    raise StepFailed(f"subscription: {message}")
                seen = (message.get("payload") or {}).get("data", {}).get("workspaceChanged")
                if message["type"] != "next" or not seen or seen["uuid"] != self.workspace:
                    continue
                states.append(seen["state"])
                must(seen["state"] != "FAILED", f"it failed: {seen['problem']}")
                if ready(seen):
                    self.open_url = seen["openUrl"] or self.open_url
                    return states

    def order(self, dataset: dict[str, Any], environment: str = "jupyter", flavour: str = "small") -> str:
        """Ask for a new workspace beside the dataset; its problem, empty for none."""
        self.workspace, slug = str(uuid.uuid4()), dataset["facility"]["slug"]
        made = self.ask(
            LAUNCH,
            i={
                "id": self.workspace, "environment": f"Environment:{slug}:{environment}",
                "flavour": f"Flavour:{slug}:{flavour}", "proposals": [dataset["proposal"]],
                "dataset": dataset["id"], "title": dataset["title"], "lifetimeSeconds": 3600,
            },
        )["launchWorkspace"]  # fmt: skip
        return str(made["problem"]) if made["problem"] else ""

    def state(self, workspace: str = "") -> dict[str, Any]:
        """A workspace as the portal shows it, the newest one when none is named."""
        query = "query($i:ID!){workspace(id:$i){state openUrl problem{code message}}}"
        shown: dict[str, Any] = self.ask(query, i=f"Workspace:{workspace or self.workspace}")["workspace"]
        return shown

    def launch(self, dataset: dict[str, Any], flavour: str = "small") -> list[str]:
        """Start JupyterLab beside the dataset; the states on the way to RUNNING."""
        problems: list[str] = []

        def ask() -> None:
            problems.append(self.order(dataset, flavour=flavour))

        launcher = threading.Timer(0.05, ask)
        launcher.start()
        try:
            return self.watch(lambda seen: seen["state"] == "RUNNING" and bool(seen["openUrl"]))
        except TimeoutError:
            raise StepFailed(f"it did not run in time {problems}") from None
        finally:
            launcher.join()

    def open_workspace(self) -> Page:
        """The workspace's own origin, by way of the gateway and UmbrellaID."""
        page = self.browser.get(self.open_url)
        must(page.status == 200 and "jupyter" in page.body.lower(), f"{page.url} {page.status}: {page.body[:300]}")
        return page

    def kernel(self) -> Kernel:
        """Start a kernel and connect to it through the gateway."""
        origin = self.open_url.rstrip("/")
        made = self.browser.post_json(f"{origin}/api/kernels", {"name": "python3"})
        must(made.status_code == 201, f"no kernel: {made.status_code} {made.text[:300]}")
        return Kernel(self, origin, made.json()["id"])

    def socket(self, url: str, protocols: list[str] | None = None) -> AbstractContextManager[ClientConnection]:
        """A WebSocket as a page of this origin opens it."""
        parts = urlsplit(url)
        return connect(
            url.replace("http", "ws", 1), origin=f"{parts.scheme}://{parts.netloc}", subprotocols=protocols,  # type: ignore[arg-type]
            additional_headers={"Cookie": self.browser.cookie_header(url)}, max_size=64 * 2**20, open_timeout=20,
        )  # fmt: skip

    def stop(self, workspace: str = "") -> None:
        """Stop a workspace, the newest one when none is named, and see it end."""
        asked = """mutation($i: StopWorkspaceInput!){stopWorkspace(input:$i){workspace{state} problem{code message}}}"""
        done = self.ask(asked, i={"id": f"Workspace:{workspace or self.workspace}"})["stopWorkspace"]
        must(done["problem"] is None, f"{done['problem']}")
        end = time.monotonic() + 150  # a Kubernetes node may take a minute and a half
        while self.state(workspace)["state"] != "ENDED":
            must(time.monotonic() < end, "it did not end within 150 s")
            threading.Event().wait(0.1)

    def sign_out(self) -> None:
        """At the portal and at UmbrellaID; afterwards nobody is there."""
        page = self.browser.get(f"{self.at.portal}/facilities")
        page = Page(page.url, 200, '<form method="post" action="/signout"><button>Sign out</button></form>')
        page = self.browser.submit(page)
        if urlsplit(page.url).netloc == urlsplit(self.at.umbrella).netloc:
            page = self.browser.submit(page, button="logout")
        must("/signout/done" in page.url, f"ended at {page.url} {page.body[:200]}")
        must(self.ask("{me{name}}")["me"] is None, "still signed in")

    def refused_afterwards(self) -> None:
        """Nothing of one's own is found any more, and the workspace's door is shut."""
        found = self.ask(SEARCH, q={})["search"]
        must(all(n["isOpen"] for n in found["nodes"]), "private data are still found")
        answer = self.browser.post_json(f"{self.open_url.rstrip('/')}/api/kernels", {"name": "python3"})
        must(answer.status_code in (401, 403), f"the workspace answers {answer.status_code}")


class Kernel:
    """A kernel behind the gateway."""

    def __init__(self, journey: Journey, origin: str, kernel_id: str) -> None:
        self._journey, self._session = journey, uuid.uuid4().hex
        self._url = f"{origin}/api/kernels/{kernel_id}/channels?session_id={self._session}"
        self._open = ExitStack()
        self._socket = self._open.enter_context(journey.socket(self._url))

    def reconnect(self) -> None:
        """Connect anew, as a browser tab does."""
        self._open.close()
        self._socket = self._open.enter_context(self._journey.socket(self._url))

    def run(self, code: str, within: float = 120.0) -> str:
        """Run code; what it printed. Raises StepFailed when it raised."""
        message_id = uuid.uuid4().hex
        header = {
            "msg_id": message_id,
            "msg_type": "execute_request",
            "session": self._session,
            "username": "",
            "version": "5.3",
            "date": "",
        }
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
        }
        request = {
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": content,
            "channel": "shell",
            "buffers": [],
        }
        self._socket.send(json.dumps(request))
        out: list[str] = []
        end = time.monotonic() + within
        while True:
            message = json.loads(self._socket.recv(timeout=max(0.1, end - time.monotonic())))
            if message["parent_header"].get("msg_id") != message_id:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                out.append(content["text"])
            elif kind == "error":
                raise StepFailed(f"the cell raised {content['ename']}: {content['evalue']}")
            elif kind == "status" and content["execution_state"] == "idle":
                return "".join(out)

    def close(self) -> None:
        """Close the connection; the kernel lives on."""
        self._open.close()


def notebook_cells() -> list[str]:
    """The code cells of the notebook that each workspace gets."""
    notebook = json.loads(Path(__file__).with_name("environment").joinpath("analysis.ipynb").read_text())
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
