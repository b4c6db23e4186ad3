# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the bot can't connect to NATS: what is asked of the evidence, from what the bot reads to what the server answers.

Nothing here looks at the host. Credentials are compared, and never part of a cause.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
import typing as t
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_expectation, client_options, credentials
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    environment_file,
    hardening,
    redaction,
    service,
    sockets,
    unit_checks,
)
from ansible_collections.rosey.nats.plugins.module_utils._server import footprint, monitoring
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.bot_evidence import (
    SECTION,
    BrokenError,
    Evidence,
    File,
    variables_of,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.evidence import Unit
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.login import Flaw, Login, Step
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
    Diagnosis,
    NotSeenError,
    Question,
    Symptom,
    diagnose,
    finds,
    ranked,
    seen,
)


def diagnosis(evidence: Evidence) -> Diagnosis:
    """Say why the bot can't connect."""
    if evidence.described.legacy:
        return Diagnosis(healthy=("the bot is described to run without NATS",))
    if evidence.is_connected:
        return diagnose(Symptom.BOT, (Question("bot connected to its server", _ask_where),), evidence)
    found = diagnose(Symptom.BOT, QUESTIONS, evidence)
    if any(cause.confidence > Confidence.POSSIBLE for cause in found.causes):
        return found
    return Diagnosis(ranked((*_unexplained(evidence), *found.causes)), found.healthy)


# Whether it is on the bus

_DEPLOY = "deploy again, which writes it as it is described"


def _ask_where(evidence: Evidence) -> Iterator[Cause]:
    server = evidence.tells("server")
    if not isinstance(server, str) or not evidence.described.servers:
        return
    if bot_expectation.place_or_none(server) not in map(bot_expectation.place_or_none, evidence.described.servers):
        yield _cause(
            "other_server",
            "the bot is connected to another server than the one that is described",
            f"it is connected to {bot_expectation.without_credentials(server)}, by {_source(evidence)}",
            f"described: {', '.join(evidence.described.servers)}",
            remedy=_correct(evidence),
        )


def _unexplained(evidence: Evidence) -> Iterator[Cause]:
    says_nothing = evidence.says_connected is None
    if says_nothing and isinstance(evidence.connections, NotSeenError):
        return
    said = () if isinstance(evidence.unit, NotSeenError) else _words(evidence.unit)[-1:]
    yield _cause(
        "bot_not_connected",
        "the bot is not connected, and nothing that was looked at says why",
        "the server has no connection of it" if says_nothing else "it tells so itself",
        *(f"its last words: {line}" for line in said),
        remedy=f"look at the log of the bot: {evidence.described.log}",
        confidence=Confidence.LIKELY,
    )


# What it reads


def _ask_section(evidence: Evidence) -> Iterator[Cause]:
    file = seen(evidence.section)
    cause = _file_cause(evidence, file)
    if cause:
        yield cause
        return
    try:
        section = file.mapping().get(SECTION)
    except BrokenError as error:
        yield _cause(
            "bot_file_broken",
            "the bot's file is no YAML, so the bot can't start",
            f"{file.path}: {error}",
            remedy=f"correct {file.path}, then {evidence.described.restart}",
        )
        return
    if not isinstance(section, Mapping):
        yield _cause(
            "section_missing",
            "the bot's file has no section nats, so the bot runs without NATS",
            f"{file.path}: expected {SECTION}: with servers, name and prefix, found none",
            remedy=_DEPLOY,
        )
    elif not section.get(client_options.PREFIX):
        yield _cause(
            "prefix_missing",
            "the bot's section has no prefix, so the bot does not know its subjects",
            f"{file.path}: {SECTION}.{client_options.PREFIX}: expected {evidence.described.prefix}, found nothing",
            remedy=_DEPLOY,
        )
    else:
        yield from _option_causes(file, section)


def _file_cause(evidence: Evidence, file: File) -> Cause | None:
    if file.content is None:
        return _cause("bot_file_missing", "the bot's file is not there", f"no {file.path}", remedy=_DEPLOY)
    if file.forbidden:
        account = evidence.described.account
        return _cause(
            "bot_file_unreadable",
            "the bot's account may not read the bot's file",
            f"{account} may not read {file.path}",
            *([f"it is stopped at {file.forbidden}"] if file.forbidden != file.path else []),
            remedy=f"chown {account} {file.path}, or {_DEPLOY}; then {evidence.described.restart}",
        )
    return None


