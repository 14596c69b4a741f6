"""Whether an account may read a folder: our reading of modes and ACLs against the kernel's own."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest

from facility_agent.adapters.places.readable import ENTER, READ, permits, rights_of
from facility_agent.ports.directory import Account
from tests.privileged.site import PROGRAM, as_root

pytestmark = pytest.mark.needs("root")
UIDS, GIDS = (61_201, 61_202), (61_301, 61_302, 61_303)
ACCOUNT = Account("ada", "id-ada", UIDS[0], GIDS[0], (GIDS[1],), Path("/home/ada"))
ANY = 0xFFFFFFFF
ASKED = """
import os, sys
for path in sys.stdin.read().split(): print(int(os.access(path, os.R_OK | os.X_OK)))
"""


def some_acl(chance: random.Random) -> bytes:
    bits = lambda: chance.choice((0, 1, 4, 5, 7))  # noqa: E731
    named = [(2, bits(), uid) for uid in UIDS if chance.random() < 0.5]
    groups = [(8, bits(), gid) for gid in GIDS if chance.random() < 0.5]
    entries = [(1, bits(), ANY), *named, (4, bits(), ANY), *groups, (16, bits(), ANY), (32, bits(), ANY)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def test_it_is_what_the_kernel_says_of_five_hundred_folders() -> None:
    chance = random.Random(20_261_125)
    with as_root(), tempfile.TemporaryDirectory(prefix="pr-") as name:
        root = Path(name)
        root.chmod(0o755)
        folders = [root / str(n) for n in range(500)]
        for folder in folders:
            folder.mkdir()
            os.chown(folder, chance.choice((0, *UIDS)), chance.choice((0, *GIDS)))
            folder.chmod(chance.randrange(0o1000))
            if chance.random() < 0.6:
                os.setxattr(folder, "system.posix_acl_access", some_acl(chance))
        kernel = subprocess.run(
            [PROGRAM, "-c", ASKED], input="\n".join(map(str, folders)), capture_output=True, text=True, check=True,
            user=ACCOUNT.uid, group=ACCOUNT.gid, extra_groups=list(ACCOUNT.groups), cwd="/",
        ).stdout.split()  # fmt: skip
        ours = [str(int(bool(permits(rights_of(folder), ACCOUNT, READ | ENTER)))) for folder in folders]
        assert len(kernel) == 500
        assert {*kernel} == {"0", "1"}
        assert ours == kernel
