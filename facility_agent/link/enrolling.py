"""`facility-agent enrol`: one token, and everything that the agent needs is in its state folder, or nothing is."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from facility_agent.link.enrolment import EnrolmentFailed, enrol
from facility_agent.link.identity import CURRENT, NEXT, Identity, write_identity
from facility_agent.link.keys import load_key, save_key
from facility_agent.link.settings import LinkMisconfigured
from shared.wire.enrolment import decode_token
from shared.wire.text import Malformed


def enrol_here(text: str, facility_id: str, state: Path, key_file: Path) -> Identity:
    """Spends the token and keeps what came of it. Raises LinkMisconfigured with one sentence, having written nothing."""
    try:
        token = decode_token(text)
    except Malformed as error:
        raise LinkMisconfigured(str(error)) from error
    if token.facility_id != facility_id:
        raise LinkMisconfigured(f"This token is for {token.facility_id}; this facility is {facility_id}.")
    for folder in (state,) if key_file.exists() else (state, key_file.parent):
        _check_folder(folder)
    key = load_key(key_file) if key_file.exists() else Ed25519PrivateKey.generate()
    try:
        made = asyncio.run(enrol(token, key, generate_private_key(SECP256R1())))
    except EnrolmentFailed as error:
        raise LinkMisconfigured(str(error)) from error
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        save_key(key_file, key)
        write_identity(state / CURRENT, made)
        (state / NEXT).unlink(missing_ok=True)
    except OSError as error:
        raise LinkMisconfigured(f"{error.filename or state}: {error.strerror}; ask for a new token.") from error
    return made


def _check_folder(folder: Path) -> None:
    """Before the token is spent: whether this user may write there, and is the one whom the agent will be."""
    found = folder
    while not found.exists():
        found = found.parent
    if not os.access(found, os.W_OK | os.X_OK):
        raise LinkMisconfigured(f"{found} cannot be written; run this as the agent's user.")
    if folder.exists() and folder.stat().st_uid != os.getuid():
        raise LinkMisconfigured(f"{folder} belongs to another user; run this as the agent's user.")
