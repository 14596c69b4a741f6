"""What the journey may ask of whoever set the cluster up: take the scheduler away, bring it back, count."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tests.privileged.site import as_root


class Scheduler(Protocol):
    """A cluster's."""

    def away(self) -> None:
        """It answers no more."""

    def back(self) -> None:
        """It answers again."""

    def runs(self, workspace: str) -> int:
        """How often that workspace was started."""


@contextmanager
def lever(folder: Path, scheduler: Scheduler) -> Iterator[Path]:
    """A Unix socket in a folder of root's, for everybody; a line a connection: `away`, `back` or `runs ID`."""

    class Word(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            word, _, about = self.rfile.readline().decode().strip().partition(" ")
            answer = ""
            if word == "away":
                scheduler.away()
            elif word == "back":
                scheduler.back()
            else:
                answer = str(scheduler.runs(about))
            self.wfile.write(f"{answer}\n".encode())

    path = folder / "lever"
    with as_root():
        server = socketserver.UnixStreamServer(str(path), Word)
        path.chmod(0o666)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield path
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
