"""Settings of the adapter `icat`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from facility_agent.adapters import site_settings
from facility_agent.adapters.catalogue.icat_map import Fields
from facility_agent.adapters.site_settings import Address, Template, secret
from facility_agent.plugins import Fault
from facility_agent.ports.tokens import PersonSession
from facility_agent.tables import Table


def _word(value: str) -> str:
    if not value.isprintable() or "/" in value:
        raise ValueError("an authenticator's mnemonic, as ICAT's /properties lists them")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        raise ValueError("a zone like Europe/Paris") from None
    except KeyError:
        raise ValueError("a zone that this machine knows, like Europe/Paris") from None
    return value


class IcatSettings(Table):
    """Settings of the adapter `icat`."""

    url: Address = Field(description="ICAT's address with its path, such as `https://icat.example.eu/icat`.")
    authenticator: Annotated[str, AfterValidator(_word)] = Field(
        default="simple", description="The authenticator that knows the portal's account; it takes a username and a password."
    )  # fmt: skip
    username: str = Field(
        min_length=1,
        description="The portal's account. It must see everything: name it in ICAT's `rootUserNames`. It only reads.",
    )
    password_file: Path = Field(description="Holds its password; mode 0600. Read at each sign-in.")
    people: Annotated[str, AfterValidator(_word)] = Field(
        description="What stands before `/` and an account's username in `User.name`: the mnemonic of the authenticator by which "
        "people sign in to ICAT. Empty when names stand alone."
    )  # fmt: skip
    person_session: Annotated[str, AfterValidator(_word)] = Field(
        default="",
        description="The authenticator that takes tokens of `[gateway.sign_on]` (authn.oidc): people are then asked for in sessions of "
        "their own. Without it the portal's account asks for them by ICAT's rules.",
    )  # fmt: skip
    person_session_required: bool = Field(
        default=False,
        description="Answer nobody without a session of their own; else the portal's account asks where there is none.",
    )
    anyone: str = Field(
        default="anon/anon", min_length=1, description="The user of ICAT as whom strangers are answered; it need not exist."
    )  # fmt: skip
    roots: tuple[str, ...] = Field(
        default=(),
        description="Users of ICAT's `rootUserNames` who are to see everything here too, such as `simple/root`.",
    )
    zone: Annotated[str, AfterValidator(_zone)] = Field(
        default="UTC", description="The time zone of ICAT's server: its queries know times without one."
    )
    proposal: Literal["name", "visitId"] = Field(
        default="name", description="Which attribute of an investigation names its proposal."
    )
    instrument: Literal["name", "fullName"] = Field(
        default="name", description="Which attribute of an instrument names it."
    )
    ids_url: Address | None = Field(
        default=None,
        description="The data service's address with its path, such as `https://ids.example.eu/ids`; without it nobody knows "
        "whether data are online, and nothing can be restored.",
    )  # fmt: skip
    ca_file: Path | None = Field(default=None, description="Trust this CA instead of the system's.")
    root: Path | None = Field(default=None, description="The data's root here; without it no data can be mounted.")
    folder: Template = Field(default="{proposal}", description="A proposal's folder below `root`.")
    timeout_s: float = Field(default=4.0, gt=0, le=60, description="The longest that one answer may take.")
    ids_timeout_s: float = Field(
        default=1.5, gt=0, le=60, description="The longest that the states of one page of datasets may take."
    )
    answer_bytes: int = Field(default=16 * 1024 * 1024, gt=0, description="The most that one answer may have.")
    remember_s: float = Field(
        default=30.0, ge=0, description="How long instruments and open proposals are remembered."
    )

    @model_validator(mode="after")
    def _required(self) -> IcatSettings:
        if self.person_session_required and not self.person_session:
            raise ValueError("person_session_required needs person_session, the authenticator's mnemonic")
        return self

    def wished(self) -> PersonSession:
        """Whether people are asked for in sessions of their own."""
        if not self.person_session:
            return PersonSession.NEVER
        return PersonSession.REQUIRED if self.person_session_required else PersonSession.WELCOME

    def fields(self) -> Fields:
        """Which attributes say what."""
        return Fields(self.proposal, self.instrument)

    def credentials(self, folder: Path) -> dict[str, str]:
        """What the account signs in with. Raises OSError, ValueError when its file cannot be used."""
        return {"username": self.username, "password": secret(folder / self.password_file)}


def faults(settings: IcatSettings, folder: Path) -> Iterator[Fault]:
    """What is wrong at this site with these settings; relative paths are below `folder`."""
    yield from site_settings.faults(folder, settings.password_file, settings.ca_file, settings.root)
    if settings.ids_url is None:
        yield Fault("ids_url", "Nobody can tell whether data are online.", "Name the data service.", fatal=False)
