"""A user office that speaks the facility's half of the CALIPSOplus portal.

Source: API.md of Calipsoplus/calipsoplus-backend (MIT), and the requests that its services make: Basic authentication,
`POST …/is_staff/` with `{"login": …}` answered by `{"result": bool}`, and `GET …/experiments/$USERNAME/` with `page` and
`page_size`, answered by `{count, next, previous, results: [{proposal_id, …}]}`. A release before those two names the
proposal `serial_number`. Paths, uids and gids that it may add are not read: they are no word on access.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator, Set
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field

from facility_agent.adapters.http import Answer, Bounds, Upstream, unavailable, unusable
from facility_agent.adapters.site_settings import Address, secret, system_faults
from facility_agent.plugins import Fault, Site
from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.directory import Account
from facility_agent.tables import Table

NAME = "user office"
PAGE, PAGES = 100, 50
_USERNAME = "$USERNAME"


def _experiments(value: str) -> str:
    if not value.startswith("/") or "?" in value or value.count(_USERNAME) != 1:
        raise ValueError("a path that begins with / and has $USERNAME once")
    return value


def _authorized(value: str) -> str:
    if value and (not value.startswith("/") or "?" in value):
        raise ValueError("a path that begins with /, or empty")
    return value


class UserOfficeSettings(Table):
    """Settings of the adapter `user_office`."""

    url: Address = Field(description="The user office, before the paths below.")
    username: str = Field(
        min_length=1, pattern="^[^:]*$", description="The agent's name there (Basic authentication)."
    )
    password_file: Path = Field(description="Holds its password; mode 0600. Read at each question.")
    experiments: Annotated[str, AfterValidator(_experiments)] = Field(
        default="/experiments/$USERNAME/", description="Where a person's proposals are listed."
    )
    is_authorized: Annotated[str, AfterValidator(_authorized)] = Field(
        default="/is_staff/",
        description="Where is said whether somebody may use the facility's resources; empty: whoever it knows may.",
    )
    proposal: Literal["proposal_id", "serial_number"] = Field(
        default="proposal_id", description="Which field of an experiment names the proposal as the catalogue does."
    )
    ca_file: Path | None = Field(default=None, description="Trust this CA instead of the system's.")
    timeout_s: float = Field(
        default=3.0, gt=0, le=30, description="The longest that one question may take, all pages."
    )
    answer_bytes: int = Field(default=4 * 1024 * 1024, gt=0, description="The most that one answer may have.")


class UserOffice(AccessRules):
    """Asked at each use. What cannot be understood whole is no answer: nobody gets in by half of one."""

    def __init__(
        self, settings: UserOfficeSettings, upstream: Upstream, password: Callable[[], str],
        faults: Callable[[], Iterator[Fault]] = lambda: iter(()),
    ) -> None:  # fmt: skip
        self._settings, self._upstream, self._password, self.faults = settings, upstream, password, faults

    async def __aenter__(self) -> UserOffice:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._upstream.close()

    async def may_use(self, account: Account) -> bool:
        """The office's word on this username; not for one that it does not know."""
        async with _within(self._settings.timeout_s):
            if not self._settings.is_authorized:
                return await self._page(account.username, 1, 1) is not None
            said = await self._told("POST", self._settings.is_authorized, json={"login": account.username})
        if said is None:
            return False
        if not isinstance(said.get("result"), bool):
            raise unusable(NAME, "does not say whether somebody is authorized")
        return bool(said["result"])

    async def proposals(self, account: Account) -> Set[str]:
        """The proposals that the office lists for this username."""
        async with _within(self._settings.timeout_s):
            return await self._proposals(account.username)

    async def _proposals(self, username: str) -> frozenset[str]:
        found: list[str] = []
        for number in range(1, PAGES + 1):
            page = await self._page(username, number, PAGE)
            if page is None:
                if number > 1:
                    raise unusable(NAME, f"has no page {number}, which it had announced")
                return frozenset()
            count, more, names = page
            found += names
            if len(found) > count:
                raise unusable(NAME, f"lists more than the {count} experiments that it counts")
            if not more:
                if len(found) != count:
                    raise unusable(NAME, f"lists {len(found)} of {count} experiments")
                return frozenset(found)
            if not names:
                raise unusable(NAME, "has an empty page and goes on")
        raise unusable(NAME, f"has more than {PAGES} pages")

    async def _page(self, username: str, number: int, size: int) -> tuple[int, bool, list[str]] | None:
        """(how many in all, whether there is another page, these proposals); None for a username it does not know.

        `next` is an address of somebody else's choice: it only says that there is more. A name that some server could take
        for more than one part of a path is not asked about.
        """
        if username in (".", "..") or "/" in username or not username.isprintable():
            return None
        path = self._settings.experiments.replace(_USERNAME, quote(username, safe=""))
        said = await self._told("GET", path, query={"page": str(number), "page_size": str(size)})
        if said is None:
            return None
        count, more, rows = said.get("count"), said.get("next"), said.get("results")
        if not isinstance(count, int) or isinstance(count, bool) or count < 0 or not isinstance(more, str | None):
            raise unusable(NAME, "does not count its experiments")
        if not isinstance(rows, list) or len(rows) > size:
            raise unusable(NAME, f"is no list of at most {size} experiments")
        return count, more is not None, [self._named(row) for row in rows]

    def _named(self, row: Any) -> str:
        name = row.get(self._settings.proposal) if isinstance(row, dict) else None
        if (
            not isinstance(name, str)
            or not 1 <= len(name) <= 100
            or not name.isprintable()
            or name != name.strip()
        ):
            raise unusable(NAME, f"has an experiment without a usable {self._settings.proposal}")
        return name

    async def _told(self, method: str, path: str, **what: Any) -> dict[str, Any] | None:
        """What it says, None for somebody it does not know: the one place where its errors become ours."""
        try:
            password = await asyncio.to_thread(self._password)
        except (OSError, ValueError) as error:
            raise unavailable(NAME) from error
        credentials = base64.b64encode(f"{self._settings.username}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}"}
        answer = await self._upstream.send(method, path, headers=headers, **what)
        if answer.status == 404:
            await _unknown(answer)
            return None
        if answer.status == 429 or answer.status >= 500 or answer.status in (401, 403):
            raise unavailable(NAME) from ValueError(f"status {answer.status}")
        said = await answer.json() if answer.status == 200 else None
        if not isinstance(said, dict):
            raise unusable(NAME, f"is no object (status {answer.status})")
        return said


async def _unknown(answer: Answer) -> None:
    """A 404 of the office itself is JSON or empty; one of a proxy in front of it says nothing about anybody."""
    if answer.body:
        await answer.json()


class _within:  # noqa: N801 (used as a verb)
    """A deadline for all requests of one question. Raises BackendUnavailable."""

    def __init__(self, seconds: float) -> None:
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        try:
            await self._timeout.__aexit__(*error)
        except TimeoutError as over:
            raise unavailable(NAME) from over


class UserOfficePlugin:
    """The adapter `user_office`."""

    settings = UserOfficeSettings

    @staticmethod
    def build(settings: UserOfficeSettings, site: Site) -> UserOffice:
        """The adapter; it asks nothing before it is asked."""
        at = site.config_folder
        upstream = Upstream(
            settings.url, NAME, Bounds(settings.timeout_s, settings.answer_bytes),
            ca_file=at / settings.ca_file if settings.ca_file else None,
        )  # fmt: skip
        return UserOffice(
            settings,
            upstream,
            partial(secret, at / settings.password_file),
            partial(system_faults, at, settings.password_file, settings.ca_file),
        )
