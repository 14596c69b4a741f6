from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AgentFrame(_message.Message):
    __slots__ = ("envelopes",)
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    envelopes: _containers.RepeatedCompositeFieldContainer[AgentEnvelope]
    def __init__(self, envelopes: _Optional[_Iterable[_Union[AgentEnvelope, _Mapping]]] = ...) -> None: ...

class CentreFrame(_message.Message):
    __slots__ = ("envelopes",)
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    envelopes: _containers.RepeatedCompositeFieldContainer[CentreEnvelope]
    def __init__(self, envelopes: _Optional[_Iterable[_Union[CentreEnvelope, _Mapping]]] = ...) -> None: ...

class AgentEnvelope(_message.Message):
    __slots__ = ("epoch", "traceparent", "critical", "hello", "heartbeat", "result", "event", "reject", "drain", "accepted", "order_result")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    CRITICAL_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    REJECT_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    ORDER_RESULT_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    traceparent: str
    critical: _containers.RepeatedScalarFieldContainer[str]
    hello: Hello
    heartbeat: Heartbeat
    result: Result
    event: Event
    reject: Reject
    drain: Drain
    accepted: Accepted
    order_result: OrderResult
    def __init__(self, epoch: _Optional[int] = ..., traceparent: _Optional[str] = ..., critical: _Optional[_Iterable[str]] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., result: _Optional[_Union[Result, _Mapping]] = ..., event: _Optional[_Union[Event, _Mapping]] = ..., reject: _Optional[_Union[Reject, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ..., accepted: _Optional[_Union[Accepted, _Mapping]] = ..., order_result: _Optional[_Union[OrderResult, _Mapping]] = ...) -> None: ...

class CentreEnvelope(_message.Message):
    __slots__ = ("epoch", "traceparent", "critical", "welcome", "heartbeat", "command", "reject", "drain", "order", "acknowledged")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    CRITICAL_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    REJECT_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    traceparent: str
    critical: _containers.RepeatedScalarFieldContainer[str]
    welcome: Welcome
    heartbeat: Heartbeat
    command: Command
    reject: Reject
    drain: Drain
    order: Order
    acknowledged: Acknowledged
    def __init__(self, epoch: _Optional[int] = ..., traceparent: _Optional[str] = ..., critical: _Optional[_Iterable[str]] = ..., welcome: _Optional[_Union[Welcome, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., command: _Optional[_Union[Command, _Mapping]] = ..., reject: _Optional[_Union[Reject, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ..., order: _Optional[_Union[Order, _Mapping]] = ..., acknowledged: _Optional[_Union[Acknowledged, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("facility_id", "instance_id", "store_id", "boot_counter", "version_min", "version_max", "software_version", "description", "inventory", "query_credits", "order_credits", "certificate_s", "previous_ending")
    FACILITY_ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    BOOT_COUNTER_FIELD_NUMBER: _ClassVar[int]
    VERSION_MIN_FIELD_NUMBER: _ClassVar[int]
    VERSION_MAX_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    QUERY_CREDITS_FIELD_NUMBER: _ClassVar[int]
    ORDER_CREDITS_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_S_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_ENDING_FIELD_NUMBER: _ClassVar[int]
    facility_id: str
    instance_id: str
    store_id: str
    boot_counter: int
    version_min: int
    version_max: int
    software_version: str
    description: bytes
    inventory: bytes
    query_credits: int
    order_credits: int
    certificate_s: int
    previous_ending: str
    def __init__(self, facility_id: _Optional[str] = ..., instance_id: _Optional[str] = ..., store_id: _Optional[str] = ..., boot_counter: _Optional[int] = ..., version_min: _Optional[int] = ..., version_max: _Optional[int] = ..., software_version: _Optional[str] = ..., description: _Optional[bytes] = ..., inventory: _Optional[bytes] = ..., query_credits: _Optional[int] = ..., order_credits: _Optional[int] = ..., certificate_s: _Optional[int] = ..., previous_ending: _Optional[str] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("session_id", "epoch", "version", "heartbeat_ms", "dead_after_ms", "result_credits", "reconcile")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_MS_FIELD_NUMBER: _ClassVar[int]
    DEAD_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    RESULT_CREDITS_FIELD_NUMBER: _ClassVar[int]
    RECONCILE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    epoch: int
    version: int
    heartbeat_ms: int
    dead_after_ms: int
    result_credits: int
    reconcile: bool
    def __init__(self, session_id: _Optional[str] = ..., epoch: _Optional[int] = ..., version: _Optional[int] = ..., heartbeat_ms: _Optional[int] = ..., dead_after_ms: _Optional[int] = ..., result_credits: _Optional[int] = ..., reconcile: _Optional[bool] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("counter", "echo", "held_ms", "egress_sequence", "egress_hash", "egress_asked", "egress_asked_hash")
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    ECHO_FIELD_NUMBER: _ClassVar[int]
    HELD_MS_FIELD_NUMBER: _ClassVar[int]
    EGRESS_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EGRESS_HASH_FIELD_NUMBER: _ClassVar[int]
    EGRESS_ASKED_FIELD_NUMBER: _ClassVar[int]
    EGRESS_ASKED_HASH_FIELD_NUMBER: _ClassVar[int]
    counter: int
    echo: int
    held_ms: int
    egress_sequence: int
    egress_hash: bytes
    egress_asked: int
    egress_asked_hash: bytes
    def __init__(self, counter: _Optional[int] = ..., echo: _Optional[int] = ..., held_ms: _Optional[int] = ..., egress_sequence: _Optional[int] = ..., egress_hash: _Optional[bytes] = ..., egress_asked: _Optional[int] = ..., egress_asked_hash: _Optional[bytes] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("body", "grant_id", "mac", "ticket", "timeout_ms")
    BODY_FIELD_NUMBER: _ClassVar[int]
    GRANT_ID_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    grant_id: str
    mac: bytes
    ticket: int
    timeout_ms: int
    def __init__(self, body: _Optional[bytes] = ..., grant_id: _Optional[str] = ..., mac: _Optional[bytes] = ..., ticket: _Optional[int] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("order_id", "body", "grant_id", "mac")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    GRANT_ID_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    body: bytes
    grant_id: str
    mac: bytes
    def __init__(self, order_id: _Optional[str] = ..., body: _Optional[bytes] = ..., grant_id: _Optional[str] = ..., mac: _Optional[bytes] = ...) -> None: ...

class Accepted(_message.Message):
    __slots__ = ("order_id",)
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    def __init__(self, order_id: _Optional[str] = ...) -> None: ...

class OrderResult(_message.Message):
    __slots__ = ("order_id", "outcome", "payload", "problem")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    outcome: str
    payload: bytes
    problem: Problem
    def __init__(self, order_id: _Optional[str] = ..., outcome: _Optional[str] = ..., payload: _Optional[bytes] = ..., problem: _Optional[_Union[Problem, _Mapping]] = ...) -> None: ...

class Acknowledged(_message.Message):
    __slots__ = ("order_id",)
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    def __init__(self, order_id: _Optional[str] = ...) -> None: ...

class BulkChunk(_message.Message):
    __slots__ = ("session_id", "ticket", "data")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    ticket: int
    data: bytes
    def __init__(self, session_id: _Optional[str] = ..., ticket: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class BulkReceipt(_message.Message):
    __slots__ = ("bytes",)
    BYTES_FIELD_NUMBER: _ClassVar[int]
    bytes: int
    def __init__(self, bytes: _Optional[int] = ...) -> None: ...

class Body(_message.Message):
    __slots__ = ("facility_id", "command_id", "verb", "parameters", "expires_ms")
    FACILITY_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    VERB_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    facility_id: str
    command_id: str
    verb: str
    parameters: bytes
    expires_ms: int
    def __init__(self, facility_id: _Optional[str] = ..., command_id: _Optional[str] = ..., verb: _Optional[str] = ..., parameters: _Optional[bytes] = ..., expires_ms: _Optional[int] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("ticket", "outcome", "payload", "problem")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    ticket: int
    outcome: str
    payload: bytes
    problem: Problem
    def __init__(self, ticket: _Optional[int] = ..., outcome: _Optional[str] = ..., payload: _Optional[bytes] = ..., problem: _Optional[_Union[Problem, _Mapping]] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("reason", "message", "retryable", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    retryable: bool
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., retryable: _Optional[bool] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("kind", "payload")
    KIND_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    kind: str
    payload: bytes
    def __init__(self, kind: _Optional[str] = ..., payload: _Optional[bytes] = ...) -> None: ...

class Reject(_message.Message):
    __slots__ = ("reason", "message", "ticket")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    ticket: int
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., ticket: _Optional[int] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("deadline_ms", "reconnect_after_ms")
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    RECONNECT_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    deadline_ms: int
    reconnect_after_ms: int
    def __init__(self, deadline_ms: _Optional[int] = ..., reconnect_after_ms: _Optional[int] = ...) -> None: ...
