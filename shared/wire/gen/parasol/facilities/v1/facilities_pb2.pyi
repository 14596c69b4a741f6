from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Description(_message.Message):
    __slots__ = ("facility_id", "name", "place", "country", "description", "website", "data_portal", "contact", "agent_version", "instruments", "open_proposals", "capabilities", "services", "environments", "flavours")
    FACILITY_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    WEBSITE_FIELD_NUMBER: _ClassVar[int]
    DATA_PORTAL_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    OPEN_PROPOSALS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENTS_FIELD_NUMBER: _ClassVar[int]
    FLAVOURS_FIELD_NUMBER: _ClassVar[int]
    facility_id: str
    name: str
    place: str
    country: str
    description: str
    website: str
    data_portal: str
    contact: str
    agent_version: str
    instruments: _containers.RepeatedScalarFieldContainer[str]
    open_proposals: _containers.RepeatedScalarFieldContainer[str]
    capabilities: _containers.RepeatedCompositeFieldContainer[Capability]
    services: _containers.RepeatedCompositeFieldContainer[Service]
    environments: _containers.RepeatedCompositeFieldContainer[Environment]
    flavours: _containers.RepeatedCompositeFieldContainer[Flavour]
    def __init__(self, facility_id: _Optional[str] = ..., name: _Optional[str] = ..., place: _Optional[str] = ..., country: _Optional[str] = ..., description: _Optional[str] = ..., website: _Optional[str] = ..., data_portal: _Optional[str] = ..., contact: _Optional[str] = ..., agent_version: _Optional[str] = ..., instruments: _Optional[_Iterable[str]] = ..., open_proposals: _Optional[_Iterable[str]] = ..., capabilities: _Optional[_Iterable[_Union[Capability, _Mapping]]] = ..., services: _Optional[_Iterable[_Union[Service, _Mapping]]] = ..., environments: _Optional[_Iterable[_Union[Environment, _Mapping]]] = ..., flavours: _Optional[_Iterable[_Union[Flavour, _Mapping]]] = ...) -> None: ...

class Capability(_message.Message):
    __slots__ = ("id", "kind", "title", "detail")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: str
    title: str
    detail: str
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[str] = ..., title: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class Service(_message.Message):
    __slots__ = ("id", "title", "description", "url")
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    id: str
    title: str
    description: str
    url: str
    def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ..., description: _Optional[str] = ..., url: _Optional[str] = ...) -> None: ...

class Environment(_message.Message):
    __slots__ = ("id", "title", "description", "used_as", "carried_by", "software", "flavours", "recommended", "isolation", "techniques", "definitions")
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    USED_AS_FIELD_NUMBER: _ClassVar[int]
    CARRIED_BY_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_FIELD_NUMBER: _ClassVar[int]
    FLAVOURS_FIELD_NUMBER: _ClassVar[int]
    RECOMMENDED_FIELD_NUMBER: _ClassVar[int]
    ISOLATION_FIELD_NUMBER: _ClassVar[int]
    TECHNIQUES_FIELD_NUMBER: _ClassVar[int]
    DEFINITIONS_FIELD_NUMBER: _ClassVar[int]
    id: str
    title: str
    description: str
    used_as: str
    carried_by: str
    software: _containers.RepeatedCompositeFieldContainer[Software]
    flavours: _containers.RepeatedScalarFieldContainer[str]
    recommended: str
    isolation: str
    techniques: _containers.RepeatedScalarFieldContainer[str]
    definitions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ..., description: _Optional[str] = ..., used_as: _Optional[str] = ..., carried_by: _Optional[str] = ..., software: _Optional[_Iterable[_Union[Software, _Mapping]]] = ..., flavours: _Optional[_Iterable[str]] = ..., recommended: _Optional[str] = ..., isolation: _Optional[str] = ..., techniques: _Optional[_Iterable[str]] = ..., definitions: _Optional[_Iterable[str]] = ...) -> None: ...

class Software(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class Flavour(_message.Message):
    __slots__ = ("id", "title", "cpus", "memory", "gpus", "storage", "longest_s")
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    STORAGE_FIELD_NUMBER: _ClassVar[int]
    LONGEST_S_FIELD_NUMBER: _ClassVar[int]
    id: str
    title: str
    cpus: int
    memory: int
    gpus: int
    storage: int
    longest_s: int
    def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ..., cpus: _Optional[int] = ..., memory: _Optional[int] = ..., gpus: _Optional[int] = ..., storage: _Optional[int] = ..., longest_s: _Optional[int] = ...) -> None: ...
