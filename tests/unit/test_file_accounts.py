"""The accounts' file: what it must not be, and that a change of it is seen at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from facility_agent.adapters.accounts.file import FileAccounts
from shared.errors import AccessDenied, BackendUnavailable, NotFound

GOOD = '[[accounts]]\nusername = "ada"\nimmutable_id = "1"\nuid = 4001\ngid = 4001\nhome = "/home/ada"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.toml"
    path.write_text(GOOD)
    path.chmod(0o600)
    return path


def broken(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


@pytest.mark.parametrize(
    "breaks",
    [
        lambda path: path.chmod(0o620),
        lambda path: path.chmod(0o602),
        lambda path: path.unlink(),
        broken(b"[[accounts"),
        broken(b"\xff\xfe"),
        broken(b""),
        broken(GOOD.encode() + b"uids = 3\n"),
        broken(GOOD.encode() + b'groups = ["staff"]\n'),
        broken(GOOD.encode() + GOOD.replace("ada", "ben").encode()),
        broken(GOOD.encode() + GOOD.replace('"1"', '"2"').encode()),
    ],
    ids=["group", "world", "missing", "toml", "text", "empty", "key", "twice", "immutable-id", "username"],
)
async def test_a_file_that_cannot_be_trusted_answers_nothing(path: Path, breaks: Callable[[Path], None]) -> None:
    accounts = FileAccounts(path)
    ada = await accounts.account("ada")
    breaks(path)
    fresh = FileAccounts(path)
    for ask in (fresh.account("ada"), fresh.check("ada", "x"), fresh.may_use(ada), fresh.proposals(ada)):
        with pytest.raises(BackendUnavailable) as refused:
            await ask
        assert str(path) not in refused.value.message


async def test_a_change_of_its_content_is_seen_at_once(path: Path) -> None:
    accounts = FileAccounts(path)
    await accounts.account("ada")
    path.write_text(GOOD.replace("ada", "ben"))
    with pytest.raises(NotFound):
        await accounts.account("ada")
    assert (await accounts.account("ben")).uid == 4001


async def test_a_hash_that_is_none_lets_nobody_in(path: Path) -> None:
    for stored in ("plain", "$argon2id$", "$2b$12$abc", "x" * 500):
        path.write_text(GOOD + f'password = "{stored}"\n')
        with pytest.raises(AccessDenied):
            await FileAccounts(path).check("ada", stored)


async def test_at_most_two_hashes_are_computed_at_once(path: Path) -> None:
    accounts, lock, depth = FileAccounts(path), threading.Lock(), [0, 0]
    verify = accounts._verify

    def counted(stored: str, password: str) -> bool:
        with lock:
            depth[0] += 1
            depth[1] = max(depth)
        answer = verify(stored, password)
        with lock:
            depth[0] -= 1
        return answer

    accounts._verify = counted  # type: ignore[method-assign]
    await asyncio.gather(*(accounts.check(f"user-{n}", "x") for n in range(5)), return_exceptions=True)
    assert depth == [0, 2]
