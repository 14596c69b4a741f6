"""What a facility says of itself, on the wire. What the centre reads is cleaned and bounded."""

from __future__ import annotations

import re

from shared.facilities import (
    Capability,
    CarriedBy,
    Environment,
    FacilityDescription,
    Flavour,
    Service,
    Software,
    UsedAs,
    is_facility_id,
)
from shared.techniques import LONGEST
from shared.wire import text
from shared.wire.addresses import safe_url
from shared.wire.gen.parasol.facilities.v1 import facilities_pb2 as pb
from shared.wire.parse import parse
from shared.wire.text import Malformed, is_identifier

_BYTES = 256 * 1024
_PARTS = 3000
_ITEMS = 100
_NAMES = 1000
_MEANT = 50
_COUNTRY = re.compile(r"[A-Z]{2}")
_MAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,255}")
_USED_AS = {kind.value: kind for kind in UsedAs}
_CARRIED_BY = {kind.value: kind for kind in CarriedBy}
_ISOLATIONS = frozenset({"account", "none"})


def encode_description(value: FacilityDescription) -> bytes:
    """The bytes of the description."""
    return pb.Description(
        facility_id=value.facility_id,
        name=value.name,
        place=value.place,
        country=value.country,
        description=value.description,
        website=value.website,
        data_portal=value.data_portal,
        contact=value.contact,
        agent_version=value.agent_version,
        instruments=value.instruments,
        open_proposals=value.open_proposals,
        capabilities=[
            pb.Capability(id=c.id, kind=c.kind, title=c.title, detail=c.detail) for c in value.capabilities
        ],
        services=[
            pb.Service(id=s.id, title=s.title, description=s.description, url=s.url) for s in value.services
        ],
        environments=[_environment_message(environment) for environment in value.environments],
        flavours=[_flavour_message(flavour) for flavour in value.flavours],
    ).SerializeToString()


def decode_description(data: bytes) -> FacilityDescription:
    """The description, cleaned: links that are not safe become empty, items that make no sense are left out.

    Raises Malformed when the facility's id is none or the bytes are no description.
    """
    message = parse(pb.Description, data, _BYTES, _PARTS)
    if not is_facility_id(message.facility_id):
        raise Malformed("A facility is named by a slug.")
    contact = message.contact if _MAIL.fullmatch(message.contact) else safe_url(message.contact)
    flavours = tuple(_flavour(f) for f in message.flavours[:_ITEMS] if is_identifier(f.id))
    return FacilityDescription(
        facility_id=message.facility_id,
        name=text.plain(message.name, 200),
        place=text.plain(message.place, 200),
        country=message.country if _COUNTRY.fullmatch(message.country) else "",
        description=text.plain(message.description, text.PARAGRAPH),
        website=safe_url(message.website),
        data_portal=safe_url(message.data_portal),
        contact=contact,
        agent_version=text.plain(message.agent_version, 100),
        instruments=text.identifiers(message.instruments, _NAMES),
        open_proposals=text.identifiers(message.open_proposals, _NAMES),
        capabilities=tuple(_capability(c) for c in message.capabilities[:_ITEMS] if is_identifier(c.id)),
        services=tuple(_service(s) for s in message.services[:_ITEMS] if is_identifier(s.id) and safe_url(s.url)),
        environments=_environments(message, {flavour.id for flavour in flavours}),
        flavours=flavours,
    )


def _capability(message: pb.Capability) -> Capability:
    return Capability(
        message.id, text.plain(message.kind, 50), text.plain(message.title), text.plain(message.detail)
    )


def _service(message: pb.Service) -> Service:
    return Service(
        message.id, text.plain(message.title), text.plain(message.description, text.SENTENCE), message.url
    )


def _environments(message: pb.Description, flavours: set[str]) -> tuple[Environment, ...]:
    """Those that can be started in a known way and in a flavour that the facility offers."""
    read = (_environment(environment, flavours) for environment in message.environments[:_ITEMS])
    return tuple(environment for environment in read if environment is not None)


def _environment(message: pb.Environment, offered: set[str]) -> Environment | None:
    used_as, carried_by = _USED_AS.get(message.used_as), _CARRIED_BY.get(message.carried_by)
    flavours = tuple(f for f in text.identifiers(message.flavours, _ITEMS) if f in offered)
    if used_as is None or carried_by is None or not flavours or not is_identifier(message.id):
        return None
    return Environment(
        id=message.id,
        title=text.plain(message.title),
        description=text.plain(message.description, text.SENTENCE),
        used_as=used_as,
        carried_by=carried_by,
        software=tuple(
            Software(text.plain(s.name, 100), text.plain(s.version, 100)) for s in message.software[:_ITEMS]
        ),
        flavours=flavours,
        recommended=message.recommended if message.recommended in flavours else flavours[0],
        # Whatever is not surely separated by accounts is shown as not separated.
        isolation=message.isolation if message.isolation in _ISOLATIONS else "none",
        techniques=tuple(t for t in message.techniques[:_MEANT] if is_identifier(t, LONGEST)),
        definitions=text.identifiers(message.definitions, _MEANT),
    )


def _environment_message(value: Environment) -> pb.Environment:
    return pb.Environment(
        id=value.id,
        title=value.title,
        description=value.description,
        used_as=value.used_as.value,
        carried_by=value.carried_by.value,
        software=[pb.Software(name=s.name, version=s.version) for s in value.software],
        flavours=value.flavours,
        recommended=value.recommended,
        isolation=value.isolation,
        techniques=value.techniques,
        definitions=value.definitions,
    )


def _flavour(message: pb.Flavour) -> Flavour:
    return Flavour(
        id=message.id,
        title=text.plain(message.title),
        cpus=message.cpus,
        memory=text.count(message.memory),
        gpus=message.gpus,
        storage=text.count(message.storage),
        longest_s=message.longest_s,
    )


def _flavour_message(value: Flavour) -> pb.Flavour:
    return pb.Flavour(
        id=value.id,
        title=value.title,
        cpus=value.cpus,
        memory=value.memory,
        gpus=value.gpus,
        storage=value.storage,
        longest_s=value.longest_s,
    )
