"""Records the conversations between the ends of this version: `python -m tests.corpus.record v2`.

What stands is never written again: it is what some facility still says. `--unreleased` records a folder
again whose contract has not been released.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from tests.corpus.conversations import CONVERSATIONS, ends, speak
from tests.corpus.reading import envelopes, heard

ROOT = Path(__file__).parent / "link"
OTHER = {"agent": "centre", "centre": "agent"}


def record(folder: Path) -> int:
    """Write a frame and its meaning per step; how many."""
    count = 0
    for name, conversation in CONVERSATIONS.items():
        both = ends()
        for number, step in enumerate(conversation(), start=1):
            frame = speak(step, both[step.who])
            meaning = {
                "from": step.who,
                "at": step.at,
                "envelopes": envelopes(step.who, frame),
                "outputs": [heard(output) for output in both[OTHER[step.who]].receive(frame, step.at)],
            }
            stem = folder / f"{name}-{number:02d}-{step.name}"
            stem.with_suffix(".bin").write_bytes(frame)
            stem.with_suffix(".json").write_text(json.dumps(meaning, indent=1, ensure_ascii=False) + "\n")
            count += 1
    return count


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="name of the folder, for example v2")
    parser.add_argument("--unreleased", action="store_true", help="record a folder again")
    options = parser.parse_args()
    folder = ROOT / options.version
    if folder.exists() and not options.unreleased:
        sys.exit(f"{folder} stands: it is what that version said.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"{record(folder)} frames in {folder}")


if __name__ == "__main__":
    main()
