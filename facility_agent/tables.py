"""What all tables of a site's configuration have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """Refuses keys that it does not know, does not change once it is read, and tells no value in an error: it may be a password."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