def _option_causes(file: File, section: Mapping[str, t.Any]) -> Iterator[Cause]:
    for name, value in section.items():
        if name == client_options.PREFIX or name in client_options.SECRET_OPTIONS:
            continue
        shown = redaction.redact(json.dumps(value, default=str))
        kind = client_options.OPTIONS.get(name)
        if kind is None:
            near = difflib.get_close_matches(str(name), client_options.OPTIONS, 1)
            yield _cause(
                "option_unknown",
                "the bot's section has an option that the NATS client does not know, which ends its connect()",
                f"{file.path}: {SECTION}.{name}" + (f"; the nearest is {near[0]}" if near else ""),
                remedy=f"take {name} out of bot_config_nats, or correct it there; then deploy again",
                confidence=Confidence.LIKELY,
            )
        elif not kind.accepts(value):
            yield _cause(
                "option_wrong",
                "the bot's section has a value that the NATS client can't use",
                f"{file.path}: {SECTION}.{name}: expected {kind.expected}, found {shown}",
                remedy=f"correct {name} in bot_config_nats; then deploy again",
                confidence=Confidence.LIKELY,
            )


def _ask_secrets(evidence: Evidence) -> Iterator[Cause]:
    file = seen(evidence.secrets)
    if file.content is None:
        return
    try:
        found = environment_file.get(file.content)
    except environment_file.EnvironmentFileError as error:
        yield _cause(
            "secrets_broken",
            "the bot's environment file can't be read as systemd reads it",
            f"{file.path}: {error}",
            remedy=f"correct {file.path}, or {_DEPLOY}; then {evidence.described.restart}",
        )
        return
    text = file.content.decode(errors="replace")
    for name in (credentials.SERVER_VARIABLE, *credentials.VARIABLES.values()):
        if name not in found and re.search(rf"^[^#;\n]*\b{name}[ \t]*\+?=", text, re.MULTILINE):
            yield _cause(
                "secrets_misread",
                "the bot's environment file sets a variable in a way that systemd does not read",
                f"{file.path}: {name}: expected {name}=... in a line of its own, found it set as only a shell reads it",
                remedy=f"write {name}=... in a line of its own, or {_DEPLOY}; then {evidence.described.restart}",
            )


# Its service

_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
_NOT_EXECUTED = "203"


def _ask_service(evidence: Evidence) -> Iterator[Cause]:
    unit, name = seen(evidence.unit), f"{evidence.described.service}.service"
    if unit["LoadState"] == "not-found":
        yield _cause(
            "bot_unit_missing",
            "the bot's service is not there",
            f"systemd knows no {name}",
            remedy="install the bot's service, or name it in bot_config_service",
        )
    elif unit["LoadState"] == "masked":
        yield _cause(
            "bot_unit_masked",
            "the bot's service is masked, so nothing starts it",
            f"{name} is a link to /dev/null",
            remedy=f"systemctl unmask {evidence.described.service}, then systemctl start {evidence.described.service}",
        )
    elif unit.broken:
        yield _cause(
            "bot_unit_broken",
            "systemd can't use the unit of the bot's service",
            f"systemd says: {unit.broken}",
            *unit_checks.told(unit.files.drop_ins),
            remedy=f"correct it: systemctl cat {evidence.described.service}, and systemd-analyze verify {name}; then "
            f"systemctl daemon-reload and {evidence.described.restart}",
        )
    elif unit["ActiveState"] == "inactive":
        yield _cause(
            "bot_stopped",
            "the bot's service is stopped",
            f"{name} is inactive, and ended without an error",
            remedy=evidence.described.restart,
        )
    elif service.is_failing(unit.properties):
        yield from _dying_causes(evidence, unit)


