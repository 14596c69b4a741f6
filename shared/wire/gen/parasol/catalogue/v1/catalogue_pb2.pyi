from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Search(_message.Message):
    __slots__ = ("text", "proposals", "instruments", "since", "until", "limit", "after", "sample", "techniques", "order")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PROPOSALS_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    TECHNIQUES_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    text: str
    proposals: _containers.RepeatedScalarFieldContainer[str]
    instruments: _containers.RepeatedScalarFieldContainer[str]
    since: float
    until: float
    limit: int
    after: str
    sample: str
    techniques: _containers.RepeatedScalarFieldContainer[str]
    order: str
    def __init__(self, text: _Optional[str] = ..., proposals: _Optional[_Iterable[str]] = ..., instruments: _Optional[_Iterable[str]] = ..., since: _Optional[float] = ..., until: _Optional[float] = ..., limit: _Optional[int] = ..., after: _Optional[str] = ..., sample: _Optional[str] = ..., techniques: _Optional[_Iterable[str]] = ..., order: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("pid", "title", "proposal", "instrument", "sample", "definition", "started", "ended", "size", "files", "is_open", "techniques", "keywords", "parameters", "doi", "licence", "released", "state")
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
    TECHNIQUES_FIELD_NUMBER: _ClassVar[int]
    KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    DOI_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
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
    techniques: _containers.RepeatedScalarFieldContainer[str]
    keywords: _containers.RepeatedScalarFieldContainer[str]
    parameters: _containers.RepeatedCompositeFieldContainer[Parameter]
    doi: str
    licence: str
    released: float
    state: str
    def __init__(self, pid: _Optional[str] = ..., title: _Optional[str] = ..., proposal: _Optional[str] = ..., instrument: _Optional[str] = ..., sample: _Optional[str] = ..., definition: _Optional[str] = ..., started: _Optional[float] = ..., ended: _Optional[float] = ..., size: _Optional[int] = ..., files: _Optional[int] = ..., is_open: _Optional[bool] = ..., techniques: _Optional[_Iterable[str]] = ..., keywords: _Optional[_Iterable[str]] = ..., parameters: _Optional[_Iterable[_Union[Parameter, _Mapping]]] = ..., doi: _Optional[str] = ..., licence: _Optional[str] = ..., released: _Optional[float] = ..., state: _Optional[str] = ...) -> None: ...

class Parameter(_message.Message):
    __slots__ = ("name", "number", "text", "unit")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    number: float
    text: str
    unit: str
    def __init__(self, name: _Optional[str] = ..., number: _Optional[float] = ..., text: _Optional[str] = ..., unit: _Optional[str] = ...) -> None: ...

class GetFiles(_message.Message):
    __slots__ = ("pid", "limit", "after")
    PID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    pid: str
    limit: int
    after: str
    def __init__(self, pid: _Optional[str] = ..., limit: _Optional[int] = ..., after: _Optional[str] = ...) -> None: ...

class File(_message.Message):
    __slots__ = ("path", "size", "modified")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_FIELD_NUMBER: _ClassVar[int]
    path: str
    size: int
    modified: float
    def __init__(self, path: _Optional[str] = ..., size: _Optional[int] = ..., modified: _Optional[float] = ...) -> None: ...

class FilePage(_message.Message):
    __slots__ = ("files", "next", "total")
    FILES_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[File]
    next: str
    total: int
    def __init__(self, files: _Optional[_Iterable[_Union[File, _Mapping]]] = ..., next: _Optional[str] = ..., total: _Optional[int] = ...) -> None: ...

class ProposalQuery(_message.Message):
    __slots__ = ("text", "proposals", "limit", "after", "own")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PROPOSALS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    OWN_FIELD_NUMBER: _ClassVar[int]
    text: str
    proposals: _containers.RepeatedScalarFieldContainer[str]
    limit: int
    after: str
    own: bool
    def __init__(self, text: _Optional[str] = ..., proposals: _Optional[_Iterable[str]] = ..., limit: _Optional[int] = ..., after: _Optional[str] = ..., own: _Optional[bool] = ...) -> None: ...

class ProposalPage(_message.Message):
    __slots__ = ("proposals", "next", "complete", "note")
    PROPOSALS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    proposals: _containers.RepeatedCompositeFieldContainer[Proposal]
    next: str
    complete: bool
    note: str
    def __init__(self, proposals: _Optional[_Iterable[_Union[Proposal, _Mapping]]] = ..., next: _Optional[str] = ..., complete: _Optional[bool] = ..., note: _Optional[str] = ...) -> None: ...

class Proposal(_message.Message):
    __slots__ = ("pid", "title", "summary", "kind", "instruments", "started", "ended", "released", "doi", "licence", "keywords", "members", "is_open")
    PID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    DOI_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    IS_OPEN_FIELD_NUMBER: _ClassVar[int]
    pid: str
    title: str
    summary: str
    kind: str
    instruments: _containers.RepeatedScalarFieldContainer[str]
    started: float
    ended: float
    released: float
    doi: str
    licence: str
    keywords: _containers.RepeatedScalarFieldContainer[str]
    members: _containers.RepeatedCompositeFieldContainer[Member]
    is_open: bool
    def __init__(self, pid: _Optional[str] = ..., title: _Optional[str] = ..., summary: _Optional[str] = ..., kind: _Optional[str] = ..., instruments: _Optional[_Iterable[str]] = ..., started: _Optional[float] = ..., ended: _Optional[float] = ..., released: _Optional[float] = ..., doi: _Optional[str] = ..., licence: _Optional[str] = ..., keywords: _Optional[_Iterable[str]] = ..., members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ..., is_open: _Optional[bool] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("name", "role", "affiliation", "orcid")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    AFFILIATION_FIELD_NUMBER: _ClassVar[int]
    ORCID_FIELD_NUMBER: _ClassVar[int]
    name: str
    role: str
    affiliation: str
    orcid: str
    def __init__(self, name: _Optional[str] = ..., role: _Optional[str] = ..., affiliation: _Optional[str] = ..., orcid: _Optional[str] = ...) -> None: ...

class Restore(_message.Message):
    __slots__ = ("pid",)
    PID_FIELD_NUMBER: _ClassVar[int]
    pid: str
    def __init__(self, pid: _Optional[str] = ...) -> None: ...

class DatasetReport(_message.Message):
    __slots__ = ("pid", "state")
    PID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    pid: str
    state: str
    def __init__(self, pid: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class GetChanges(_message.Message):
    __slots__ = ("since",)
    SINCE_FIELD_NUMBER: _ClassVar[int]
    since: str
    def __init__(self, since: _Optional[str] = ...) -> None: ...

class Changes(_message.Message):
    __slots__ = ("datasets", "proposals", "gone_datasets", "gone_proposals", "token", "more", "restart", "age", "complete")
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    PROPOSALS_FIELD_NUMBER: _ClassVar[int]
    GONE_DATASETS_FIELD_NUMBER: _ClassVar[int]
    GONE_PROPOSALS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    RESTART_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    datasets: _containers.RepeatedCompositeFieldContainer[Dataset]
    proposals: _containers.RepeatedCompositeFieldContainer[Proposal]
    gone_datasets: _containers.RepeatedScalarFieldContainer[str]
    gone_proposals: _containers.RepeatedScalarFieldContainer[str]
    token: str
    more: bool
    restart: bool
    age: float
    complete: bool
    def __init__(self, datasets: _Optional[_Iterable[_Union[Dataset, _Mapping]]] = ..., proposals: _Optional[_Iterable[_Union[Proposal, _Mapping]]] = ..., gone_datasets: _Optional[_Iterable[str]] = ..., gone_proposals: _Optional[_Iterable[str]] = ..., token: _Optional[str] = ..., more: _Optional[bool] = ..., restart: _Optional[bool] = ..., age: _Optional[float] = ..., complete: _Optional[bool] = ...) -> None: ...
