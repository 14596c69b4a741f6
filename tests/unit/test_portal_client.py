"""The web client's files: which address gives which file, how long it may be kept, and nothing outside."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from central_portal.client import Client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<!doctype html>page")
    (dist / "logo.svg").write_text("<svg/>")
    (dist / "assets" / "main-abc.js").write_text("plain")
    (dist / "assets" / "main-abc.js.br").write_bytes(b"brotli")
    (dist / "assets" / "main-abc.js.gz").write_bytes(b"gzipped")
    (tmp_path / "secret.txt").write_text("secret")
    return dist


async def get(
    client: Client, path: str, accept: str = "", method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()  # the browser stays connected and sends nothing more

    headers = [(b"accept-encoding", accept.encode())] if accept else []
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    await client(scope, receive, send)
    names = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], names, b"".join(m.get("body", b"") for m in sent[1:])


@pytest.mark.parametrize("path", ["/", "/index.html", "/search", "/connect/alpha", "/signin/failed", "/a.b/c"])
async def test_every_page_is_index_and_is_asked_for_anew(folder: Path, path: str) -> None:
    status, headers, body = await get(Client(folder), path)
    assert (status, body, headers["cache-control"]) == (200, b"<!doctype html>page", "no-cache")
    assert headers["content-type"].startswith("text/html")


async def test_hashed_assets_are_kept_for_ever(folder: Path) -> None:
    status, headers, body = await get(Client(folder), "/assets/main-abc.js")
    assert (status, body) == (200, b"plain")
    assert "immutable" in headers["cache-control"]
    assert "javascript" in headers["content-type"]
    _, headers, _ = await get(Client(folder), "/logo.svg")
    assert headers["cache-control"] == "no-cache", "its name carries no hash"


@pytest.mark.parametrize(
    ("accept", "encoding", "body"),
    [("gzip, br", "br", b"brotli"), ("gzip", "gzip", b"gzipped"), ("x", None, b"plain")],
)
async def test_compressed_files_go_to_who_can_read_them(
    folder: Path, accept: str, encoding: str | None, body: bytes
) -> None:
    _, headers, seen = await get(Client(folder), "/assets/main-abc.js", accept)
    assert (headers.get("content-encoding"), seen) == (encoding, body)
    assert "javascript" in headers["content-type"]
    assert headers["vary"] == "accept-encoding"


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/assets/../../secret.txt", "/assets/%2e%2e/%2e%2e/secret.txt"]
)
async def test_nothing_outside_of_the_folder_is_served(folder: Path, path: str) -> None:
    _, _, body = await get(Client(folder), path)
    assert b"secret" not in body


async def test_an_asset_of_an_older_build_is_not_found(folder: Path) -> None:
    status, _, body = await get(Client(folder), "/assets/main-old.js")
    assert status == 404
    assert b"doctype" not in body


async def test_other_methods_are_refused_and_head_has_no_body(folder: Path) -> None:
    assert (await get(Client(folder), "/search", method="POST"))[0] == 405
    status, _, body = await get(Client(folder), "/search", method="HEAD")
    assert (status, body) == (200, b"")


async def test_a_client_that_is_not_built_is_said_clearly(tmp_path: Path) -> None:
    status, _, body = await get(Client(tmp_path / "nothing"), "/")
    assert status == 503
    assert b"make web" in body