def _dying_causes(evidence: Evidence, unit: Unit) -> Iterator[Cause]:
    confidence = Confidence.LIKELY if unit.number("MainPID") else Confidence.CERTAIN
    step = hardening.STEPS.get(unit.number("ExecMainStatus"))
    # systemd tells in two lines what it could not apply, and at which step it gave up
    last = [f"its last words: {line}" for line in _words(unit)[-2 if step else -1 :]]
    missing = next((found[1] for line in reversed(_words(unit)) if (found := _NO_MODULE.search(line))), None)
    if missing:
        yield _cause(
            "library_missing",
            "the bot's Python lacks a library, so the bot ends as it starts",
            *last,
            remedy=f"install {missing} into the bot's virtual environment in {evidence.described.home}/venv",
        )
    elif not _files_explain(evidence):
        status = unit["ExecMainStatus"]
        program = f", can't execute {unit.command[0]}" if status == _NOT_EXECUTED and unit.command else ""
        yield _cause(
            "bot_dies",
            "the bot ends as it starts, and systemd starts it again",
            f"{evidence.described.service}.service: {unit['Result']}, status {status}{program}",
            *last,
            remedy="install the bot anew"
            if program
            else f"take out of its unit what this host can't apply: systemctl edit {evidence.described.service}"
            if step
            else f"look at the log of the bot: {evidence.described.log}",
            confidence=confidence,
        )


def _words(unit: Unit) -> tuple[str, ...]:
    """Give what the bot wrote last, nothing where that could not be seen."""
    return () if isinstance(unit.said, NotSeenError) else unit.said


def _files_explain(evidence: Evidence) -> bool:
    return any(finds(ask, evidence, Confidence.POSSIBLE) for ask in (_ask_section, _ask_secrets))


# What its servers answer

_NATS_SERVER, _CLIENTS = "nats-server", "clients"


def _ask_servers(evidence: Evidence) -> Iterator[Cause]:
    logins = seen(evidence.logins)
    if not any(login.succeeded for login in logins):
        for login in logins:
            yield from _FAILURES[login.failed](evidence, login)


def _unresolved(evidence: Evidence, login: Login) -> Iterator[Cause]:
    host = urlsplit(login.url).hostname
    yield _cause(
        "name_unknown",
        "the name of the bot's server means nothing on this host",
        f"{host}: {login.error}",
        f"it stands in {_source(evidence)}",
        remedy=f"correct {_source(evidence)}, or let {host} be known; then {evidence.described.restart}",
    )


def _unconnected(evidence: Evidence, login: Login) -> Iterator[Cause]:
    if not evidence.own_addresses.issuperset(login.addresses):
        yield _cause(
            "server_unreachable",
            "the bot's server is on another host, which does not answer",
            _asked(evidence, login),
            login.error,
            remedy="see that the server runs and listens to this host, and look at the firewalls between the two",
        )
        return
    listeners = seen(evidence.listeners)
    there = [each for each in listeners if each.socket.port == login.port]
    yield _not_reached(evidence, login, there) if there else _not_there(evidence, login, listeners)


def _not_there(evidence: Evidence, login: Login, listeners: Iterable[sockets.Listener]) -> Cause:
    """Say why nothing listens on the port that the bot asks."""
    clients = _clients(evidence, listeners)
    if clients:
        meant = map(bot_expectation.place_or_none, evidence.described.servers)
        is_bots = bot_expectation.place_or_none(login.url) not in meant
        return _cause(
            "port_mismatch",
            "the bot asks another port than the one on which nats-server listens",
            _asked(evidence, login),
            str(clients),
            remedy=_correct(evidence) if is_bots else f"deploy again, which gives nats-server port {login.port}",
        )
    return _cause(
        "nothing_listens",
        "nothing listens where the bot looks for its server",
        _asked(evidence, login),
        f"nothing listens on port {login.port} of this host",
        remedy=f"{evidence.described.start_server}, or diagnose why it does not start: -e symptom=server",
    )


def _not_reached(evidence: Evidence, login: Login, there: list[sockets.Listener]) -> Cause:
    """Say why the bot does not reach what listens on its port."""
    found = ", ".join(map(str, there))
    families = {each.socket.address.version for each in there}
    addresses = [ipaddress.ip_address(address) for address in login.addresses]
    if not families & {address.version for address in addresses}:
        name, cause = "address_family", "the name of the bot's server means addresses of another family"
    elif not any(sockets.conflicts(address, login.port, each.socket) for address in addresses for each in there):
        name, cause = "address_mismatch", "the server listens on another address than the one that the bot asks"
    else:
        return _cause(
            "connection_blocked",
            "a connection to the bot's server does not come about, though it listens",
            _asked(evidence, login),
            found,
            login.error,
            remedy="look at the host's firewall, and at the load of the host",
        )
    return _cause(
        name,
        cause,
        _asked(evidence, login),
        f"{urlsplit(login.url).hostname} means {', '.join(login.addresses)}",
        found,
        remedy=f"give both the same address: {_correct(evidence)}",
    )


