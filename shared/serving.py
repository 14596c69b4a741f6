"""An ASGI application on uvicorn that ends by itself: SIGTERM stops serving, and the caller's clean-up still runs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises a captured signal again when it is done, which would end the process before our clean-up.
        yield


async def serve(
    app: Any, host: str, port: int, *, grace_s: int, ws_max_size: int = 0, http: Any = "httptools"
) -> None:
    """Serve until SIGTERM or SIGINT; requests under way get `grace_s` seconds. TLS ends in front of it.

    `http` may be a protocol class of one's own; `ws_max_size` 0 means no WebSockets.
    """
    config = uvicorn.Config(
        app, host=host, port=port, http=http, ws="websockets-sansio" if ws_max_size else "none", ws_max_size=ws_max_size,
        ws_per_message_deflate=False, access_log=False, log_config=None, lifespan="off", server_header=False,
        proxy_headers=False, timeout_graceful_shutdown=grace_s,
    )  # fmt: skip
    server = _Server(config)

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await server.serve()
