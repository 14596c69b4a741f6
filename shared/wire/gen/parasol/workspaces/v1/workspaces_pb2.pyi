from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Launch(_message.Message):
    __slots__ = ("environment", "flavour", "proposals", "dataset", "title", "lifetime_s")
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    FLAVOUR_FIELD_NUMBER: _ClassVar[int]
    PROPOSALS_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_S_FIELD_NUMBER: _ClassVar[int]
    environment: str
    flavour: str
    proposals: _containers.RepeatedScalarFieldContainer[str]
    dataset: str
    title: str
    lifetime_s: int
    def __init__(self, environment: _Optional[str] = ..., flavour: _Optional[str] = ..., proposals: _Optional[_Iterable[str]] = ..., dataset: _Optional[str] = ..., title: _Optional[str] = ..., lifetime_s: _Optional[int] = ...) -> None: ...

class Stop(_message.Message):
    __slots__ = ("workspace_id",)
    WORKSPACE_ID_FIELD_NUMBER: _ClassVar[int]
    workspace_id: str
    def __init__(self, workspace_id: _Optional[str] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("workspace_id", "sequence", "state", "steps", "ends_in", "reason", "message")
    WORKSPACE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    ENDS_IN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    workspace_id: str
    sequence: int
    state: str
    steps: _containers.RepeatedCompositeFieldContainer[Step]
    ends_in: float
    reason: str
    message: str
    def __init__(self, workspace_id: _Optional[str] = ..., sequence: _Optional[int] = ..., state: _Optional[str] = ..., steps: _Optional[_Iterable[_Union[Step, _Mapping]]] = ..., ends_in: _Optional[float] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Step(_message.Message):
    __slots__ = ("name", "entered_ago", "detail")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENTERED_AGO_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    entered_ago: float
    detail: str
    def __init__(self, name: _Optional[str] = ..., entered_ago: _Optional[float] = ..., detail: _Optional[str] = ...) -> None: ...

class Inventory(_message.Message):
    __slots__ = ("reports", "unowned", "complete")
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    UNOWNED_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    reports: _containers.RepeatedCompositeFieldContainer[Report]
    unowned: _containers.RepeatedScalarFieldContainer[str]
    complete: bool
    def __init__(self, reports: _Optional[_Iterable[_Union[Report, _Mapping]]] = ..., unowned: _Optional[_Iterable[str]] = ..., complete: _Optional[bool] = ...) -> None: ...
