"""Writes docs/reference/ from the configuration models; `--check` fails when the committed pages differ."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from deploy.setup import failures

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference"


def page(title: str, tables: list[tuple[str, type[BaseModel]]]) -> str:
    """One page: a table per configuration table."""
    parts = [f"# {title}", "", "Generated from the models by `python -m deploy.setup.reference`; do not edit.", ""]
    for name, model in tables:
        about = (model.__doc__ or "").strip().splitlines()[0]
        parts += [f"## `{name}`", "", about, "", "| key | type | default | meaning |", "| --- | --- | --- | --- |"]
        parts += [_row(key, field) for key, field in model.model_fields.items() if not _is_table(field.annotation)]
        parts.append("")
    return "\n".join(parts)


def _row(key: str, field: Any) -> str:
    default = "required" if field.default is PydanticUndefined and field.default_factory is None else _shown(field)
    return f"| `{key}` | {_type(field.annotation)} | {default} | {field.description or ''} |"


def _shown(field: Any) -> str:
    value = field.default if field.default_factory is None else field.default_factory()
    if isinstance(value, tuple):  # as it is written in TOML
        value = json.dumps([each if isinstance(each, int) else str(each) for each in value]) if value else ""
    return "" if value in ("", None, {}) else f"`{value}`"


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        return _type(get_args(annotation)[0])
    if get_origin(annotation) is None:
        return {"int": "number or amount"}.get(
            getattr(annotation, "__name__", ""), getattr(annotation, "__name__", str(annotation))
        )
    inner = [_type(a) for a in get_args(annotation) if a is not type(None) and a is not Ellipsis]
    return " of ".join(["list", *inner]) if get_origin(annotation) is tuple else " or ".join(inner) or "table"


def _is_table(annotation: Any) -> bool:
    kinds = [annotation, *get_args(annotation)]
    return any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds)


def pages() -> dict[str, str]:
    """File name → content."""
    from central_portal.federation import FacilityTable as Member
    from central_portal.federation import ProviderTable
    from central_portal.settings import CentreSettings
    from facility_agent import config, offers
    from facility_agent.adapters.access.user_office import UserOfficeSettings
    from facility_agent.adapters.accounts.file import AccountTable, FileAccountsSettings
    from facility_agent.adapters.accounts.ldap import LdapSettings
    from facility_agent.adapters.accounts.nss import NssSettings
    from facility_agent.adapters.catalogue.icat_settings import IcatSettings
    from facility_agent.adapters.catalogue.nexus_folder import NexusFolderSettings
    from facility_agent.adapters.catalogue.panosc_settings import PanoscSettings
    from facility_agent.adapters.catalogue.scicat_settings import ScicatSettings
    from facility_agent.adapters.compute.kubernetes_settings import ImageTable, KubernetesSettings, VolumeTable
    from facility_agent.adapters.compute.process_settings import ProcessSettings
    from facility_agent.adapters.compute.slurm_settings import Choice, SlurmSettings, Software
    from facility_agent.places.settings import ArchiveTable, MountTable, PlaceTable

    agent = [
        ("[facility]", config.FacilityTable), ("[[facility.services]]", config.ServiceTable), ("[centre]", config.CentreTable),
        ("[agent]", config.AgentTable), ("[gateway]", config.GatewayTable), ("[gateway.umbrella]", config.ClientTable),
        ("[gateway.sign_on]", config.SignOnTable), ("[link]", config.LinkTable), ("[grants]", config.GrantsTable), ("[limits]", config.LimitsTable),
        ("[accounts.file]", FileAccountsSettings), ("[accounts.nss]", NssSettings), ("[accounts.ldap]", LdapSettings), ("[catalogue.nexus_folder]", NexusFolderSettings),
        ("[catalogue.scicat]", ScicatSettings), ("[catalogue.icat]", IcatSettings), ("[catalogue.panosc]", PanoscSettings),
        ("[access.user_office]", UserOfficeSettings), ("[[places]]", PlaceTable), ("[[mounts]]", MountTable), ("[archive]", ArchiveTable),
        ("[compute.process]", ProcessSettings), ("[compute.kubernetes]", KubernetesSettings),
        ("[compute.kubernetes.images.*]", ImageTable), ("[[compute.kubernetes.volumes]]", VolumeTable), ("[compute.slurm]", SlurmSettings),
        ("[compute.slurm.default], [compute.slurm.flavours.<id>]", Choice),
        ("[compute.slurm.environments.<id>]", Software), ("[[flavours]]", offers.FlavourTable),
        ("[[environments]]", offers.EnvironmentTable), ("[[accounts]] in the accounts' file", AccountTable),
    ]  # fmt: skip
    central = [("[[providers]]", ProviderTable), ("[[facilities]]", Member)]
    return {
        "failures.md": failures.page(),
        "agent-toml.md": page("The facility's configuration: agent.toml", agent),
        "central-env.md": page("The centre's configuration: its environment", [("PARASOL_…", CentreSettings)]),
        "federation-toml.md": page("The federation's configuration: federation.toml", central),
    }


def main() -> None:
    """Entry point."""
    stale = []
    for name, text in pages().items():
        path = FOLDER / name
        if "--check" in sys.argv:
            stale += [name] if not path.exists() or path.read_text() != text else []
        else:
            path.write_text(text)
    if stale:
        sys.exit("docs/reference is stale, run `python -m deploy.setup.reference`: " + ", ".join(stale))


if __name__ == "__main__":
    main()
