"""`facility-agent enrol | agent | gateway | check | status | metrics | egress | key | restored | hash-password`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from facility_agent.config import ConfigError, Located, load
from shared import resolver, trace


def main() -> None:
    """Entry point. A mistake in the configuration is one sentence and exit code 2."""
    arguments = _parser().parse_args()
    resolver.install()
    trace.log_to_stderr()
    try:
        if arguments.command == "hash-password":
            _hash_password()
            return
        located = load(arguments.config)
        if arguments.command == "enrol":
            _enrol(located, arguments.token)
            return
        if arguments.command == "egress":
            _egress(located, arguments)
            return
        if arguments.command == "check":
            _check(located, arguments)
            return
        if arguments.command == "status":
            _status(located, as_json=arguments.json)
            return
        {
            "agent": _agent, "gateway": _gateway, "key": _key, "metrics": _metrics, "restored": _restored,
        }[arguments.command](located)  # fmt: skip
    except (ConfigError, PermissionError, ValueError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="facility-agent", description="The facility's side of Parasol.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("agent", "run the agent"),
        ("gateway", "run the gateway"),
        ("check", "explain every problem of the configuration with its mend"),
        ("status", "say how the running agent stands"),
        ("egress", "show what left the facility, and check that the record of it is whole"),
        ("metrics", "print the running agent's metrics as Prometheus reads them"),
        ("restored", "give a store that was restored from a backup a new name, before the agent starts on it"),
        ("key", "make the agent's key when there is none, and print its public half"),
        ("enrol", "make the agent's keys and have the centre certify them"),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("-c", "--config", type=Path, required=True, help="the facility's TOML file")
        if name == "status":
            command.add_argument("--json", action="store_true", help="for programs")
        if name == "check":
            _check_arguments(command)
        if name == "egress":
            _egress_arguments(command)
        if name == "enrol":
            command.add_argument(
                "--token", required=True, help="from the federation's operator; - reads it from input"
            )
    commands.add_parser("hash-password", help="read a password from standard input and print its hash")
    return parser


def _check_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--probe", action="store_true", help="also try each system for real; changes nothing there"
    )
    command.add_argument("--as", dest="username", default="", help="with --probe: read as this account too")
    command.add_argument(
        "--within", type=float, default=20.0, help="with --probe: seconds that one probe may take"
    )


def _egress_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--since", default="", help="a date, a date and time, or a span such as 2h")
    command.add_argument("--json", action="store_true", help="records as they stand in the log")
    actions = command.add_subparsers(dest="action", metavar="verify | erase")
    verify = actions.add_parser("verify", help="exit status 1 when a record was changed, removed or moved")
    verify.add_argument("--head", default="", help="the head that the centre keeps, SEQUENCE:HASH")
    verify.add_argument("--begin", default="", help="the head of the last record of files that were archived")
    erase = actions.add_parser("erase", help="destroy the key of a person's pseudonym; the agent must run")
    erase.add_argument("issuer")
    erase.add_argument("sub")


def _agent(located: Located) -> None:
    import uvloop

    from facility_agent.composition import Agent

    agent = Agent(located)

    async def run() -> None:
        task = asyncio.create_task(agent.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    uvloop.run(run())


def _gateway(located: Located) -> None:
    from facility_agent.gateway.app import serve

    serve(located)


def _check(located: Located, arguments: argparse.Namespace) -> None:
    from facility_agent.check import problems

    if not arguments.probe and arguments.username:
        raise ConfigError("--as needs --probe.")
    if not 0 < arguments.within <= 3600:
        raise ConfigError("--within is more than 0 and at most 3600 seconds.")
    found = problems(located)
    for problem in found:
        print(problem)
    print("1 problem" if len(found) == 1 else f"{len(found) or 'no'} problems", flush=True)
    fatal = any(problem.fatal for problem in found)
    if not arguments.probe:
        sys.exit(1 if fatal else 0)
    if any(problem.key in ("user", "adapters", "agent.state") for problem in found):
        print("not tried everything: mend what stands above first")
        sys.exit(1)
    good, hung = _probe(located, arguments)
    sys.stdout.flush()
    if hung:  # a thread that waits for a disk or a server would keep this process
        os._exit(1 if fatal or not good else 0)
    sys.exit(1 if fatal or not good else 0)


def _probe(located: Located, arguments: argparse.Namespace) -> tuple[bool, bool]:
    """(whether nothing failed, whether something hung)."""
    from facility_agent.probing.results import Result, State
    from facility_agent.probing.run import Wish, probe

    states: list[State] = []

    def tell(result: Result) -> None:
        states.append(result.state)
        print(result, flush=True)

    runner = asyncio.Runner()
    hung = runner.run(probe(located, tell, Wish(arguments.username, arguments.within)))
    counts = ", ".join(f"{count} {state.value}" for state in State if (count := states.count(state)))
    print(f"probed: {counts}")
    if not hung:
        runner.close()
    return State.FAILED not in states, hung


def _page(located: Located, name: str, act: dict[str, str] | None = None) -> str:
    from facility_agent.socket.pages import read_page
    from shared.errors import BackendUnavailable

    agent = located.config.agent
    socket, token = located.path(agent.socket), located.path(agent.state) / "socket.token"
    try:
        return asyncio.run(read_page(socket, token, name, act))
    except BackendUnavailable as error:
        print(error.message, file=sys.stderr)
        sys.exit(1)


def _status(located: Located, *, as_json: bool) -> None:
    from facility_agent.status import in_words

    told = _page(located, "status")
    print(told if as_json else in_words(json.loads(told)))


def _egress(located: Located, arguments: argparse.Namespace) -> None:
    from facility_agent.egress import shown
    from facility_agent.egress.reading import verify
    from facility_agent.ports.egress import Head
    from facility_agent.recording import places

    folder, head_file = places(located)
    if arguments.action == "erase":
        answer = _page(located, "erase", {"issuer": arguments.issuer, "sub": arguments.sub})
        print("The key is destroyed." if answer == "erased" else "The log knows nobody of this name.")
        sys.exit(0 if answer == "erased" else 1)
    if arguments.action == "verify":
        given, begin = (Head.parse(text) if text else None for text in (arguments.head, arguments.begin))
        verdict = verify(folder, head_file, given, begin)
        print(shown.verdict_in_words(verdict, compared=given is not None))
        sys.exit(1 if verdict.problem else 0)
    begin_at = shown.since(arguments.since, time.time()) if arguments.since else ""
    for record in shown.chosen(folder, begin_at):
        print(json.dumps(record) if arguments.json else shown.in_words(record))


def _metrics(located: Located) -> None:
    print(_page(located, "metrics"), end="")


def _restored(located: Located) -> None:
    from facility_agent.store.database import Unusable, renew_store_id

    path = located.path(located.config.agent.state) / "agent.sqlite3"
    if not path.exists():
        raise ConfigError(f"{path} is not there: put the backup in its place first")
    try:
        print(
            f"The store is now {renew_store_id(path)}; the centre will compare what runs here at the next session."
        )
    except Unusable as error:
        raise ConfigError(f"{path}: {error}") from error


def _key(located: Located) -> None:
    from facility_agent.link.keys import load_or_create_key, public_text

    print(public_text(load_or_create_key(located.agent_key())))


def _enrol(located: Located, token: str) -> None:
    from facility_agent.link.enrolling import enrol_here

    state = located.path(located.config.agent.state)
    text = sys.stdin.read() if token == "-" else token  # noqa: S105 (a dash, not a secret)
    made = enrol_here(text, located.config.facility.id, state, located.agent_key())
    print(
        f"Enrolled as {made.name}; the agent renews its certificate of {made.certificate.not_valid_after_utc:%F %R} UTC."
    )
    if located.config.centre.hub:
        print("WARNING centre.hub is set, so the agent does not use it: take hub, ca_file and plaintext out.")


def _hash_password() -> None:
    from argon2 import PasswordHasher

    password = sys.stdin.readline().rstrip("\n")
    if len(password) < 8:
        raise ConfigError("A password has at least 8 characters.")
    print(PasswordHasher().hash(password))


if __name__ == "__main__":
    main()
