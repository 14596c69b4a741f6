"""Account links: whose account is whose, and the account behind a grant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from facility_agent.core.effects import Effect
from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.directory import Account, Directory
from facility_agent.ports.doorkeeper import LinkInfo, LocalIdentity
from facility_agent.ports.sign_on import PasswordSignOn
from facility_agent.ports.store import Asker, LinkRow, Store, Transaction, WorkspaceRow
from shared.commands import Done
from shared.errors import AccessDenied, AccountNotLinked, Conflict, IdentityRefused, NotFound
from shared.identity import Subject


class Accounts:
    """The only place that maps a subject to an account. Fails closed: there is no default identity."""

    def __init__(
        self, store: Store, directory: Directory, sign_on: PasswordSignOn, rules: AccessRules,
        ended: Callable[[list[str]], None],
    ) -> None:  # fmt: skip
        self._store, self._directory, self._sign_on, self.rules, self._ended = (
            store,
            directory,
            sign_on,
            rules,
            ended,
        )

    async def check_password(self, username: str, password: str) -> LocalIdentity:
        """Who this is. Raises AccessDenied, RateLimited, IdentityRefused, BackendUnavailable."""
        return await self.identity(await self._sign_on.check(username, password))

    async def identity(self, username: str) -> LocalIdentity:
        """The account of a username, as its owner may see it. Raises NotFound, IdentityRefused, AccessDenied."""
        account = await self._directory.account(username)
        if not await self.rules.may_use(account):
            raise AccessDenied("Your account may not use this facility through the portal; ask its user office.")
        return LocalIdentity(account.username, account.immutable_id, account.display_name)

    async def link_of(self, subject: Subject) -> LinkInfo | None:
        """The subject's active link whose account still is the same account."""
        row = await self._store.transact(lambda tx: tx.link_of(subject))
        if row is None or not row.active:
            return None
        try:
            account = await self._matching(row)
        except (NotFound, IdentityRefused):
            return None
        return LinkInfo(
            LocalIdentity(account.username, account.immutable_id, account.display_name), row.generation
        )

    async def link(self, subject: Subject, identity: LocalIdentity) -> LinkInfo:
        """Store the pair; the same pair again gives the old workspaces back. Raises Conflict."""

        def work(tx: Transaction) -> LinkRow:
            mine, holder = tx.link_of(subject), tx.holder_of(identity.immutable_id)
            if holder is not None and holder.active and holder.subject != subject:
                raise Conflict("This account is linked to somebody else already.")
            if mine is not None and mine.active and mine.immutable_id != identity.immutable_id:
                raise Conflict("You have linked another account of this facility already; unlink that first.")
            generation = max(mine.generation if mine else 0, holder.generation if holder else 0) + 1
            if mine is not None and mine.active:
                generation = mine.generation
            row = LinkRow(subject, identity.username, identity.immutable_id, generation, active=True)
            tx.put_link(row)
            return row

        row = await self._store.transact(work)
        return LinkInfo(identity, row.generation)

    def unlinking(self, asker: Asker) -> Effect:
        """Remove the link with its grants, codes, sessions and entered places; open sockets are cut once that is durable.

        A link that was made anew since this was asked stays.
        """
        ended: list[str] = []

        def write(tx: Transaction) -> Done:
            row = tx.link_of(asker.subject)
            if row is not None and row.active and row.generation == asker.generation:
                tx.put_link(replace(row, active=False, generation=row.generation + 1))
                tx.put_consent(asker.subject, "")
                tx.drop_entered(row.immutable_id)
                ended.extend(tx.end_link(asker.subject))
            return Done()

        return Effect(write, lambda: self._ended(ended))

    async def account_of(self, asker: Asker) -> Account:
        """The account behind a grant or an order, as the directory has it now.

        Raises AccountNotLinked, AccessDenied, IdentityRefused, BackendUnavailable.
        """
        return await self.account_by(await self._store.transact(lambda tx: tx.link_of(asker.subject)), asker)

    async def account_by(self, row: LinkRow | None, asker: Asker) -> Account:
        """The same by the asker's link as it was just read."""
        if row is None or row.generation != asker.generation:
            raise AccountNotLinked
        return await self._usable(row)

    async def owner_of(self, workspace: WorkspaceRow) -> Account:
        """The account that a workspace belongs to, while its owner is linked to it. Raises as `account_of` does."""
        row = await self._store.transact(lambda tx: tx.link_of(workspace.subject))
        if row is None or row.immutable_id != workspace.immutable_id:
            raise AccountNotLinked
        return await self._usable(row)

    async def _usable(self, row: LinkRow) -> Account:
        if not row.active:
            raise AccountNotLinked
        try:
            account = await self._matching(row)
        except NotFound:
            raise AccountNotLinked("The account that you linked does not exist any more.") from None
        if not await self.rules.may_use(account):
            raise AccessDenied("Your account may not use this facility through the portal; ask its user office.")
        return account

    async def _matching(self, row: LinkRow) -> Account:
        account = await self._directory.account(row.username)
        if account.immutable_id != row.immutable_id:
            raise IdentityRefused("The account that you linked now belongs to somebody else; link yours anew.")
        return account
