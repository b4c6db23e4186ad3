# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a bot proves that it is on the bus with what was meant, and answers soon enough."""

from __future__ import annotations

import errno
import os
import typing as t
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.rosey.nats.plugins.module_utils._bot import (
    access,
    bot_arguments,
    bot_expectation,
    bot_health,
    bot_python,
    credentials,
    plugin_files,
    round_trips,
)
from ansible_collections.rosey.nats.plugins.module_utils._bus.results import GateError, Proof
from ansible_collections.rosey.nats.plugins.module_utils._host import environment_file, gate, system
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    conditions,
    http_reader,
    login,
    monitoring,
    subjects,
)

LEAST_TRIPS = 200
MOST_TRIPS = 100_000
PROBE = "rosey-round-trip"
_SEED_FILE, _SEED = "nkeys_seed", "nkeys_seed_str"
_SECRET_OPTIONS = frozenset({"password", "token", _SEED})
ROUND_TRIP: dict[str, dict[str, t.Any]] = {
    **bot_arguments.ROUND_TRIP_ARGUMENTS,
    "subject": {"type": "str", "required": True},
    "count": {"type": "int", "default": LEAST_TRIPS},
}
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **monitoring.ARGUMENTS,
    **bot_arguments.ARGUMENTS,
    "wait": {"type": "float", "default": 30.0},
    "soak": {"type": "float", "default": 0.0},
    "subjects": {"type": "int"},
    "monitoring_url": {"type": "str"},
    "round_trip": {"type": "dict", "options": ROUND_TRIP},
    "python": {"type": "path"},
    "user": {"type": "str"},
    "environment_file": {"type": "path"},
    "clients": bot_arguments.CLIENTS_ARGUMENT,
    "refusals": {"type": "bool", "default": True},
    "tls_hostname": {"type": "str"},
    "tls_handshake_first": {"type": "bool", "default": False},
    "home": {"type": "path"},
    "service": {"type": "str"},
    "pid_file": {"type": "path"},
    # As a whole it would be no secret, but the user's name, blotted out of every subject.
    "credentials": {
        "type": "dict",
        "options": {
            "user": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "token": {"type": "str", "no_log": True},
        },
    },
}
# What the arguments ask of each other.
CONSTRAINTS: dict[str, t.Any] = {
    "required_by": {**monitoring.REQUIRED_BY, "round_trip": ("python",)},
    "mutually_exclusive": [("credentials", "environment_file")],
}


def prove(params: Mapping[str, t.Any], hide: Callable[[Iterable[str]], None], *, check_mode: bool) -> Proof:
    """Wait until a bot has proven itself, as ARGUMENTS ask for it; GateError where nobody can look.

    Clients that talk in plain text where all are to encrypt what they say are called back, but not in check mode.
    hide: takes what is secret of the parameters, and of the files that they name, as soon as it is known.
    """
    for url in (*params["servers"], params["health_url"], params["monitoring_url"] or ""):
        # A result shows the arguments too.
        hide(bot_expectation.secrets_of(url))
    if not http_reader.HAS_REQUESTS:
        raise GateError(missing_required_lib("requests"))
    reader = _reader(params)
    variables: Mapping[str, str] = {}
    if params["environment_file"] and (params["round_trip"] or params["clients"]):
        variables = variables_of(Path(params["environment_file"]), reader)
    if params["environment_file"] and params["round_trip"]:
        params = {**params, "credentials": credentials.given_by(variables)}
        hide(value for name, value in params["credentials"].items() if name != "user")
    clients = [_client(each, reader, refusals=params["refusals"]) for each in params["clients"]]
    hide(value for each in clients for name, value in each.login.items() if name in _SECRET_OPTIONS)
    if found := faults(params):
        raise GateError("\n".join(found))
    expectation = replace(bot_arguments.expectation_of(params), subjects=params["subjects"])
    try:
        observer = observer_of(params, expectation)
    except http_reader.MonitoringError as error:
        raise GateError(str(error)) from error
    waited = gate.wait_for(observer.judge, wait=params["wait"], timeout=params["timeout"], soak=params["soak"])
    judgement = waited.last
    lost = waited.passed is not None and not judgement.passed
    result: dict[str, t.Any] = {}
    if params["round_trip"] and expectation.mode is bot_expectation.Mode.NATS:
        asked = params["round_trip"]
        trip = round_trips.RoundTrip(asked["subject"], asked["payload"], asked["count"], asked["limit_milliseconds"])
        trips = (
            trips_of(params, trip, variables, clients)
            if judgement.passed
            else round_trips.Trips(stopped=round_trips.NOT_YET)
        )
        judgement = bot_health.with_trips(judgement, trip, trips)
        result["round_trip"] = round_trips.trips_result(trips)
    if clients and judgement.passed:
        server = _server(params, variables)
        proven = clients if server.urls else []
        judgement = bot_health.with_findings(
            judgement, access.prove(server, proven), f"{len(proven) or 'no'} clients proven"
        )
        result["clients"] = [each.name for each in proven]
        result["called_back"] = _call_back(params, server, proven) if judgement.passed and not check_mode else []
    if not judgement.passed:
        judgement = replace(judgement, findings=tuple(_explained(params, judgement.findings, expectation)))
    if judgement.held is not None:
        result["subscriptions"] = {"declared": expectation.declared, "held": judgement.held}
    result |= {
        "passed": judgement.passed,
        "summary": judgement.summary,
        "findings": [finding.as_result() for finding in judgement.findings],
        "seen": judgement.seen,
    }
    if judgement.passed:
        called = result.get("called_back")
        told = [f"told to connect again, since they talked in plain text: {', '.join(called)}"] if called else []
        return Proof(result, "", (*map(str, judgement.findings), *told))
    who = f"the bot at {params['health_url']}"
    return Proof(result, gate.failure(who, params["wait"], judgement.summary, judgement.findings, lost=lost))


