"""What starts, watches and stops workspaces."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from facility_agent.ports.directory import Account
from shared.facilities import Flavour


@dataclass(frozen=True, slots=True)
class Mount:
    """One folder to show in a workspace, as `name` (a proposal's id, made safe) within another, or by itself."""

    name: str
    folder: Path
    read_only: bool = True
    within: str = "proposals"

    @property
    def place(self) -> str:
        """Where it is shown, relative to the folder in which the workspace begins: one name, or two with a slash."""
        return f"{self.within}/{self.name}" if self.within else self.name


@dataclass(frozen=True, slots=True)
class Task:
    """What makes a workspace a task: it runs to its end with nobody watching, RUNNING while its program runs, without an endpoint.

    `results` is a folder below a writable mount, by its place in the workspace. Before the program starts the adapter makes it
    as the account, open to the mount's group, with `task.json` (these facts, JSON) and `log.txt` (the program's output) in it.
    """

    results: str
    facts: str


@dataclass(frozen=True, slots=True)
class StartSpec:
    """What to start. `command` comes from the site's configuration, never from a command of the link.

    `command`, `variables` (environment variables) and `headers` (added by the proxy to each request)
    may contain the placeholders `{socket}`, `{work}`, `{secret}` and, of a task, `{results}`; the adapter fills them.
    `secret` is random per workspace, so that only the proxy gets in; it must not stand in `command`.
    """

    workspace_id: str
    environment: str
    command: tuple[str, ...]
    flavour: Flavour
    mounts: tuple[Mount, ...]
    lifetime_s: int
    secret: str
    variables: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    task: Task | None = None


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with its placeholders filled in."""
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


class RunState(StrEnum):
    """What a backend sees of one workspace. GONE is certain; UNKNOWN is not knowing."""

    QUEUED = "QUEUED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    GONE = "GONE"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at one workspace. `reason` and `message` (public) say why it is GONE or still waits.

    RUNNING means that its endpoint has answered; of a task, that its program runs.
    """

    state: RunState
    reason: str = ""
    message: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a running workspace listens: a Unix socket, or host and port. `headers` are added to each request by the proxy.

    `owner` is the uid of whom must listen on the socket: the account could have put a link to somebody else's.
    The host of `address` is one that the scheduler named, never the workspace.
    """

    socket: Path | None
    headers: tuple[tuple[str, str], ...] = ()
    owner: int | None = None
    address: tuple[str, int] | None = None

    def __post_init__(self) -> None:
        if (self.socket is None) is (self.address is None):
            raise ValueError("a socket or an address")


@dataclass(frozen=True, slots=True)
class Capacity:
    """What could start now; None means not reported."""

    cpus_free: int | None = None
    cpus_total: int | None = None
    memory_free: int | None = None
    memory_total: int | None = None


class ComputeBackend(ABC):
    """Starts workspaces for accounts. A handle is a string that survives the agent.

    Idempotent by workspace id: starting twice makes one; stopping what is gone is no error.
    Adapters translate vendor errors into `shared.errors` at one point.
    """

    @abstractmethod
    async def start(self, spec: StartSpec, account: Account) -> str:
        """Start, or find again what an earlier call with this workspace id started; its handle.

        Returns as soon as the backend has taken it. Raises QuotaExceeded, InvalidRequest,
        IdentityRefused, BackendError, BackendUnavailable; after an error nothing runs.
        """

    @abstractmethod
    async def inspect(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        """One look at many; each handle is in the answer. What cannot be read is UNKNOWN."""

    @abstractmethod
    async def stop(self, handle: str) -> None:
        """Ask for the end, politely first; returns when nothing of it runs any more or raises BackendError."""

    @abstractmethod
    async def list_owned(self) -> Mapping[str, str]:
        """Workspace id → handle of everything that this agent ever started and that may still run."""

    @abstractmethod
    async def endpoint(self, handle: str) -> Endpoint | None:
        """Where it listens, None while it does not (yet)."""

    @abstractmethod
    async def logs(self, handle: str) -> str:
        """The last 64 KiB of its output for the facility's operator; never sent to the centre."""

    @abstractmethod
    async def capacity(self) -> Capacity:
        """What is free."""
