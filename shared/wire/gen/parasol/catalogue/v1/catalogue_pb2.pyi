from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Search(_message.Message):
    __slots__ = ("text", "proposals", "instruments", "since", "until", "limit", "after")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PROPOSALS_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    text: str
    proposals: _containers.RepeatedScalarFieldContainer[str]
    instruments: _containers.RepeatedScalarFieldContainer[str]
    since: float
    until: float
    limit: int
    after: str
    def __init__(self, text: _Optional[str] = ..., proposals: _Optional[_Iterable[str]] = ..., instruments: _Optional[_Iterable[str]] = ..., since: _Optional[float] = ..., until: _Optional[float] = ..., limit: _Optional[int] = ..., after: _Optional[str] = ...) -> None: ...

class Get(_message.Message):
    __slots__ = ("pid",)
    PID_FIELD_NUMBER: _ClassVar[int]
    pid: str
    def __init__(self, pid: _Optional[str] = ...) -> None: ...

class Page(_message.Message):
    __slots__ = ("datasets", "next", "complete", "note")
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    datasets: _containers.RepeatedCompositeFieldContainer[Dataset]
    next: str
    complete: bool
    note: str
    def __init__(self, datasets: _Optional[_Iterable[_Union[Dataset, _Mapping]]] = ..., next: _Optional[str] = ..., complete: _Optional[bool] = ..., note: _Optional[str] = ...) -> None: ...

class Dataset(_message.Message):
    __slots__ = ("pid", "title", "proposal", "instrument", "sample", "definition", "started", "ended", "size", "files", "is_open")
    PID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    IS_OPEN_FIELD_NUMBER: _ClassVar[int]
    pid: str
    title: str
    proposal: str
    instrument: str
    sample: str
    definition: str
    started: float
    ended: float
    size: int
    files: int
    is_open: bool
    def __init__(self, pid: _Optional[str] = ..., title: _Optional[str] = ..., proposal: _Optional[str] = ..., instrument: _Optional[str] = ..., sample: _Optional[str] = ..., definition: _Optional[str] = ..., started: _Optional[float] = ..., ended: _Optional[float] = ..., size: _Optional[int] = ..., files: _Optional[int] = ..., is_open: _Optional[bool] = ...) -> None: ...
