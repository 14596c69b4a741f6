"""What carries a session's frames to the hub and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol


class Carriage(Protocol):
    """An open stream: gRPC, or a WebSocket where nothing else passes. `refused`: the hub did not let this agent in."""

    refused: bool

    async def read(self) -> bytes | None:
        """The next frame, None at the end. Raises StreamLost."""
        ...

    async def write(self, data: bytes) -> None:
        """Writes one frame. Raises StreamLost."""
        ...

    async def finish(self) -> None:
        """Nothing more is written. Raises StreamLost."""
        ...

    async def put_bulk(self, chunks: AsyncIterator[bytes]) -> bytes:
        """Sends one large answer beside the frames; the hub's receipt. Raises StreamLost when that is not possible."""
        ...