def _ungreeted(evidence: Evidence, login: Login) -> Iterator[Cause]:
    holders = [each for each in seen(evidence.listeners) if each.socket.port == login.port]
    asked = f"at {_shown(login)}: {login.error}"
    purpose = next((each.purpose for each in _endpoints(evidence) if each.port == login.port), "")
    if not any(_is_server(evidence, each) for each in holders):
        yield _cause(
            "not_nats",
            "what listens where the bot looks for its server is no NATS server",
            asked,
            *map(str, holders),
            remedy=f"{_correct(evidence)}; or stop what listens there, and {evidence.described.start_server}",
        )
    elif purpose not in ("", _CLIENTS):
        yield _cause(
            "port_mismatch",
            "the bot asks another port than the one on which nats-server listens for clients",
            _asked(evidence, login),
            f"port {login.port} of nats-server serves {purpose}",
            remedy=_correct(evidence),
        )
    else:
        yield _cause(
            "server_silent",
            "nats-server takes the connection and says nothing",
            asked,
            *map(str, holders),
            remedy="diagnose the server: -e symptom=server; where it has handshake_first, give the bot "
            "tls_handshake_first",
            confidence=Confidence.LIKELY,
        )


_CERTIFICATES = {
    None: (
        "tls_failed",
        "the server and the bot do not come to an encrypted connection",
        "look at the log of nats-server",
    ),
    Flaw.UNTRUSTED: (
        "tls_untrusted",
        "the server's certificate is signed by nobody whom the bot trusts",
        f"let the bot trust who signed it: {credentials.CA_FILE_VARIABLE} in its environment file, or the host's "
        "certificates",
    ),
    Flaw.NAME: (
        "tls_name",
        "the server's certificate is for another name than the one that the bot asks",
        "use a name of the certificate in bot_config_servers, or have a certificate made for this one",
    ),
    Flaw.EXPIRED: (
        "tls_expired",
        "the server's certificate has expired, or does not count yet",
        "renew the certificate, and look at the clocks of both hosts",
    ),
}


def _unencrypted(evidence: Evidence, login: Login) -> Iterator[Cause]:
    name, cause, remedy = _CERTIFICATES[login.flaw]
    is_for = [f"it is for {', '.join(login.names)}"] if login.names else []
    evidences = (f"the certificate at {_shown(login)}: {login.error}", *is_for)
    yield _cause(name, cause, *evidences, remedy=f"{remedy}; then {evidence.described.restart}")


def _not_let_in(evidence: Evidence, login: Login) -> Iterator[Cause]:
    said = f"nats-server at {_shown(login)}: {login.error}"
    limits = {} if isinstance(evidence.limits, NotSeenError) else evidence.limits
    words = login.error.lower()
    # The server closes at once, which may overtake its words.
    if "maximum connections exceeded" in words or is_full(limits):
        yield full(Symptom.BOT, limits, evidence.connections)
    elif "control line exceeded" in words:
        yield _cause(
            "control_line_too_short",
            "the server takes shorter lines than the bot's login has",
            said,
            f"max_control_line: {limits.get('max_control_line', 'unknown')}",
            remedy="raise max_control_line in nats_server_config; 4096 is the server's default",
        )
    elif "authorization violation" in words:
        yield from _credentials_causes(evidence, said)
    else:
        yield _cause(
            "login_refused",
            "the server does not let the bot in",
            said,
            remedy="look at the log of nats-server",
        )


def is_full(limits: monitoring.Answer) -> bool:
    """Tell whether the server takes no more connections, by its /varz."""
    return bool(0 < limits.get("max_connections", 0) <= limits.get("connections", 0))


def full(
    symptom: Symptom, limits: monitoring.Answer, connections: tuple[monitoring.Answer, ...] | NotSeenError
) -> Cause:
    """Say that the server takes no more connections, and who has them."""
    names = Counter() if isinstance(connections, NotSeenError) else Counter(_name(each) for each in connections)
    owners = ", ".join(f"{name} ({count})" for name, count in names.most_common(_MOST_OWNERS))
    return Cause(
        symptom,
        "max_connections_reached",
        "the server has as many connections as it takes",
        (
            f"max_connections: {limits.get('max_connections', 'unknown')}, {limits.get('connections', 'unknown')} open",
            *([f"they are of {owners}"] if owners else []),
        ),
        "close those that nobody needs, or raise max_connections in nats_server_config",
    )


