# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether each client of the bus may do what was compiled for it, and nothing else: asked of the server as that client.

What is tried and has to be refused carries a name of its own, by which the server's log tells it from a fault.
"""

from __future__ import annotations

import json
import socket
import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._bot import credentials
from ansible_collections.rosey.nats.plugins.module_utils._host import redaction
from ansible_collections.rosey.nats.plugins.module_utils._host.gate import Finding
from ansible_collections.rosey.nats.plugins.module_utils._server import conditions, http_reader, login, subjects

NAME = "rosey-gate"
_ASK_OF_ITSELF = "$SYS.REQ.USER.INFO"
_KICK = "$SYS.REQ.SERVER.{}.KICK"
# So that a server with a limit of connections has some left for everybody else.
_AT_ONCE = 2
# How often a client asks for what it may do. Each server of a cluster answers, those that it is not connected to
# without its permissions, and only the first answer arrives (userInfoReq in server/events.go), which is another one's
# once in 20 to 100 times.
_MOST_QUESTIONS = 20
# How often one that says nothing is asked: that of a cluster which had just begun has left an answer out.
_ATTEMPTS = 3
# A token of the subjects that are tried in vain.
PROOF = "_proof"
_ACCOUNTS = {credentials.SYSTEM: "$SYS"}
_DEFAULT_ACCOUNT = "$G"
_RULES = ("publish", "subscribe")
_NOTHING: Mapping[str, Sequence[str]] = dict.fromkeys(_RULES, ())
_MOST_RULES = 10
# Characters that are shown of one.
_LONGEST_RULE = 1000


@dataclass(frozen=True)
class Server:
    """Where clients log in. urls: with their ports; the first that can be reached is asked. seconds: for each step."""

    urls: Sequence[str]
    trust: login.Trust
    seconds: float


@dataclass(frozen=True)
class Client:
    """A client to log in as. login: options of connect() of nats-py, with the seed of a key itself.

    permissions: as the server's configuration has them. tried: by publish and subscribe, the subjects that have to be
    refused to it.
    """

    name: str
    login: Mapping[str, str]
    permissions: Mapping[str, t.Any]
    tried: Mapping[str, Sequence[str]]


def not_for(name: str, permissions: Mapping[str, t.Any], prefixes: Iterable[str]) -> dict[str, list[str]]:
    """Choose what a client is to try in vain: of each prefix one subject that no rule of it allows.

    Of a client that may do everything, there is none. prefixes: its own, and that of another environment.
    """
    if not permissions:
        return {rule: [] for rule in _RULES}
    candidates = [subjects.SEPARATOR.join((prefix, PROOF, name)) for prefix in prefixes]
    return {
        rule: [
            subject
            for subject in candidates
            if not any(subjects.covers(allowed, subject) for allowed in permissions[rule].get("allow", ()))
        ]
        for rule in _RULES
    }


def clients_of(config: Mapping[str, t.Any]) -> dict[str, str]:
    """Name the clients that have a credential of their own, by the user or key that the server knows them by.

    config: the server's. One that may do everything is not among them, for it is known by the inbox that it may hear.
    """
    block = config.get("authorization")
    users = block.get("users") if isinstance(block, Mapping) else None
    found = {}
    for user in users if isinstance(users, list) else ():
        rules = _mapping(_mapping(_mapping(user).get("permissions")).get("subscribe"))
        allowed = rules.get("allow")
        for subject in allowed if isinstance(allowed, list) else ():
            tokens = str(subject).split(subjects.SEPARATOR)
            if tokens[-3:-2] == [subjects.INBOX] and tokens[-1] == subjects.FULL_WILDCARD:
                found[str(user.get("user") or user.get("nkey"))] = tokens[-2]
    return found


def _mapping(value: t.Any) -> Mapping[str, t.Any]:
    return value if isinstance(value, Mapping) else {}


def prove(server: Server, clients: Sequence[Client]) -> list[Finding]:
    """Log in as each client and say what is otherwise than it was compiled."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [finding for found in pool.map(lambda client: [*_look(server, client)], clients) for finding in found]


def call_back(server: Server, system: Client, server_id: str, connections: Sequence[Mapping[str, t.Any]]) -> list[str]:
    """Have a server end connections of /connz, so that these clients connect again; name those that it ended.

    system: the client that may ask for it (server/events.go, kickClient). One that has gone by itself is not named.
    """
    ended = []
    for connection in connections:
        try:
            with _session(server, server.urls[0], system) as session:
                asked = json.dumps({"cid": connection["cid"]})
                answer, _refused = session.ask(_KICK.format(server_id), _inbox(system), payload=asked)
            if "error" not in _mapping(json.loads(answer)):
                ended.append(conditions.client_name(connection))
        except (login.LoginError, OSError, ValueError):
            continue
    return ended


