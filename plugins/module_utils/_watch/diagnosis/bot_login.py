# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the bot's own login at the server does not work."""

from __future__ import annotations

import ipaddress
import typing as t
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_expectation, credentials
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    sockets,
)
from ansible_collections.rosey.nats.plugins.module_utils._server import answers, certificates, http_reader, requirements
from ansible_collections.rosey.nats.plugins.module_utils._server.certificates import Certificate
from ansible_collections.rosey.nats.plugins.module_utils._server.login import Flaw, Login, Step
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import bot_files
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.bot_evidence import (
    Evidence,
    variables_of,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.bot_words import (
    DEPLOY,
    address_of,
    bot_cause,
    how_to_correct,
    source_of_servers,
    what_is_asked,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import (
    Cause,
    Confidence,
    NotSeenError,
    Symptom,
    finds,
    seen,
)


def ask_servers(evidence: Evidence) -> Iterator[Cause]:
    """Look at what each of its servers says to the bot's own login."""
    logins = seen(evidence.logins)
    if not any(login.succeeded for login in logins):
        for login in logins:
            yield from _FAILURES[login.failed](evidence, login)


def _unresolved(evidence: Evidence, login: Login) -> Iterator[Cause]:
    host = urlsplit(login.url).hostname
    yield bot_cause(
        "name_unknown",
        "the name of the bot's server means nothing on this host",
        f"{host}: {login.error}",
        f"it stands in {source_of_servers(evidence)}",
        remedy=f"correct {source_of_servers(evidence)}, or let {host} be known; then {evidence.described.restart}",
    )


def _unconnected(evidence: Evidence, login: Login) -> Iterator[Cause]:
    if not evidence.own_addresses.issuperset(login.addresses):
        yield bot_cause(
            "server_unreachable",
            "the bot's server is on another host, which does not answer",
            what_is_asked(evidence, login),
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
        return bot_cause(
            "port_mismatch",
            "the bot asks another port than the one on which nats-server listens",
            what_is_asked(evidence, login),
            str(clients),
            remedy=how_to_correct(evidence) if is_bots else f"deploy again, which gives nats-server port {login.port}",
        )
    return bot_cause(
        "nothing_listens",
        "nothing listens where the bot looks for its server",
        what_is_asked(evidence, login),
        f"nothing listens on port {login.port} of this host",
        remedy=f"{evidence.described.start_server}, or diagnose why it does not start: -e diagnose_symptom=server",
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
        return bot_cause(
            "connection_blocked",
            "a connection to the bot's server does not come about, though it listens",
            what_is_asked(evidence, login),
            found,
            login.error,
            remedy="look at the host's firewall, and at the load of the host",
        )
    return bot_cause(
        name,
        cause,
        what_is_asked(evidence, login),
        f"{urlsplit(login.url).hostname} means {', '.join(login.addresses)}",
        found,
        remedy=f"give both the same address: {how_to_correct(evidence)}",
    )


def _ungreeted(evidence: Evidence, login: Login) -> Iterator[Cause]:
    holders = [each for each in seen(evidence.listeners) if each.socket.port == login.port]
    asked = f"at {address_of(login)}: {login.error}"
    purpose = next((each.purpose for each in _endpoints(evidence) if each.port == login.port), "")
    if not any(_is_server(evidence, each) for each in holders):
        yield bot_cause(
            "not_nats",
            "what listens where the bot looks for its server is no NATS server",
            asked,
            *map(str, holders),
            remedy=f"{how_to_correct(evidence)}; or stop what listens there, and {evidence.described.start_server}",
        )
    elif purpose not in ("", bot_files.CLIENTS):
        yield bot_cause(
            "port_mismatch",
            "the bot asks another port than the one on which nats-server listens for clients",
            what_is_asked(evidence, login),
            f"port {login.port} of nats-server serves {purpose}",
            remedy=how_to_correct(evidence),
        )
    elif shown := _certificate(evidence, login):
        yield bot_cause(
            "tls_first",
            "the server waits for TLS, and the bot for the server's greeting",
            asked,
            f"met with TLS, it shows the certificate of {shown.shown}",
            remedy="give the bot tls_handshake_first (bot_config_nats), or take handshake_first out of tls in "
            f"nats_server_config; deploy, then {evidence.described.restart}",
        )
    else:
        yield bot_cause(
            "server_silent",
            "nats-server takes the connection and says nothing",
            asked,
            *map(str, holders),
            remedy="diagnose the server: -e diagnose_symptom=server; where it has handshake_first, give the bot "
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
        "the server's certificate has expired",
        "renew the certificate, and let the server read it",
    ),
    Flaw.NOT_YET: (
        "tls_not_yet",
        "the server's certificate is not valid yet",
        "look at the clocks of this host and of who issued it (timedatectl), or wait",
    ),
}


def _certificate(evidence: Evidence, login: Login) -> Certificate | None:
    """Give what is shown where a login failed, as far as it could be seen."""
    served = evidence.certificates.get(login.url)
    return served.shown if served and isinstance(served.shown, Certificate) else None


def _dates(evidence: Evidence, login: Login) -> Iterator[str]:
    shown = _certificate(evidence, login) if login.flaw in (Flaw.EXPIRED, Flaw.NOT_YET) else None
    if shown:
        since, until = certificates.shown(shown.not_before), certificates.shown(shown.not_after)
        now = certificates.shown(evidence.certificates[login.url].now)
        yield f"it is valid from {since} until {until}, and it is {now} by the clock of this host"


def _unencrypted(evidence: Evidence, login: Login) -> Iterator[Cause]:
    if login.url in evidence.greets:
        yield bot_cause(
            "tls_not_first",
            "the bot begins with TLS, and the server greets in the clear",
            f"at {address_of(login)}: {login.error}",
            f"tls_handshake_first stands in {evidence.described.section_file}",
            remedy="take tls_handshake_first out of bot_config_nats, or give the server tls with handshake_first in "
            f"nats_server_config; deploy, then {evidence.described.restart}",
        )
        return
    name, cause, remedy = _CERTIFICATES[login.flaw]
    is_for = [f"it is for {', '.join(login.names)}"] if login.names else []
    evidences = (f"the certificate at {address_of(login)}: {login.error}", *is_for, *_dates(evidence, login))
    yield bot_cause(name, cause, *evidences, remedy=f"{remedy}; then {evidence.described.restart}")


def _not_let_in(evidence: Evidence, login: Login) -> Iterator[Cause]:
    said = f"nats-server at {address_of(login)}: {login.error}"
    limits = {} if isinstance(evidence.limits, NotSeenError) else evidence.limits
    words = login.error.lower()
    # The server closes at once, which may overtake its words.
    if "maximum connections exceeded" in words or is_full(limits):
        yield full(Symptom.BOT, limits, evidence.connections)
    elif "control line exceeded" in words:
        yield bot_cause(
            "control_line_too_short",
            "the server takes shorter lines than the bot's login has",
            said,
            f"max_control_line: {limits.get('max_control_line', 'unknown')}",
            remedy="raise max_control_line in nats_server_config; 4096 is the server's default",
        )
    elif "authorization violation" in words:
        yield from _credentials_causes(evidence, said)
    else:
        yield bot_cause(
            "login_refused",
            "the server does not let the bot in",
            said,
            remedy="look at the log of nats-server",
        )


def is_full(limits: answers.Answer) -> bool:
    """Tell whether the server takes no more connections, by its /varz."""
    return bool(0 < limits.get("max_connections", 0) <= limits.get("connections", 0))


def full(symptom: Symptom, limits: answers.Answer, connections: tuple[answers.Answer, ...] | NotSeenError) -> Cause:
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


def _name(connection: answers.Answer) -> str:
    return http_reader.excerpt(str(connection.get("name") or "(no name)"))


def _credentials_causes(evidence: Evidence, said: str) -> Iterator[Cause]:
    if finds(bot_files.ask_secrets, evidence, Confidence.POSSIBLE):
        return
    path = evidence.described.secrets_file
    given = credentials.given_by(variables_of(evidence.secrets))
    accepted = _Accepted.of({} if isinstance(evidence.server, NotSeenError) else evidence.server)
    correct = f"{DEPLOY}; then {evidence.described.restart}"
    wanted = ("token",) if accepted.token else ("user", "password")
    missing = [credentials.VARIABLES[name] for name in wanted if name not in given]
    if missing and (not given or ("token" not in given and not accepted.token)):
        yield bot_cause(
            "credentials_missing",
            "the server asks who the bot is, and the bot has no answer",
            said,
            f"{path}: expected {' and '.join(missing)}, found nothing",
            remedy=correct,
        )
    elif accepted.kinds and not accepted.kinds & given.keys():
        yield bot_cause(
            "credentials_kind",
            "the bot and the server use different ways to log in",
            said,
            f"{path} has {' and '.join(credentials.VARIABLES[name] for name in given)}, and the server wants "
            f"{' and '.join(credentials.VARIABLES[name] for name in wanted)}",
            remedy=f"set nats_server_credentials, from which both come; {correct}",
        )
    elif accepted.users and given.get("user") not in accepted.users:
        yield bot_cause(
            "user_unknown",
            "the server has no user of the name that the bot gives",
            said,
            f"{path}: {credentials.VARIABLES['user']} is {given.get('user')}; the server has "
            f"{', '.join(sorted(accepted.users))}",
            remedy=correct,
        )
    else:
        yield bot_cause(
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


def _endpoints(evidence: Evidence) -> tuple[requirements.Endpoint, ...]:
    """Give where nats-server is to listen, as far as its configuration can be read."""
    if isinstance(evidence.server, NotSeenError):
        return ()
    try:
        return requirements.endpoints(evidence.server)
    except (TypeError, ValueError):
        return ()  # such as a port that a variable gives


def _clients(evidence: Evidence, listeners: Iterable[sockets.Listener]) -> sockets.Listener | None:
    """Give where nats-server really listens for clients."""
    ports = [each.port for each in _endpoints(evidence) if each.purpose == bot_files.CLIENTS]
    return next((each for each in listeners if each.socket.port in ports and _is_server(evidence, each)), None)


def _is_server(evidence: Evidence, listener: sockets.Listener) -> bool:
    """Tell whether nats-server listens there. The ports of a container another program holds for it."""
    if evidence.described.container:
        return listener.socket.port in [each.port for each in _endpoints(evidence)]
    return listener.command == bot_files.NATS_SERVER
