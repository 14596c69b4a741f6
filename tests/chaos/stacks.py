"""What a process of a trial is doing when it does not do what it should: its threads and its tasks, on a signal."""

from __future__ import annotations

import asyncio
import faulthandler
import signal
import sys

ASK = signal.SIGUSR1
END = "--- end of the stacks ---"


def answer() -> None:
    """From now on this process writes them to its standard error when it is asked. In the main thread."""
    signal.signal(ASK, _tell)


def _tell(*_: object) -> None:
    faulthandler.dump_traceback(all_threads=True)
    try:
        for task in asyncio.all_tasks():
            task.print_stack(limit=12, file=sys.stderr)
    except RuntimeError:
        print("no event loop runs", file=sys.stderr)
    print(END, file=sys.stderr, flush=True)