_MOST_OWNERS = 5


def _name(connection: monitoring.Answer) -> str:
    return monitoring.excerpt(str(connection.get("name") or "(no name)"))


def _credentials_causes(evidence: Evidence, said: str) -> Iterator[Cause]:
    if finds(_ask_secrets, evidence, Confidence.POSSIBLE):
        return
    path = evidence.described.secrets_file
    given = credentials.given_by(variables_of(evidence.secrets))
    accepted = _Accepted.of({} if isinstance(evidence.server, NotSeenError) else evidence.server)
    correct = f"{_DEPLOY}; then {evidence.described.restart}"
    wanted = ("token",) if accepted.token else ("user", "password")
    missing = [credentials.VARIABLES[name] for name in wanted if name not in given]
    if missing and (not given or ("token" not in given and not accepted.token)):
        yield _cause(
            "credentials_missing",
            "the server asks who the bot is, and the bot has no answer",
            said,
            f"{path}: expected {' and '.join(missing)}, found nothing",
            remedy=correct,
        )
    elif accepted.kinds and not accepted.kinds & given.keys():
        yield _cause(
            "credentials_kind",
            "the bot and the server use different ways to log in",
            said,
            f"{path} has {' and '.join(credentials.VARIABLES[name] for name in given)}, and the server wants "
            f"{' and '.join(credentials.VARIABLES[name] for name in wanted)}",
            remedy=f"set nats_server_credentials, from which both come; {correct}",
        )
    elif accepted.users and given.get("user") not in accepted.users:
        yield _cause(
            "user_unknown",
            "the server has no user of the name that the bot gives",
            said,
            f"{path}: {credentials.VARIABLES['user']} is {given.get('user')}; the server has "
            f"{', '.join(sorted(accepted.users))}",
            remedy=correct,
        )
    else:
        yield _cause(
            "credentials_refused",
            f"the server does not accept the bot's {'token' if 'token' in given else 'password'}",
            said,
            f"it stands in {path}",
            remedy=correct,
        )


@dataclass(frozen=True)
class _Accepted:
    """What the server's configuration lets in. users: their names, empty where these are not all known."""

    users: frozenset[str] = frozenset()
    token: bool = False

    @property
    def kinds(self) -> set[str]:
        """The credentials that can be right, of those that are known."""
        return ({"user"} if self.users else set()) | ({"token"} if self.token else set())

    @staticmethod
    def of(config: Mapping[str, t.Any]) -> _Accepted:
        """Read the configuration."""
        given = reading.canonical(config)
        blocks = [given.get("authorization"), *_values(given.get("accounts"))]
        known = [block for block in blocks if isinstance(block, Mapping)]
        users = [user for block in known for user in (block, *_items(block.get("users"))) if isinstance(user, Mapping)]
        names = frozenset(str(user["user"]) for user in users if "user" in user)
        return _Accepted(frozenset() if "operator" in given else names, any("token" in block for block in known))


def _values(value: t.Any) -> list[t.Any]:
    return list(value.values()) if isinstance(value, Mapping) else []


def _items(value: t.Any) -> list[t.Any]:
    return value if isinstance(value, list) else []


_FAILURES: Mapping[Step, Callable[[Evidence, Login], Iterable[Cause]]] = {
    Step.RESOLVE: _unresolved,
    Step.CONNECT: _unconnected,
    Step.GREET: _ungreeted,
    Step.ENCRYPT: _unencrypted,
    Step.LOG_IN: _not_let_in,
}


def _endpoints(evidence: Evidence) -> tuple[footprint.Endpoint, ...]:
    """Give where nats-server is to listen, as far as its configuration can be read."""
    if isinstance(evidence.server, NotSeenError):
        return ()
    try:
        return footprint.endpoints(evidence.server)
    except (TypeError, ValueError):
        return ()  # such as a port that a variable gives


def _clients(evidence: Evidence, listeners: Iterable[sockets.Listener]) -> sockets.Listener | None:
    """Give where nats-server really listens for clients."""
    ports = [each.port for each in _endpoints(evidence) if each.purpose == _CLIENTS]
    return next((each for each in listeners if each.socket.port in ports and _is_server(evidence, each)), None)


