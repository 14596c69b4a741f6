"""What the gateway asks of the agent, over the Unix socket. The gateway holds no back-end credential.

`core.doorkeeper` implements it in the agent, `socket.client` in the gateway; both raise the same
`shared.errors`. Hashes are `shared.wire.proof.hashed`; the gateway never sends a cookie or a code in clear,
passwords only to `check_password`, and tokens only to `keep_token`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from facility_agent.ports.compute import Endpoint
from facility_agent.ports.tokens import PersonSession, SignOnToken
from shared.identity import Scope, Subject


@dataclass(frozen=True, slots=True)
class LocalIdentity:
    """A local account as the gateway's pages may show it to its owner."""

    username: str
    immutable_id: str
    display_name: str


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """An account link: whose account, and its generation (rises when unlinked or linked anew)."""

    identity: LocalIdentity
    generation: int


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A one-time code for the centre, and the gateway's public key that travels beside it."""

    code: str
    key: str


@dataclass(frozen=True, slots=True)
class GatewaySession:
    """A browser's session at the gateway: who signed in with UmbrellaID, and where a sign-in stands.

    `data` holds only strings that the gateway put there.
    """

    subject: Subject | None
    sid: str
    data: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkspaceDoor:
    """The verdict on one person and one workspace. `endpoint` is None while it is not running."""

    workspace_id: str
    title: str
    state: str
    allowed: bool
    endpoint: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    """Verdicts that no longer hold. Empty fields mean any: `Revocation()` revokes everything.

    `session_hash` names one workspace cookie; `workspace_id` every visitor of one workspace.
    """

    session_hash: str = ""
    workspace_id: str = ""


@dataclass(frozen=True, slots=True)
class PlaceSheet:
    """What the page shows on which a person enters where data lie. Nothing of it leaves the site.

    `title` and `state` are the dataset's, empty without one. `roots` are the folders below which a place may lie; `entered` holds
    (pid, folder, POSIX seconds) of all that the account entered, newest first.
    """

    title: str
    state: str
    roots: tuple[str, ...]
    entered: tuple[tuple[str, str, float], ...]


class PlaceDoor(ABC):
    """Where data lie, as people enter it for their own account.

    Every method raises Unsupported at a site that wants none entered, AccountNotLinked, AccessDenied, IdentityRefused, BackendUnavailable;
    NotFound for a dataset that the account may not read.
    """

    @abstractmethod
    async def places(self, subject: Subject, pid: str) -> PlaceSheet:
        """What was entered, and the dataset that is asked about, if `pid` names one."""

    @abstractmethod
    async def enter_place(self, subject: Subject, pid: str, path: str) -> None:
        """Keep that the dataset's data lie there.

        Raises InvalidRequest for what is no path, NotFound for every other path that is not allowed, without telling why;
        QuotaExceeded.
        """

    @abstractmethod
    async def forget_place(self, subject: Subject, pid: str) -> None:
        """Take it back, also when the dataset can no longer be read; no error when there is none."""


class TokenDoor(ABC):
    """Tokens of the facility's own sign-on, where its catalogue takes them for the person's own proof."""

    @abstractmethod
    async def token_wish(self, subject: Subject) -> PersonSession:
        """Whether a token of this person's would be of use: NEVER for somebody who has a session at the catalogue, or whom it does
        not answer for now. Raises BackendUnavailable.
        """

    @abstractmethod
    async def keep_token(self, subject: Subject, sid: str, identity: LocalIdentity, token: SignOnToken) -> None:
        """Hold a token that the sign-on gave to the owner of this account; it is of use while the subject is linked to that account.

        Raises SignInNeeded when `sid` was signed out within the last 10 minutes, InvalidRequest for one that is no token,
        Unsupported where the catalogue takes none.
        """


