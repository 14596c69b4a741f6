from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Token(_message.Message):
    __slots__ = ("hub", "facility_id", "secret", "authorities")
    HUB_FIELD_NUMBER: _ClassVar[int]
    FACILITY_ID_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    hub: str
    facility_id: str
    secret: bytes
    authorities: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, hub: _Optional[str] = ..., facility_id: _Optional[str] = ..., secret: _Optional[bytes] = ..., authorities: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Statement(_message.Message):
    __slots__ = ("facility_id", "purpose", "request", "public_key", "clock_ms")
    FACILITY_ID_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    CLOCK_MS_FIELD_NUMBER: _ClassVar[int]
    facility_id: str
    purpose: str
    request: bytes
    public_key: bytes
    clock_ms: int
    def __init__(self, facility_id: _Optional[str] = ..., purpose: _Optional[str] = ..., request: _Optional[bytes] = ..., public_key: _Optional[bytes] = ..., clock_ms: _Optional[int] = ...) -> None: ...

class EnrolRequest(_message.Message):
    __slots__ = ("secret", "statement", "signature")
    SECRET_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    secret: bytes
    statement: bytes
    signature: bytes
    def __init__(self, secret: _Optional[bytes] = ..., statement: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: bytes
    def __init__(self, request: _Optional[bytes] = ...) -> None: ...

class RecoverRequest(_message.Message):
    __slots__ = ("statement", "signature")
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    statement: bytes
    signature: bytes
    def __init__(self, statement: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Enrolled(_message.Message):
    __slots__ = ("certificate", "authorities", "mutual", "audience")
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    MUTUAL_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    certificate: bytes
    authorities: _containers.RepeatedScalarFieldContainer[bytes]
    mutual: str
    audience: str
    def __init__(self, certificate: _Optional[bytes] = ..., authorities: _Optional[_Iterable[bytes]] = ..., mutual: _Optional[str] = ..., audience: _Optional[str] = ...) -> None: ...