def _look(server: Server, client: Client) -> Iterator[Finding]:
    what = f"client {client.name}"
    try:
        answer, refused = _patient_trial(server, client)
    except (login.LoginError, OSError, ValueError) as error:
        found = f"no answer: {http_reader.excerpt(_reason(error))}"
        yield Finding(what, "a login and what it may do", found, _remedy(client, error))
        return
    info = _mapping(answer.get("data"))
    account = _ACCOUNTS.get(client.name, _DEFAULT_ACCOUNT)
    if info.get("account") != account:
        remedy = "look for another user of this name in the server's configuration"
        yield Finding(what, f"account {account}", http_reader.excerpt(str(info.get("account"))), remedy)
    meant, has = client.permissions, _mapping(info.get("permissions"))
    # the server has three
    for rule in sorted({*meant, *has})[:_MOST_RULES]:
        if _sorted(meant.get(rule)) != _sorted(has.get(rule)):
            remedy = "deploy again; if this stays, look at the server's log for why it did not take its configuration"
            yield Finding(
                f"{what}: {http_reader.excerpt(rule)}", _shown(meant.get(rule)), _shown(has.get(rule)), remedy
            )
    for rule in _RULES:
        for subject in client.tried[rule]:
            if not any(_is_of(words, rule, subject) for words in refused):
                remedy = "look at who else is let in by the server's configuration, and deploy again"
                yield Finding(f"{what}: {rule}", f"{subject} refused", "allowed", remedy)


def _patient_trial(server: Server, client: Client) -> tuple[Mapping[str, t.Any], list[str]]:
    """Do what _trial does, again where all that is wrong is silence; likewise."""
    for _attempt in range(_ATTEMPTS - 1):
        try:
            return _trial(server, client)
        except (login.LoginError, OSError) as error:
            if not _is_silence(error):
                raise
    return _trial(server, client)


def _trial(server: Server, client: Client) -> tuple[Mapping[str, t.Any], list[str]]:
    """Ask the server what a client may do, and try what it may not; LoginError, OSError, ValueError."""
    *others, last = server.urls
    for url in others:
        try:
            return _ask(server, url, client)
        except login.LoginError as error:
            # only one that is not there has a stand-in
            if error.login.failed not in (login.Step.RESOLVE, login.Step.CONNECT):
                raise
    return _ask(server, last, client)


def _ask(server: Server, url: str, client: Client) -> tuple[Mapping[str, t.Any], list[str]]:
    refused: list[str] = []
    with _session(server, url, client) as session:
        for tried in (client.tried, *[_NOTHING] * (_MOST_QUESTIONS - 1)):
            said, now = session.ask(
                _ASK_OF_ITSELF, _inbox(client), publish=tried["publish"], subscribe=tried["subscribe"]
            )
            refused += now
            answer = _answer(said)
            who = _mapping(answer.get("server")).get("id")
            if not who or who == session.login.info.get("server_id"):
                return answer, refused
    raise ConnectionError("only other servers of its cluster answer")


def _session(server: Server, url: str, client: Client) -> AbstractContextManager[login.Session]:
    return login.session(url, client.login, server.trust, name=NAME, seconds=server.seconds)


def _inbox(client: Client) -> str:
    return subjects.SEPARATOR.join((client.login.get("inbox_prefix", subjects.INBOX), PROOF))


def _answer(said: bytes) -> Mapping[str, t.Any]:
    """Read what a server says that a client may do, and who it is itself; ValueError."""
    try:
        return _mapping(json.loads(said))
    except RecursionError:
        raise ValueError("its answer is nested too deep") from None


def _is_silence(error: Exception) -> bool:
    """Tell whether a server that greets says nothing more."""
    reason: BaseException | None = error
    if isinstance(error, login.LoginError):
        reason = error.__cause__ if error.login.failed is login.Step.LOG_IN else None
    return isinstance(reason, (TimeoutError, socket.timeout))  # two before Python 3.10


_REMEDIES = {
    login.Step.RESOLVE: "let this host know the name, or correct the bot's servers",
    login.Step.CONNECT: "see that the server runs and listens there",
    # the server closes a connection on which TLS does not begin as it expects
    login.Step.GREET: "look for TLS in the server's log, and whether clients begin with the handshake as it wants it",
    login.Step.ENCRYPT: "look at the server's certificate, and at whom the bot trusts",
}


_BUSY = "see what keeps the server: its log, and the load of its host; then deploy again"


def _remedy(client: Client, error: Exception) -> str:
    if _is_silence(error):
        return _BUSY
    credential = f"deploy again, so that the server and the file of {client.name} have the same credential"
    return _REMEDIES.get(error.login.failed, credential) if isinstance(error, login.LoginError) else credential


def _reason(error: Exception) -> str:
    return error.login.error if isinstance(error, login.LoginError) else str(error) or type(error).__name__


def _is_of(words: str, rule: str, subject: str) -> bool:
    kind = {"publish": "publish", "subscribe": "subscription"}[rule]
    lowered = words.lower()
    return f"for {kind} to" in lowered and f'"{subject.lower()}"' in lowered


def _sorted(rule: t.Any) -> t.Any:
    if not isinstance(rule, Mapping):
        return rule or {}
    return {name: sorted(value, key=str) if isinstance(value, list) else value for name, value in rule.items()}


def _shown(rule: t.Any) -> str:
    if not rule:
        return "no rule"
    text = "; ".join(
        f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in (rule.items() if isinstance(rule, Mapping) else [("none, but", rule)])
    )
    return redaction.readable(text[:_LONGEST_RULE])
