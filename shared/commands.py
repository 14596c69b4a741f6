"""The verbs of the link and what each carries. No parameter names a person, path, host, port, image or command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from shared.catalogue import (
    Changes,
    Dataset,
    FilePage,
    ProposalPage,
    ProposalQuery,
    SearchPage,
    SearchQuery,
)
from shared.errors import ParasolError
from shared.facilities import Outcome
from shared.identity import Scope
from shared.restores import DatasetReport
from shared.workspaces import LaunchRequest, WorkspaceReport


class Verb(StrEnum):
    """What the centre can ask of a facility. REDEEM carries no grant; the others may or must."""

    REDEEM = "grants.redeem"
    RELEASE = "grants.release"
    UNLINK = "accounts.unlink"
    SEARCH = "catalogue.search"
    GET = "catalogue.get"
    FILES = "catalogue.files"
    PROPOSALS = "catalogue.proposals"
    CHANGES = "catalogue.changes"
    RESTORE = "catalogue.restore"
    LAUNCH = "workspaces.launch"
    STOP = "workspaces.stop"


ORDERS = frozenset({Verb.LAUNCH, Verb.STOP, Verb.UNLINK, Verb.RESTORE})
"""Verbs with exactly one effect; the others are queries."""

NEVER_EXPIRES = frozenset({Verb.STOP, Verb.UNLINK})
"""Orders that end something: they wait for their facility for ever, as long as their grant holds."""

SCOPE_OF: dict[Verb, Scope | None] = {
    Verb.REDEEM: None,
    Verb.RELEASE: None,
    Verb.UNLINK: Scope.READ,
    Verb.SEARCH: Scope.READ,
    Verb.GET: Scope.READ,
    Verb.FILES: Scope.READ,
    Verb.PROPOSALS: Scope.READ,
    Verb.CHANGES: None,
    Verb.RESTORE: Scope.RUN,
    Verb.LAUNCH: Scope.RUN,
    Verb.STOP: Scope.RUN,
}
"""The scope that a grant needs for a verb; None needs none (RELEASE needs any valid grant)."""

PUBLIC = frozenset({Verb.REDEEM, Verb.SEARCH, Verb.GET, Verb.FILES, Verb.PROPOSALS, Verb.CHANGES})
"""Verbs that may come without a grant; those of the catalogue then reach open data only. CHANGES never comes under one."""


@dataclass(frozen=True, slots=True)
class Redeem:
    """Ask for the grant behind a one-time code: hex SHA-256 of the code, and the PKCE verifier."""

    code_hash: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The grant without its secret. `agent_now_ms` anchors `expires_ms` of later commands."""

    grant_id: str
    scopes: tuple[Scope, ...]
    lifetime_ms: int
    agent_now_ms: int


@dataclass(frozen=True, slots=True)
class Release:
    """Give up the grant under which this is sent."""


@dataclass(frozen=True, slots=True)
class Unlink:
    """Remove the account link behind the grant under which this is sent, with all its grants."""


@dataclass(frozen=True, slots=True)
class GetDataset:
    """Ask for one dataset by its pid."""

    pid: str


@dataclass(frozen=True, slots=True)
class GetFiles:
    """Ask for a page of a dataset's files: 1 to `LIMITS.page` of them, after a position of an earlier page."""

    pid: str
    limit: int = 50
    after: str = ""


@dataclass(frozen=True, slots=True)
class GetChanges:
    """Ask what changed in open metadata after `since`, a token of an earlier answer; empty asks for everything."""

    since: str = ""


@dataclass(frozen=True, slots=True)
class Restore:
    """Have an archived dataset brought back to disk. What is there or on its way stays as it is."""

    pid: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a workspace of the person behind the grant."""

    workspace_id: str


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more to say than that it is done."""


Parameters = (
    Redeem
    | Release
    | Unlink
    | SearchQuery
    | GetDataset
    | GetFiles
    | ProposalQuery
    | GetChanges
    | Restore
    | LaunchRequest
    | Stop
)
Payload = (
    Redeemed | Done | SearchPage | Dataset | FilePage | ProposalPage | Changes | DatasetReport | WorkspaceReport
)

PARAMETERS_OF: dict[Verb, type] = {
    Verb.REDEEM: Redeem,
    Verb.RELEASE: Release,
    Verb.UNLINK: Unlink,
    Verb.SEARCH: SearchQuery,
    Verb.GET: GetDataset,
    Verb.FILES: GetFiles,
    Verb.PROPOSALS: ProposalQuery,
    Verb.CHANGES: GetChanges,
    Verb.RESTORE: Restore,
    Verb.LAUNCH: LaunchRequest,
    Verb.STOP: Stop,
}

PAYLOAD_OF: dict[Verb, type] = {
    Verb.REDEEM: Redeemed,
    Verb.RELEASE: Done,
    Verb.UNLINK: Done,
    Verb.SEARCH: SearchPage,
    Verb.GET: Dataset,
    Verb.FILES: FilePage,
    Verb.PROPOSALS: ProposalPage,
    Verb.CHANGES: Changes,
    Verb.RESTORE: DatasetReport,
    Verb.LAUNCH: WorkspaceReport,
    Verb.STOP: WorkspaceReport,
}
"""What the answer to each verb carries when its outcome is OK or PARTIAL."""


@dataclass(frozen=True, slots=True)
class Command:
    """A decoded command body. `expires_ms` is an instant of the agent's clock (POSIX ms)."""

    facility_id: str
    command_id: str
    verb: Verb
    parameters: Parameters
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as it travels: reason, public sentence, whether a retry may help, its variables."""

    reason: str
    message: str
    retryable: bool = False
    metadata: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: ParasolError) -> Problem:
        """The problem that an error is."""
        return cls(error.reason, error.message, error.retryable, dict(error.metadata))


@dataclass(frozen=True, slots=True)
class Answer:
    """How a facility answered one command. `payload` is present when `outcome` is OK or PARTIAL."""

    outcome: Outcome
    payload: Payload | None = None
    problem: Problem | None = None


OUTCOME_OF_REASON: dict[str, Outcome] = {
    "SIGN_IN_NEEDED": Outcome.SIGN_IN_NEEDED,
    "ACCOUNT_NOT_LINKED": Outcome.NOT_LINKED,
    "ACCESS_DENIED": Outcome.DENIED,
    "PROPOSAL_DENIED": Outcome.DENIED,
    "SCOPE_DENIED": Outcome.DENIED,
    "IDENTITY_REFUSED": Outcome.DENIED,
    "FACILITY_UNAVAILABLE": Outcome.OFFLINE,
    "DEADLINE_EXCEEDED": Outcome.TIMED_OUT,
}


def refusal(error: ParasolError) -> Answer:
    """The answer that an error makes."""
    return Answer(OUTCOME_OF_REASON.get(error.reason, Outcome.FAILED), problem=Problem.of(error))
