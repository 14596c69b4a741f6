"""Where each adapter that is an entry point, and each that lives in memory, stands for its contract suites."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from tests.contracts.access_worlds import catalogue_access, user_office
from tests.contracts.accounts_worlds import file_accounts, memory_accounts
from tests.contracts.catalogue_worlds import memory_catalogue, nexus_folder
from tests.contracts.compute_worlds import memory_compute, process
from tests.contracts.icat_worlds import icat, icat_in_person
from tests.contracts.panosc_worlds import panosc
from tests.contracts.posix_worlds import ldap_accounts, nss_accounts
from tests.contracts.scicat_worlds import scicat
from tests.privileged.kube_world import kubernetes
from tests.privileged.slurm_world import slurm

Open = Callable[[Path], AbstractAsyncContextManager[Any]]

PRIVILEGED = {"kubernetes", "slurm"}
"""Those whose suites run as root, in tests/privileged."""
WORLDS: dict[str, dict[str, Open]] = {
    "parasol.compute": {"memory": memory_compute, "process": process, "kubernetes": kubernetes, "slurm": slurm},
    "parasol.catalogue": {
        "memory": memory_catalogue,
        "nexus_folder": nexus_folder,
        "scicat": scicat,
        "icat": icat,
        "panosc": panosc,
    },
    "parasol.accounts": {
        "memory": memory_accounts,
        "file": file_accounts,
        "ldap": ldap_accounts,
        "nss": nss_accounts,
    },
    "parasol.access": {"memory": catalogue_access, "user_office": user_office},
}

OTHER_WAYS: dict[str, Open] = {"icat in person": icat_in_person}
"""Catalogues of the suite that are set up in a second way."""
RESTORABLE = ("icat", "memory", "scicat")
"""Catalogues with an archive that brings data back."""
