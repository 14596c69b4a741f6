"""Probes of the accounts' source and of the access rules."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.catalogue import Reader
from facility_agent.ports.directory import Account
from facility_agent.probing.results import FAULT, Place, Probes, short
from shared.errors import IdentityRefused, NotFound

_UID = 2**31 - 1
"""Of an account that is nobody's; it starts nothing."""


def nobody() -> Account:
    """A whole account of a name that nobody has."""
    name = f"parasol-probe-{secrets.token_hex(8)}"
    return Account(name, name, _UID, _UID, (), Path("/nonexistent"))


async def directory(source: Any, username: str, place: Place, seconds: float) -> tuple[Account | None, bool]:
    """(the account of `username` where one was named and is there, whether something hung)."""
    probes, found = Probes(place, seconds), list[Account]()

    async def unknown() -> None:
        name = nobody().username
        try:
            account = await source.account(name)
        except NotFound:
            place.ok("nobody", "It answers, and knows no account of a name that nobody has.")
            return
        place.fail("nobody", f"It gives the account {account.username!r} to the name {name!r}.", FAULT)

    async def named() -> None:
        try:
            account = await source.account(username)
        except NotFound:
            place.fail(username, "There is no such account.", "See the name, and where accounts are looked for.")
        except IdentityRefused as error:
            place.fail(username, error.message, "Give it a uid, a gid, groups with their gids, and a home.")
        else:
            found.append(account)
            groups = f"groups {', '.join(map(str, account.groups[:8]))}" if account.groups else "no other group"
            place.ok(username, f"uid {account.uid}, gid {account.gid}, {groups}, home {short(account.home)}.")

    if await probes.run("nobody", unknown) and username:
        await probes.run(username, named)
    return (found[0] if found else None), probes.hung


async def access(
    rules: AccessRules, account: Account | None, place: Place, seconds: float
) -> tuple[Reader | None, bool]:
    """(who asks the catalogue when it is `account`, None unless it may; whether something hung)."""
    probes, readers = Probes(place, seconds), list[Reader]()

    async def unknown() -> None:
        given = await rules.proposals(nobody())
        broken = [f"A name that nobody has gets {len(given)} proposals."] if given else []
        place.judge("nobody", broken, "It answers, and gives nothing to a name that nobody has.")

    async def named(account: Account) -> None:
        if not await rules.may_use(account):
            place.fail(
                account.username,
                "May not use the facility through Parasol.",
                "See who is to say so, and what it says.",
            )
            return
        proposals = await rules.proposals(account)
        readers.append(Reader(account, proposals))
        some = ", ".join(sorted(map(str, proposals))[:5])
        place.ok(
            account.username,
            f"May come in, with {short(some) if some else 'no proposal'}{' and more' if len(proposals) > 5 else ''}.",
        )

    if await probes.run("nobody", unknown) and account is not None:
        known = account
        await probes.run(account.username, lambda: named(known))
    return (readers[0] if readers else None), probes.hung
