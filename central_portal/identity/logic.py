"""Pure decisions of sign-in and grants."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from shared.facilities import Outcome
from shared.identity import Scope

_OUTCOME_OF_OAUTH = {
    "access_denied": Outcome.DENIED,
    "login_required": Outcome.SIGN_IN_NEEDED,
    "interaction_required": Outcome.NOT_LINKED,
    "account_not_linked": Outcome.NOT_LINKED,
    "temporarily_unavailable": Outcome.TIMED_OUT,
}


def safe_return(path: str | None) -> str:
    """`path` when it is an absolute path of the portal itself, else `/`."""
    if not path or len(path) > 2000 or not path.startswith("/") or path.startswith("//") or "\\" in path:
        return "/"
    if any(ord(c) < 0x21 or ord(c) == 0x7F for c in path):
        return "/"
    parts = urlsplit(path)
    return path if not parts.scheme and not parts.netloc else "/"


def with_outcome(path: str, facility_id: str, outcome: Outcome) -> str:
    """`path` with what a visit to a facility's gateway came to, replacing that of an earlier visit."""
    parts = urlsplit(safe_return(path))
    kept = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k not in ("connect", "outcome")]
    query = urlencode([*kept, ("connect", facility_id), ("outcome", outcome.value)])
    return urlunsplit(("", "", parts.path, query, ""))


def outcome_of_oauth(error: str) -> Outcome:
    """The outcome that a gateway's OAuth error stands for."""
    return _OUTCOME_OF_OAUTH.get(error, Outcome.FAILED)


def parse_scopes(text: str) -> frozenset[Scope]:
    """The known scopes of a space-separated list; both when it is empty."""
    known = {scope.value: scope for scope in Scope}
    chosen = frozenset(known[word] for word in text.split() if word in known)
    return chosen or frozenset(Scope)


def format_scopes(scopes: Iterable[Scope]) -> str:
    """As OAuth writes them."""
    return " ".join(sorted(scope.value for scope in scopes))


def expires_ms(now: float, clock_offset_ms: int, life_s: float) -> int:
    """Last instant, of the agent's clock, at which a command asked now may be accepted."""
    return int(now * 1000) + clock_offset_ms + int(life_s * 1000)
