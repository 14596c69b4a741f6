"""`python -m deploy.demo run|check [--data FOLDER] [--port-base N]`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from pathlib import Path

from deploy.demo.ground import read
from deploy.setup.ordinary_user import drop


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="deploy.demo")
    parser.add_argument("command", choices=("run", "check"))
    parser.add_argument("--data", type=Path, help="serve this folder of NeXus files at Alpha")
    parser.add_argument("--port-base", type=int, help="first of six ports (run: 8000, check: free ones)")
    parser.add_argument(
        "--ground", type=Path, help="check: what Alpha computes on, as deploy.demo.ground reads it"
    )
    arguments = parser.parse_args()
    if arguments.data and not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is no folder")
    ground = read(arguments.ground) if arguments.ground else None
    drop(list(ground.groups.values()) if ground else ())
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:5.1f} s] {text}", flush=True)

    if arguments.command == "check":
        from deploy.demo.check import check

        sys.exit(check(arguments.port_base, arguments.data, say, ground))
    run(arguments.port_base or 8000, arguments.data, say)


def run(base: int, data: Path | None, say: object) -> None:
    """Run until Ctrl-C."""
    from deploy.demo.world import World

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with World(base, data, say) as world:  # type: ignore[arg-type]
        print(f"\nParasol runs: open  {world.addresses.portal}  in a browser on this machine.\n")
        print(world.people())
        print(
            "\nTry: sign in, search under Data, connect Alpha, press Analyse. Ctrl-C ends everything.\n",
            flush=True,
        )
        ended.wait()
        print("stopping …", flush=True)


if __name__ == "__main__":
    main()