class AccountDoor(ABC):
    """Sign-in and account links."""

    @abstractmethod
    async def check_password(self, username: str, password: str) -> LocalIdentity:
        """Who this is. Raises AccessDenied, RateLimited, IdentityRefused, BackendUnavailable."""

    @abstractmethod
    async def local_identity(self, username: str) -> LocalIdentity:
        """The account of a username that the facility's own sign-on vouches for. Raises NotFound, IdentityRefused."""

    @abstractmethod
    async def link_of(self, subject: Subject) -> LinkInfo | None:
        """The subject's account link, None without one (also when the directory's immutable id changed)."""

    @abstractmethod
    async def link(self, subject: Subject, identity: LocalIdentity) -> LinkInfo:
        """Store the pair. Raises Conflict when either half is linked to another."""


class GrantDoor(ABC):
    """Consent, codes, sign-out."""

    @abstractmethod
    async def consent_of(self, subject: Subject) -> frozenset[Scope]:
        """The scopes that this person confirmed for the centre before."""

    @abstractmethod
    async def consent(self, subject: Subject, scopes: frozenset[Scope]) -> None:
        """Remember that the person confirmed these scopes."""

    @abstractmethod
    async def issue_code(
        self, subject: Subject, sid: str, scopes: frozenset[Scope], challenge: str, centre_key: str
    ) -> IssuedCode:
        """A code that makes one grant within 30 s.

        Raises AccountNotLinked, SignInNeeded when `sid` was signed out within the last 10 minutes,
        InvalidRequest for a challenge or key of the wrong shape.
        """

    @abstractmethod
    async def signed_out(self, issuer: str, sub: str, sid: str) -> None:
        """The provider ended `sid` (or, when empty, every session of `sub`): delete codes, grants and sessions."""


class SessionDoor(ABC):
    """Browser sessions at the gateway and in workspaces, kept by the agent so that a gateway's restart cuts nobody off."""

    @abstractmethod
    async def session(self, cookie_hash: str) -> GatewaySession | None:
        """The session behind a gateway cookie, None when there is none or it has expired."""

    @abstractmethod
    async def renew_session(self, old_hash: str, new_hash: str, session: GatewaySession) -> None:
        """Put `session` under `new_hash` and delete `old_hash` (may be empty), in one transaction.

        Raises SignInNeeded when its `sid` was signed out within the last 10 minutes.
        """

    @abstractmethod
    async def end_session(self, cookie_hash: str) -> None:
        """Delete one session; no error when there is none."""


class WorkspaceAccess(ABC):
    """The way into workspaces."""

    @abstractmethod
    async def visit(self, workspace_id: str, subject: Subject) -> WorkspaceDoor:
        """Whether this person may enter. Raises NotFound for a workspace nobody knows."""

    @abstractmethod
    async def invite(self, workspace_id: str, subject: Subject, sid: str, state_hash: str, code_hash: str) -> None:
        """Remember for 30 s a one-time code into one workspace, for the browser that holds the state.

        Raises AccessDenied, NotFound, SignInNeeded (signed out meanwhile), RateLimited.
        """

    @abstractmethod
    async def admit(self, workspace_id: str, code_hash: str, state_hash: str, cookie_hash: str) -> None:
        """Take a one-time code and remember a workspace cookie for the person whom it was made for.

        The code is gone whatever comes of it. Raises CodeNotValid, AccessDenied, NotFound, SignInNeeded.
        """

    @abstractmethod
    async def pass_of(self, workspace_id: str, cookie_hash: str) -> WorkspaceDoor | None:
        """The verdict behind a workspace cookie; None when the cookie is not known. Cached by the gateway."""

    @abstractmethod
    async def carried(self, workspace_id: str, sent: int, received: int) -> None:
        """Record bytes that passed the gateway to and from a workspace. Raises NotFound, BackendUnavailable."""

    @abstractmethod
    def revocations(self) -> AsyncIterator[Revocation]:
        """Every revocation from now on. Ends when the connection to the agent is lost: then nothing cached holds for long."""


class Doorkeeper(AccountDoor, GrantDoor, SessionDoor, WorkspaceAccess, PlaceDoor, TokenDoor):
    """All of it, as the agent offers it on its socket."""
