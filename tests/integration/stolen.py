"""What an attacker has who copied the centre's disk and recorded the link, and everything that can be derived from it."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from central_portal.identity.sealing import grant_label, sealing_key
from facility_agent.link.stream import Stream, open_stream
from shared.wire import proof
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.raw import pieces

INFOS = ("parasol seal v1", "parasol grant v2", "parasol verifier v1", "parasol nonce v1", "parasol x25519 v1")
_WORD = re.compile(rb"[A-Za-z0-9_.~+/=-]{16,}")


@dataclass
class Tape:
    """Every frame of the link, both ways, and the tokens that opened its streams."""

    down: list[bytes] = field(default_factory=list)
    up: list[bytes] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def open(
        self, target: str, credentials: grpc.ChannelCredentials | None, metadata: tuple[tuple[str, str], ...]
    ) -> AsyncIterator[Stream]:
        """The agent's stream, with a tap on it."""
        self.tokens += [value.removeprefix("Bearer ") for _, value in metadata]
        async with open_stream(target, credentials, metadata) as stream:
            yield _Tapped(stream, self)

    def commands(self) -> list[pb.Command]:
        """Every command that the centre sent."""
        return [word.command for word in self._words() if word.WhichOneof("body") == "command"]

    def orders(self) -> list[pb.Order]:
        """Every order that the centre sent."""
        return [word.order for word in self._words() if word.WhichOneof("body") == "order"]

    def _words(self) -> list[pb.CentreEnvelope]:
        return [pb.CentreEnvelope.FromString(piece) for frame in self.down for piece in pieces(frame, 1, 100)]


class _Tapped(Stream):
    def __init__(self, inner: Stream, tape: Tape) -> None:
        self._inner, self._tape = inner, tape
        self.finish = inner.finish  # type: ignore[method-assign]

    @property
    def refused(self) -> bool:  # type: ignore[override]
        return self._inner.refused

    async def put_bulk(self, chunks: AsyncIterator[bytes]) -> bytes:
        async def tapped() -> AsyncIterator[bytes]:
            async for chunk in chunks:
                self._tape.up.append(chunk)
                yield chunk

        return await self._inner.put_bulk(tapped())

    async def read(self) -> bytes | None:
        data = await self._inner.read()
        if data is not None:
            self._tape.down.append(data)
        return data

    async def write(self, data: bytes) -> None:
        self._tape.up.append(data)
        await self._inner.write(data)


@dataclass
class Loot:
    """Everything stolen, as loose values, and the boxes that the centre keeps."""

    boxes: list[tuple[str, str, bytes]]
    values: set[bytes]

    @classmethod
    def of(cls, folder: Path, tape: Tape, *more: str) -> Loot:
        """From a copy of the centre's folder with its database and keys, and the tape."""
        values = {word.encode() for word in more} | {token.encode() for token in tape.tokens}
        boxes: list[tuple[str, str, bytes]] = []
        for path in (p for p in folder.rglob("*") if p.is_file()):
            values |= set(_WORD.findall(path.read_bytes()))
        for path in folder.rglob("*.sqlite3"):
            with sqlite3.connect(path) as db:
                tables = [r[0] for r in db.execute("select name from sqlite_master where type='table'")]
                for table in tables:
                    for row in db.execute(f"select * from {table}"):
                        values |= {_bytes(value) for value in row if value is not None}
                boxes += db.execute("select facility, grant_id, box from identity_sealedgrant").fetchall()
        for frame in (*tape.down, *tape.up):
            values |= set(_WORD.findall(frame)) | set(_fields(frame))
        return cls(boxes, {value for value in values if value})

    def keys(self) -> set[bytes]:
        """Every 32 bytes that can be made of it: raw, decoded, hashed, derived, agreed."""
        raw = self._raw()
        made = set(raw)
        for value in self.values:
            made |= {hashlib.sha256(value).digest(), hashlib.sha256(hashlib.sha256(value).digest()).digest()}
            made |= {proof.hkdf(value, info) for info in INFOS}
        made |= self._agreed()
        return made

    def _raw(self) -> set[bytes]:
        found: set[bytes] = set()
        for value in self.values:
            found |= (
                {value[i : i + 32] for i in range(max(1, min(len(value), 128) - 31))}
                if len(value) >= 32
                else set()
            )
            for decode in (proof.unb64, bytes.fromhex):
                try:
                    found.add(decode(value.decode("ascii")))
                except (ValueError, UnicodeDecodeError):
                    continue
        return {value for value in found if len(value) == 32}

    def _agreed(self) -> set[bytes]:
        """Every secret that could have been agreed, were any word a private key or the cookie that makes one."""
        words = {v.decode() for v in self.values if re.fullmatch(rb"[A-Za-z0-9_-]{43}", v)}
        salts = [bytes.fromhex(v.decode()) for v in self.values if re.fullmatch(rb"[0-9a-f]{64}", v)]
        privates = [
            X25519PrivateKey.from_private_bytes(proof.unb64(w)) for w in words if len(proof.unb64(w)) == 32
        ]
        states = words | {v.decode() for v in self.values if re.fullmatch(rb"[A-Za-z0-9_-]{20,42}", v)}
        privates += [proof.private_key_of(attempt, state) for attempt in words for state in states]
        made: set[bytes] = set()
        for mine in privates:
            ours = proof.public_half(mine)
            for theirs in words:
                try:
                    shared = mine.exchange(X25519PublicKey.from_public_bytes(proof.unb64(theirs)))
                except ValueError:
                    continue
                infos = (f"parasol grant v2 {ours} {theirs}", f"parasol grant v2 {theirs} {ours}")
                made |= {shared, *(proof.hkdf(shared, info, salt) for info in infos for salt in salts)}
        return made

    def opened(self, keys: Iterable[bytes]) -> list[bytes]:
        """What of the boxes opens, under any of these keys or a sealing key made of a stolen word."""
        sealing = {sealing_key(v.decode()) for v in self.values if v.isascii()} | set(keys)
        found = []
        for facility, grant_id, box in self.boxes:
            for key in sealing:
                try:
                    found.append(AESGCM(key).decrypt(box[:12], box[12:], grant_label(facility, grant_id).encode()))
                except InvalidTag:
                    continue
        return found


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _fields(data: bytes, depth: int = 0) -> Iterable[bytes]:
    """Every length-delimited field within a message, whatever it means."""
    position = 0
    while depth < 8 and position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if position < 0 or kind not in (0, 1, 2, 5):
            return
        if kind == 0:
            _, position = _varint(data, position)
            if position < 0:
                return
        elif kind == 2:
            size, position = _varint(data, position)
            if position < 0 or position + size > len(data):
                return
            inner = data[position : position + size]
            yield inner
            yield from _fields(inner, depth + 1)
            position += size
        else:
            position += 8 if kind == 1 else 4


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 64:
        value |= (data[position] & 127) << shift
        position, shift = position + 1, shift + 7
        if not data[position - 1] & 128:
            return value, position
    return 0, -1
