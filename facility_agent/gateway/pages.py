"""The gateway's few pages: no script, one style sheet, every error with what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from shared.errors import ParasolError

HERE = Path(__file__).parent
_templates = Environment(
    loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


class Pages:
    """Renders templates with what every page shows."""

    def __init__(self, facility_name: str, portal: str, *, inline: bool = False) -> None:
        # On a workspace's origin everything below / belongs to the workspace, so the style comes within the page.
        css = (HERE / "static" / "gateway.css").read_text() if inline else ""
        self._common = {"facility": facility_name, "portal": portal, "css": css}

    def page(self, template: str, /, status: int = 200, **values: Any) -> HTMLResponse:
        """One page; never cached."""
        body = _templates.get_template(f"{template}.html").render(**self._common, **values)
        return HTMLResponse(body, status, {"cache-control": "no-store"})

    async def unexpected(self, _: Request, error: Exception) -> HTMLResponse:
        """What no page has foreseen: the agent does not answer, or a fault of ours, of which only its kind is told."""
        known = error if isinstance(error, ParasolError) else ParasolError()
        sentence = f"{known.message} Go back to the portal and try again in a moment."
        return self.problem(503 if known.retryable else 500, "This did not work", sentence, code=known.reason)

    def problem(self, status: int, title: str, sentence: str, **values: Any) -> HTMLResponse:
        """An error: what happened and what to do; a link back to the portal."""
        return self.page(
            "problem",
            status,
            title=title,
            sentence=sentence,
            action=values.get("action"),
            code=values.get("code", ""),
        )