def _explained(
    params: Mapping[str, t.Any], findings: Iterable[gate.Finding], expectation: bot_expectation.Expectation
) -> Iterable[gate.Finding]:
    """Say of plugins where their files and logs are, where that is known."""
    if not params["home"] or not params["environment_file"]:
        return findings
    file = Path(params["environment_file"])
    try:
        given = credentials.given_by(variables_of(file))
    except GateError:
        given = {}
    places = plugin_files.Places(
        Path(params["home"]),
        file.parent,
        params["service"] or "",
        Path(params["pid_file"]) if params["pid_file"] else None,
    )
    secrets = [value for name, value in given.items() if name != "user"]
    return plugin_files.explained(findings, expectation.plugins, places, secrets)


def variables_of(path: Path, account: system.Account | None = None) -> Mapping[str, str]:
    """Give what an environment file has; GateError. account: see _content."""
    try:
        return environment_file.get(_content(path, account))
    except FileNotFoundError:
        return {}
    except (OSError, environment_file.EnvironmentFileError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise GateError(f"environment_file: {path}: {why}; run as a user who may read it, and correct it") from error


def _content(path: Path, account: system.Account | None) -> bytes:
    """Give the content of a file; OSError.

    account: whose directory it is in, None for whoever reads. What is root's is nothing that such an account has there:
    it may have put a link in the place of the file.
    """
    with system.opened(path) as file:
        if account and os.fstat(file.fileno()).st_uid == 0:
            belongs = f"it belongs to {system.user_name(0)}; expected {account.name}, in whose directory it is"
            raise OSError(errno.EPERM, belongs, str(path))
        return file.read(system.LARGEST)


def _reader(params: Mapping[str, t.Any]) -> system.Account | None:
    """Give who is given what files say, where that is another account than who reads them."""
    if not params["user"] or os.geteuid() != 0:
        return None
    reader = system.account_to_be(params["user"])
    return None if reader.uid == 0 else reader


def faults(params: Mapping[str, t.Any]) -> list[str]:
    """Name what is wrong with the module's parameters; no secret is in it."""
    found = [fault for name in ("wait", "soak") if (fault := gate.wait_problem(params[name], name))]
    found += bot_arguments.server_faults("servers", params["servers"], "give these as credentials")
    found += bot_arguments.plugins_faults("plugins", params["plugins"])
    trip = params["round_trip"]
    if trip:
        if not subjects.is_literal(trip["subject"]):
            found.append(
                f"round_trip.subject: {trip['subject']!r} is no subject to publish on; give it without wildcards"
            )
        if not LEAST_TRIPS <= trip["count"] <= MOST_TRIPS:
            found.append(f"round_trip.count: {trip['count']}; expected {LEAST_TRIPS} to {MOST_TRIPS}; correct it")
        limit = trip["limit_milliseconds"]
        if not 0 < limit <= 1000 * params["timeout"]:
            found.append(f"round_trip.limit_milliseconds: {limit:g}; give milliseconds above 0, up to timeout")
        if not params["servers"]:
            found.append("round_trip: servers names none to connect to; give the URLs that the bot is configured with")
    found += [f"credentials: {problem}" for problem in credentials.problems(params["credentials"] or {})]
    return found


def observer_of(params: Mapping[str, t.Any], expectation: bot_expectation.Expectation) -> bot_health.Observer:
    """Make the one that looks; MonitoringError where a URL can't be one."""
    options = monitoring.reader_options(params)
    reader = http_reader.Reader(params["health_url"], bot_expectation.BOT, **options)
    is_monitored = params["monitoring_url"] and expectation.declared and expectation.mode is bot_expectation.Mode.NATS
    monitor = monitoring.Monitor(params["monitoring_url"], **options) if is_monitored else None
    return bot_health.Observer(reader, monitor, expectation)


def _client(given: Mapping[str, t.Any], account: system.Account | None, *, refusals: bool) -> access.Client:
    """Read what a client proves itself with from its files; GateError. account: the bot's, where it is another one."""
    proof = _proof(Path(given["file"]), None if given["name"] in credentials.OF_DEPLOYMENT else account)
    own = proof.get("inbox_prefix", "").rpartition(f".{subjects.INBOX}.")[0]
    prefixes = [own, next(each for each in subjects.PREFIXES.values() if each != own)]
    tried = access.not_for(given["name"], given["permissions"] if refusals else {}, prefixes)
    return access.Client(given["name"], proof, given["permissions"], tried)


def _proof(file: Path, account: system.Account | None) -> dict[str, str]:
    """Give what a client proves itself with by its file of environment variables, the seed in place of its file."""
    found = credentials.options_given_by(variables_of(file, account))
    if seed_file := found.pop(_SEED_FILE, ""):
        try:
            found[_SEED] = _content(Path(seed_file), account).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "no seed"
            raise GateError(f"clients: {seed_file}: {why}; run as a user who may read it, and correct it") from error
    return found


def _call_back(params: Mapping[str, t.Any], server: access.Server, clients: Iterable[access.Client]) -> list[str]:
    """Have those connect again who talk in plain text; name them."""
    system = next((each for each in clients if each.name == credentials.SYSTEM), None)
    if system is None or not params["monitoring_url"] or not all(url.startswith("tls:") for url in server.urls):
        return []
    monitor = monitoring.Monitor(params["monitoring_url"], **monitoring.reader_options(params))
    try:
        answer = monitor.read("connz")
    except http_reader.MonitoringError:
        return []  # the bot was proven without it, and the next run asks again
    return access.call_back(server, system, answer["server_id"], conditions.plain_clients(answer["connections"]))


def _server(params: Mapping[str, t.Any], variables: Mapping[str, str]) -> access.Server:
    """Give where the clients log in, as the bot does. Nobody here speaks to a websocket."""
    places = map(bot_expectation.place, params["servers"])
    trust = login.Trust(
        variables.get(credentials.CA_FILE_VARIABLE),
        params["tls_hostname"],
        params["tls_handshake_first"],
    )
    urls = [place.shown for place in places if place.scheme in login.SCHEMES]
    return access.Server(urls, trust, params["timeout"])


def _python(params: Mapping[str, t.Any], variables: Mapping[str, str]) -> bot_python.BotPython:
    return bot_python.BotPython(params["python"], params["user"], variables.get(credentials.CA_FILE_VARIABLE))


def trips_of(
    params: Mapping[str, t.Any],
    trip: round_trips.RoundTrip,
    variables: Mapping[str, str],
    clients: Iterable[access.Client] = (),
) -> round_trips.Trips:
    """Make the round trips that the module's parameters ask for. variables: of the bot's environment file.

    clients: those that have a credential of their own, of which one is to ask.
    """
    own = next((each.login for each in clients if each.name == credentials.PROBE), None)
    given = own or params["credentials"] or {}
    return round_trips.make_trips(
        trip,
        python=_python(params, variables),
        servers=params["servers"],
        options=params["round_trip"]["options"],
        credentials={name: value for name, value in given.items() if value is not None},
        name=PROBE,
        timeout=params["timeout"],
    )
