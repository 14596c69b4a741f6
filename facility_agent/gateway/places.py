"""The page on which a person enters where data lie: signed in, in the name of their own account."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from facility_agent.gateway.pages import Pages
from facility_agent.gateway.sessions import Sessions
from facility_agent.gateway.settings import GatewaySettings
from facility_agent.gateway.sign_in import SignIn
from facility_agent.ports.doorkeeper import PlaceDoor
from shared.errors import AccountNotLinked, NotFound, ParasolError
from shared.identity import Subject
from shared.wire.proof import same, token

LONGEST_PID, LONGEST_PATH = 512, 1024
_STATES = {
    "ONLINE": "On disk",
    "RESTORING": "On its way from the archive to disk",
    "ARCHIVED": "In the archive",
    "UNKNOWN": "The facility cannot tell",
}


class PlacePages:
    """`/places`: of one dataset with `?dataset=<pid>`, and of all that the account entered."""

    def __init__(
        self, settings: GatewaySettings, door: PlaceDoor, sessions: Sessions, sign_in: SignIn, pages: Pages
    ) -> None:
        self._settings, self._door, self._sessions = settings, door, sessions
        self._sign_in, self._pages = sign_in, pages

    async def show(self, request: Request) -> Response:
        """`GET /places`: changes nothing."""
        pid = request.query_params.get("dataset", "")
        if not self._settings.takes_places:
            return self._none()
        if len(pid) > LONGEST_PID:
            return self._stale()
        session = await self._sessions.of(request)
        if not self._sign_in.is_fresh(request, session) or session.subject is None:
            return await self._sign_in.begin(request)
        form = session.data.get("places") or token()
        # The mark was for this request only: the next one asks UmbrellaID again who is there.
        await self._sessions.note(request, session, checked="", places=form)
        return await self._page(session.subject, pid, form)

    async def change(self, request: Request) -> Response:
        """`POST /places`: enter one, or take one back; only from this session's own page."""
        session, form = await self._sessions.of(request), await request.form()
        given, expected = _text(form.get("token")), session.data.get("places", "")
        if session.subject is None or not expected or not same(given.encode(), expected.encode()):
            return self._stale()
        pid, path, act = (_text(form.get(name)) for name in ("dataset", "path", "act"))
        if not self._settings.takes_places or act not in ("enter", "forget") or not 1 <= len(pid) <= LONGEST_PID:
            return self._stale()
        try:
            if act == "enter":
                await self._door.enter_place(session.subject, pid, path)
            else:
                await self._door.forget_place(session.subject, pid)
        except ParasolError as error:
            return await self._page(session.subject, pid, expected, error, path)
        shown = _text(form.get("shown"))[:LONGEST_PID]
        return RedirectResponse(f"/places?{urlencode({'dataset': shown})}" if shown else "/places", 303)

    async def _page(
        self, subject: Subject, pid: str, form: str, error: ParasolError | None = None, path: str = ""
    ) -> Response:
        try:
            sheet = await self._door.places(subject, pid)
        except ParasolError as problem:
            return self._problem(problem)
        status = 200 if error is None else 503 if error.retryable else 400
        mine = next(((folder, _day(at)) for each, folder, at in sheet.entered if each == pid), None)
        return self._pages.page(
            "places", status, pid=pid, title=sheet.title, state=_STATES.get(sheet.state, ""), online=sheet.state == "ONLINE", roots=sheet.roots, mine=mine,
            others=[(each, folder, _day(at)) for each, folder, at in sheet.entered if each != pid],
            token=form, path=path if len(path) <= LONGEST_PATH else "", error=error.message if error else "", code=error.reason if error else "",
            back=f"{self._settings.portal}/open?{urlencode({'pid': pid})}" if pid else "",
        )  # fmt: skip

    def _problem(self, error: ParasolError) -> Response:
        if isinstance(error, AccountNotLinked):
            title, sentence = (
                "Your account is not linked",
                "Link your account in the portal first, then come back.",
            )
            return self._pages.problem(403, title, sentence, code=error.reason)
        status = 503 if error.retryable else 404 if isinstance(error, NotFound) else 403
        return self._pages.problem(status, "This cannot be shown", error.message, code=error.reason)

    def _none(self) -> Response:
        return self._pages.problem(
            404, "There is no such page here", "This facility does not take places of data.", code="UNSUPPORTED"
        )

    def _stale(self) -> Response:
        sentence = "It was opened in another sign-in, or too long ago. Nothing was changed. Open it again from the portal."
        return self._pages.problem(400, "This page is no longer valid", sentence, code="STALE_PAGE")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%d %B %Y, %H:%M UTC")
