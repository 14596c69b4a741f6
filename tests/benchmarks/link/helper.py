"""Processes of the benchmark that are told by lines of JSON what to do, and answer by such lines."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
Task = Callable[..., Awaitable[Any]]


class Helper:
    """Such a process, seen from outside."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process, self.pid = process, process.pid

    def tell(self, task: str, **how: Any) -> Any:
        """Have it do something; what that gave."""
        self.begin(task, **how)
        return self.answer()

    def begin(self, task: str, **how: Any) -> None:
        """Have it do something, without waiting."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([task, how]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """What the oldest task that was begun gave."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{self._process.args} has ended"
        return json.loads(line)


@contextmanager
def helper(module: str, *arguments: object, **variables: str) -> Iterator[Helper]:
    """Run `module` of this package until the context ends; it has begun when this returns."""
    command = [sys.executable, "-m", f"tests.benchmarks.link.{module}", *map(str, arguments)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **variables},
    )
    try:
        running = Helper(process)
        assert running.answer() == "ready"
        yield running
    finally:
        process.terminate()
        process.wait(20)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


async def obey(tasks: Mapping[str, Task]) -> None:
    """Do what standard input says, until it ends."""
    print(json.dumps("ready"), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        task, how = json.loads(line)
        print(json.dumps(await tasks[task](**how)), flush=True)
