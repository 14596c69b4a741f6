"""Serves the built web client: hashed assets for ever, index.html for every page address, compressed when built so."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, PlainTextResponse, Response

DIST = Path(__file__).parent / "web" / "dist"
_ENCODINGS = ((b"br", "br", ".br"), (b"gzip", "gzip", ".gz"))
_NOT_BUILT = "The web client is not built: run `make web`. The public data is at /graphql.\n"


class Client:
    """An ASGI application for GET and HEAD. Files are listed once, so no request reaches outside of the folder."""

    def __init__(self, folder: Path = DIST) -> None:
        self._folder = folder
        self._files = {
            "/" + str(path.relative_to(folder)): path
            for path in (folder.rglob("*") if folder.is_dir() else ())
            if path.is_file() and path.suffix not in (".br", ".gz")
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        await self._response(scope)(scope, receive, send)

    def _response(self, scope: Any) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Method not allowed\n", 405)
        path = self._files.get(scope["path"])
        if path is None and Path(scope["path"]).suffix and scope["path"].startswith("/assets/"):
            return PlainTextResponse("Not found\n", 404)
        page = path is None or path.name == "index.html"
        path = path or self._files.get("/index.html")
        if path is None:
            return PlainTextResponse(_NOT_BUILT, 503)
        headers = {
            "cache-control": "no-cache" if page or "/assets/" not in scope["path"] else _FOR_EVER,
            "vary": "accept-encoding",
        }
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        accepted = dict(scope["headers"]).get(b"accept-encoding", b"")
        for token, name, suffix in _ENCODINGS:
            packed = path.with_name(path.name + suffix)
            if token in accepted and packed.exists():
                return FileResponse(packed, headers={**headers, "content-encoding": name}, media_type=kind)
        return FileResponse(path, headers=headers, media_type=kind)


_FOR_EVER = "public, max-age=31536000, immutable"
