"""What the portal needs of the links, and what the links need of the portal."""

from __future__ import annotations

from central_portal.link.ports.commands import CommandWriter, HubPlace, Places, SealedBody, Whereabouts
from central_portal.link.ports.enrolment import (
    Caller,
    EnrolmentRefused,
    Enrolments,
    HubAuthority,
    Issued,
    ServerIdentity,
)
from central_portal.link.ports.links import Links
from central_portal.link.ports.orders import (
    OPEN_STATES,
    NewOrder,
    OpenOrder,
    OrderAnswer,
    OrderQueue,
    OrderStanding,
    OrderState,
    Overtaken,
)
from central_portal.link.ports.sessions import (
    Admission,
    Beat,
    EgressHead,
    FacilityKey,
    HeadNews,
    HelloFacts,
    LinkEvents,
    Registry,
)
from central_portal.link.ports.wakes import Topic, Wakes, dataset_key

__all__ = [
    "OPEN_STATES",
    "Admission",
    "Beat",
    "Caller",
    "CommandWriter",
    "EgressHead",
    "EnrolmentRefused",
    "Enrolments",
    "FacilityKey",
    "HeadNews",
    "HelloFacts",
    "HubAuthority",
    "HubPlace",
    "Issued",
    "LinkEvents",
    "Links",
    "NewOrder",
    "OpenOrder",
    "OrderAnswer",
    "OrderQueue",
    "OrderStanding",
    "OrderState",
    "Overtaken",
    "Places",
    "Registry",
    "SealedBody",
    "ServerIdentity",
    "Topic",
    "Wakes",
    "Whereabouts",
    "dataset_key",
]
