"""Django for the centre's tests: one database per run, migrated once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

_folder = tempfile.TemporaryDirectory(prefix="parasol-test-")
os.environ.setdefault("PARASOL_DATA", _folder.name)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "central_portal.settings")


@pytest.fixture(scope="session")
def database() -> Path:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    return Path(os.environ["PARASOL_DATA"])
