"""Why a workspace does not open, as pages that say what to do."""

from __future__ import annotations

from starlette.responses import Response

from facility_agent.gateway.pages import Pages
from facility_agent.ports.doorkeeper import WorkspaceDoor
from shared.errors import CodeNotValid, ParasolError

_FROM_PORTAL = "Open the workspace from the portal."
_STATES = {
    "REQUESTED": ("It is not running yet", "It is still being started. Watch it in the portal."),
    "STARTING": ("It is not running yet", "It is still being started. Watch it in the portal."),
    "STOPPING": ("It is being stopped", "Start another one from the portal."),
    "ENDED": ("This workspace has ended", "Start another one from the portal."),
    "FAILED": ("This workspace has ended", "The portal says why. Start another one from there."),
}
_NOBODY_KNOWS = ("Nobody can tell at the moment", "Nothing was ended. Try again shortly.")


class Refusals:
    """On the gateway's own origin with its style sheet, on a workspace's with the style within the page."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def _page(self, status: int, code: str, title: str, sentence: str) -> Response:
        return self._pages.problem(status, title, sentence, code=code)

    def unknown(self) -> Response:
        """Nobody knows such a workspace."""
        return self._page(404, "NOT_FOUND", "There is no such workspace", _FROM_PORTAL)

    def not_yours(self) -> Response:
        """Somebody else's."""
        sentence = "Sign in as its owner, or open your own from the portal."
        return self._page(403, "ACCESS_DENIED", "This workspace is not yours", sentence)

    def not_running(self, door: WorkspaceDoor) -> Response:
        """Not yet, or not any more."""
        return self._page(409, door.state, *_STATES.get(door.state, _NOBODY_KNOWS))

    def failed(self, error: ParasolError) -> Response:
        """The agent refuses, or does not answer."""
        if isinstance(error, CodeNotValid):
            return self._page(403, error.reason, error.message, _FROM_PORTAL)
        status = 503 if error.retryable else 403
        return self._page(status, error.reason, "This cannot be opened now", error.message)

    def gone(self) -> Response:
        """The workspace's socket does not answer."""
        sentence = "It may be starting or ending. Reload in a moment, or look in the portal."
        return self._page(502, "BACKEND_UNAVAILABLE", "The workspace does not answer", sentence)
