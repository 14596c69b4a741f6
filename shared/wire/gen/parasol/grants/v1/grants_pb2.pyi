from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Redeem(_message.Message):
    __slots__ = ("code_hash", "verifier")
    CODE_HASH_FIELD_NUMBER: _ClassVar[int]
    VERIFIER_FIELD_NUMBER: _ClassVar[int]
    code_hash: str
    verifier: str
    def __init__(self, code_hash: _Optional[str] = ..., verifier: _Optional[str] = ...) -> None: ...

class Redeemed(_message.Message):
    __slots__ = ("grant_id", "scopes", "lifetime_ms", "agent_now_ms")
    GRANT_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_MS_FIELD_NUMBER: _ClassVar[int]
    AGENT_NOW_MS_FIELD_NUMBER: _ClassVar[int]
    grant_id: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    lifetime_ms: int
    agent_now_ms: int
    def __init__(self, grant_id: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., lifetime_ms: _Optional[int] = ..., agent_now_ms: _Optional[int] = ...) -> None: ...

class Release(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Unlink(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Done(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