def _is_server(evidence: Evidence, listener: sockets.Listener) -> bool:
    """Tell whether nats-server listens there. The ports of a container another program holds for it."""
    if evidence.described.container:
        return listener.socket.port in [each.port for each in _endpoints(evidence)]
    return listener.command == _NATS_SERVER


# What is left where the server would let it in


def _ask_age(evidence: Evidence) -> Iterator[Cause]:
    unit, files = seen(evidence.unit), (evidence.secrets, evidence.section)
    running = evidence.running
    if running is None or _files_explain(evidence):
        return
    now = variables_of(evidence.secrets)
    path = str(evidence.described.secrets_file)
    stale = []
    if path in unit["EnvironmentFiles"]:
        names = (credentials.SERVER_VARIABLE, *credentials.VARIABLES.values())
        stale = [name for name in names if seen(running).get(name) != now.get(name)]
    newer = [str(file.path) for file in files if not isinstance(file, NotSeenError) and file.is_newer]
    if stale or newer:
        yield _cause(
            "bot_not_restarted",
            "the running bot has not read what its files say now",
            *(f"{each} was written since the bot was started" for each in newer),
            *([f"{', '.join(stale)} of the running bot differ from {path}"] if stale else []),
            remedy=evidence.described.restart,
            confidence=Confidence.CERTAIN if stale else Confidence.LIKELY,
        )


def _families_denied(value: str) -> bool:
    """Read RestrictAddressFamilies as systemctl shows it: what is allowed, or after a ~ what is not."""
    allowed = not value.startswith("~")
    return bool(value) and ("AF_INET" in value.lstrip("~").split()) is not allowed


# Properties of a unit, with what tells that no connection to a server is possible.
_CONFINING: Mapping[str, Callable[[str], bool]] = {
    "PrivateNetwork": lambda value: value == "yes",
    "NetworkNamespacePath": bool,
    "RestrictAddressFamilies": _families_denied,
    "IPAddressDeny": lambda value: "0.0.0.0/0" in value or "127.0.0.0/8" in value,
}


def _ask_confinement(evidence: Evidence) -> Iterator[Cause]:
    unit = seen(evidence.unit)
    found = [name for name, denies in _CONFINING.items() if denies(unit[name])]
    if found and not ("IPAddressDeny" in found and unit["IPAddressAllow"]):
        yield _cause(
            "bot_confined",
            "the bot's unit keeps the bot from the network, while others on this host reach the server",
            *(f"{name}={unit[name]} in {evidence.described.service}.service" for name in found),
            remedy=f"take {' and '.join(found)} out of the unit (systemctl cat {evidence.described.service}), then "
            f"systemctl daemon-reload and {evidence.described.restart}",
        )


def _ask_version(evidence: Evidence) -> Iterator[Cause]:
    for login in seen(evidence.logins):
        version = login.info.get("version")
        if version and version != evidence.described.version:
            yield _cause(
                "other_version",
                "another version of nats-server answers than the one that is described",
                f"{_shown(login)}: expected {evidence.described.version}, found {version}",
                remedy="deploy again, or see what else listens there",
                confidence=Confidence.POSSIBLE,
            )


QUESTIONS: tuple[Question[Evidence], ...] = (
    Question("the bot's section", _ask_section),
    Question("the bot's environment file", _ask_secrets),
    Question("the bot's service", _ask_service),
    Question(
        "the server lets the bot's login in",
        _ask_servers,
        below=(
            Question("the running bot has read its files", _ask_age),
            Question("the bot's unit allows the network", _ask_confinement),
            Question("the server's version", _ask_version),
        ),
    ),
)


def _cause(name: str, cause: str, *evidence: str, remedy: str, confidence: Confidence = Confidence.CERTAIN) -> Cause:
    return Cause(Symptom.BOT, name, cause, evidence, remedy, confidence)


def _source(evidence: Evidence) -> str:
    """Name where the bot has its servers from."""
    if variables_of(evidence.secrets).get(credentials.SERVER_VARIABLE):
        return f"{credentials.SERVER_VARIABLE} in {evidence.described.secrets_file}"
    return f"servers in {evidence.described.section_file}"


def _asked(evidence: Evidence, login: Login) -> str:
    return f"the bot asks {_shown(login)}, by {_source(evidence)}"


def _correct(evidence: Evidence) -> str:
    return f"correct {_source(evidence)}, or {_DEPLOY}; then {evidence.described.restart}"


def _shown(login: Login) -> str:
    return login.url.partition("://")[2]
