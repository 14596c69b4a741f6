"""The centre's writer of command bodies, behind `ports.CommandWriter`."""

from __future__ import annotations

from central_portal.link.ports import CommandWriter
from shared.wire.commands import encode_body

command_body: CommandWriter = encode_body
"""Writes the bytes of a command's body; raises InvalidRequest for what no agent would accept."""
