# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import sockets
from ansible_collections.rosey.nats.plugins.module_utils._server.login import Flaw, Login, Step
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import bot
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.bot_evidence import (
    Client,
    Described,
    Evidence,
    File,
    variables_of,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.evidence import Unit
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.refusals import Refused, ServerLog
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import Cause, Confidence, NotSeenError

URL = "nats://localhost:4222"
SECTION = """nats:
  servers: ["nats://localhost:4222"]
  name: rosey-bot-prod
  ping_interval: 60
  prefix: rosey.prod
"""
SECRET = "hunter2"
SECRETS = f'NATS_USER="rosey"\nNATS_PASSWORD="{SECRET}"\n'
ADDRESSES = ("127.0.0.1", "::1")
GONE = NotSeenError("it", "it is gone", "bring it back")
DESCRIBED = Described(
    environment="production",
    prefix="rosey.prod",
    home=Path("/opt/rosey-bot"),
    service="cytube-bot",
    account="rosey",
    servers=(URL,),
    client_name="rosey-bot-prod",
    health_url="http://localhost:8000/api/health",
    monitoring_url="http://127.0.0.1:8222",
    version="2.10.7",
)
UNIT = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "MainPID": "7",
    "NRestarts": "0",
    "PrivateNetwork": "no",
    "RestrictAddressFamilies": "~",
    "EnvironmentFiles": f"{DESCRIBED.secrets_file} (ignore_errors=yes)",
    "ExecStart": "{ path=/opt/rosey-bot/venv/bin/python ; argv[]=/opt/rosey-bot/venv/bin/python -m rosey_bot }",
}
TELLS = {"status": "connected", "nats": {"connected": True, "server": URL, "subjects": 7}}
CONFIG: dict[str, Any] = {"host": "127.0.0.1", "port": 4222, "authorization": {"users": [{"user": "rosey"}]}}

# systemd 252, as it wrote it
NOT_APPLIED = (
    "x.service: Failed to set up user namespacing: EPERM",
    "x.service: Failed at step USER spawning /x: EPERM",
)


def unit(*said: str, **changes: str) -> Unit:
    return Unit("cytube-bot", {**UNIT, **changes}, said)


def section(text: str = SECTION, **facts: Any) -> File:
    return File(DESCRIBED.section_file, text.encode(), **facts)


def secrets(text: str | None = SECRETS, **facts: Any) -> File:
    return File(DESCRIBED.secrets_file, None if text is None else text.encode(), **facts)


def listener(address: str, port: int = 4222, command: str = "nats-server") -> sockets.Listener:
    return sockets.Listener(sockets.Socket(ipaddress.ip_address(address), port, 0, 1), "nats", (5,), command)


def login(failed: Step = Step.DONE, error: str = "", **facts: Any) -> Login:
    return Login(**{"url": URL, "addresses": ADDRESSES, "failed": failed, "error": error, **facts})


# All is well, but that the bot says it is not connected.
SEEN = Evidence(
    described=DESCRIBED,
    told={"nats": {"connected": False, "server": URL, "subjects": 0}},
    connections=(),
    limits={"max_connections": 200, "connections": 3, "max_control_line": 4096},
    unit=unit(),
    section=section(),
    secrets=secrets(),
    running={"NATS_USER": "rosey", "NATS_PASSWORD": SECRET},
    listeners=(listener("127.0.0.1"), listener("127.0.0.1", 8222)),
    server=CONFIG,
    logins=(login(),),
    own_addresses=frozenset(ADDRESSES),
)
REFUSED = login(Step.LOG_IN, "Authorization Violation")
DOWN = login(Step.CONNECT, "127.0.0.1: Connection refused")
CONTAINED = {
    "described": replace(DESCRIBED, container="nats"),
    "listeners": tuple(listener("127.0.0.1", port, "docker-proxy") for port in (80, 4222)),
}


def found(evidence: Evidence) -> list[tuple[str, str]]:
    """Give the causes by name, each with the rest of it as a text, in which no secret may be."""
    causes = bot.diagnosis(evidence).causes
    for cause in causes:
        assert cause.evidence
        assert cause.remedy
        assert SECRET not in repr(cause)
    return [(cause.name, text(cause)) for cause in causes]


def text(cause: Cause) -> str:
    return f"{cause.confidence.name.lower()}: {'; '.join(cause.evidence)}; {cause.remedy}"


def seen(**changes: Any) -> Evidence:
    return replace(SEEN, **changes)


def test_what_nothing_explains_is_said_to_be_so() -> None:
    assert found(SEEN) == [
        ("bot_not_connected", "likely: it tells so itself; look at the log of the bot: journalctl -u cytube-bot")
    ]


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        # what it reads
        ({"section": replace(section(), content=None)}, "bot_file_missing", "config.yaml"),
        ({"section": section(forbidden=DESCRIBED.section_file)}, "bot_file_unreadable", "rosey may not read"),
        ({"section": section(forbidden=Path("/opt"))}, "bot_file_unreadable", "it is stopped at /opt;"),
        ({"section": section("nats: [")}, "bot_file_broken", "config.yaml: line 1 is no YAML"),
        ({"section": section("- nats")}, "bot_file_broken", "config.yaml: its top level is no mapping"),
        ({"section": section("channel: c\n")}, "section_missing", "expected nats:"),
        ({"section": section("nats:\n")}, "section_missing", "expected nats:"),
        ({"section": section("nats: {name: n}\n")}, "prefix_missing", "expected rosey.prod, found nothing"),
        ({"section": section(f"{SECTION}  ping_intervall: 3\n")}, "option_unknown", "the nearest is ping_interval;"),
        (
            {"section": section(f"{SECTION}  verbose: 1\n")},
            "option_wrong",
            "nats.verbose: expected true or false, found 1",
        ),
        (
            {"section": section(f"nats: {{prefix: p, servers: {{a: 'nats://u:{SECRET}@h'}}}}\n")},
            "option_wrong",
            "nats.servers",
        ),
        ({"secrets": secrets('NATS_USER="rosey\n')}, "secrets_broken", "line 1: its quote is not closed"),
        ({"secrets": secrets("export NATS_TOKEN=x\n")}, "secrets_misread", "NATS_TOKEN"),
        ({"secrets": secrets("NATS_USER+=x\n")}, "secrets_misread", "NATS_USER"),
        # its service
        ({"unit": unit(LoadState="not-found")}, "bot_unit_missing", "cytube-bot.service"),
        ({"unit": unit(LoadState="masked")}, "bot_unit_masked", "systemctl unmask cytube-bot"),
        (
            {"unit": replace(unit(), broken="It has no ExecStart=.")},
            "bot_unit_broken",
            "systemd says: It has no ExecSt",
        ),
        ({"unit": unit(ActiveState="inactive", MainPID="0"), "running": None}, "bot_stopped", "certain"),
        (
            {"unit": unit("x", *NOT_APPLIED, ActiveState="failed", MainPID="0", ExecMainStatus="217")},
            "bot_dies",
            "its last words: x.service: Failed to set up user namespacing: EPERM; its last words: x.service: Failed at "
            "step USER spawning /x: EPERM; take out of its unit what this host can't apply",
        ),
        (
            {"unit": unit("a", "b", ActiveState="failed", MainPID="0", Result="exit-code", ExecMainStatus="1")},
            "bot_dies",
            "certain: cytube-bot.service: exit-code, status 1; its last words: b;",
        ),
        ({"unit": unit(SubState="auto-restart", MainPID="0", ExecMainStatus="1")}, "bot_dies", "certain"),
        ({"unit": unit(NRestarts="2")}, "bot_dies", "likely"),
        (
            {"unit": unit(ActiveState="failed", MainPID="0", ExecMainStatus="203")},
            "bot_dies",
            "can't execute /opt/rosey-bot/venv/bin/python",
        ),
        (
            {"unit": unit("ModuleNotFoundError: No module named 'nats'", NRestarts="1")},
            "library_missing",
            "certain: its last words: ModuleNotFoundError: No module named 'nats'; install nats",
        ),
        # what its servers answer
        ({"logins": (login(Step.RESOLVE, "unknown", addresses=()),)}, "name_unknown", "localhost: unknown"),
        ({"logins": (DOWN,), "own_addresses": frozenset()}, "server_unreachable", "127.0.0.1: Connection refused"),
        ({"logins": (DOWN,), "listeners": ()}, "nothing_listens", "nothing listens on port 4222"),
        ({"logins": (DOWN,), "listeners": (listener("127.0.0.1", 8222),)}, "nothing_listens", "systemctl start nats"),
        (
            {"logins": (DOWN,), "listeners": (listener("127.0.0.1", 4333),), "server": {**CONFIG, "port": 4333}},
            "port_mismatch",
            "listens on 127.0.0.1:4333; deploy again, which gives nats-server port 4222",
        ),
        (
            {"logins": (replace(DOWN, url="nats://localhost:4223"),)},
            "port_mismatch",
            "the bot asks localhost:4223, by servers in /opt/rosey-bot/environments/production/config.yaml",
        ),
        (
            {"logins": (DOWN,), "listeners": (listener("10.0.0.1"),)},
            "address_mismatch",
            "localhost means 127.0.0.1, ::1",
        ),
        (
            {"logins": (replace(DOWN, addresses=("::1",)),)},
            "address_family",
            "localhost means ::1; nats-server (process 5 of user nats) listens on 127.0.0.1:4222",
        ),
        ({"logins": (DOWN,)}, "connection_blocked", "firewall"),
        ({"logins": (DOWN,), "listeners": (listener("::"),)}, "connection_blocked", "firewall"),
        (
            {"logins": (login(Step.GREET, "timed out"),), "listeners": (listener("127.0.0.1", command="nginx"),)},
            "not_nats",
            "nginx (process 5 of user nats) listens on 127.0.0.1:4222",
        ),
        # what a container listens on another program holds for it
        (
            {**CONTAINED, "logins": (login(Step.GREET, "timed out"),)},
            "server_silent",
            "likely: at localhost:4222: timed out; docker-proxy (process 5 of user nats) listens on 127.0.0.1:4222;",
        ),
        (
            {**CONTAINED, "logins": (login(Step.GREET, "timed out", url="nats://localhost:80"),)},
            "not_nats",
            "docker-proxy (process 5 of user nats) listens on 127.0.0.1:80;",
        ),
        (
            {**CONTAINED, "logins": (replace(DOWN, url="nats://localhost:4223"),)},
            "port_mismatch",
            "docker-proxy (process 5 of user nats) listens on 127.0.0.1:4222;",
        ),
        ({"logins": (login(Step.GREET, "timed out"),)}, "server_silent", "likely"),
        ({"logins": (login(Step.GREET, "timed out"),), "server": GONE}, "server_silent", "likely"),
        (
            {
                "logins": (login(Step.GREET, "timed out", url="nats://localhost:8222"),),
                "server": {**CONFIG, "http_port": 8222},
            },
            "port_mismatch",
            "certain: the bot asks localhost:8222, by servers in /opt/rosey-bot/environments/production/config.yaml; "
            "port 8222 of nats-server serves monitoring; correct servers in",
        ),
        (
            {"logins": (login(Step.ENCRYPT, "e", flaw=Flaw.UNTRUSTED),)},
            "tls_untrusted",
            "localhost:4222: e; let the bot trust",
        ),
        ({"logins": (login(Step.ENCRYPT, "e", flaw=Flaw.NAME, names=("a", "b")),)}, "tls_name", "it is for a, b;"),
        ({"logins": (login(Step.ENCRYPT, "e", flaw=Flaw.EXPIRED),)}, "tls_expired", "renew the certificate"),
        ({"logins": (login(Step.ENCRYPT, "e", flaw=Flaw.NOT_YET),)}, "tls_not_yet", "clocks"),
        ({"logins": (login(Step.ENCRYPT, "e"),), "greets": frozenset({URL})}, "tls_not_first", "tls_handshake_first"),
        ({"logins": (login(Step.ENCRYPT, "no shared cipher"),)}, "tls_failed", "no shared cipher"),
        (
            {
                "logins": (login(Step.LOG_IN, "the other side ended the connection"),),
                "limits": {"max_connections": 2, "connections": 2},
                "connections": ({"name": "crowd"}, {"name": "crowd"}, {}),
            },
            "max_connections_reached",
            "certain: max_connections: 2, 2 open; they are of crowd (2), (no name) (1);",
        ),
        ({"logins": (login(Step.LOG_IN, "maximum connections exceeded"),)}, "max_connections_reached", "200, 3 open"),
        (
            {"logins": (login(Step.LOG_IN, "maximum control line exceeded"),), "limits": {"max_control_line": 64}},
            "control_line_too_short",
            "max_control_line: 64",
        ),
        ({"logins": (login(Step.LOG_IN, "Authentication Timeout"),)}, "login_refused", "Authentication Timeout"),
        (
            {"logins": (REFUSED,)},
            "credentials_refused",
            "it stands in /opt/rosey-bot/environments/production/secrets.env",
        ),
        ({"logins": (REFUSED,), "secrets": secrets(None)}, "credentials_missing", "NATS_USER and NATS_PASSWORD"),
        (
            {"logins": (REFUSED,), "secrets": secrets("NATS_USER=rosey\n")},
            "credentials_missing",
            "expected NATS_PASSWORD,",
        ),
        (
            {"logins": (REFUSED,), "secrets": secrets(None), "server": {"authorization": {"token": "t"}}},
            "credentials_missing",
            "expected NATS_TOKEN, found nothing",
        ),
        (
            {"logins": (REFUSED,), "server": {"authorization": {"token": "t"}}},
            "credentials_kind",
            "has NATS_USER and NATS_PASSWORD, and the server wants NATS_TOKEN",
        ),
        (
            {"logins": (REFUSED,), "secrets": secrets(f"NATS_TOKEN={SECRET}\n")},
            "credentials_kind",
            "has NATS_TOKEN, and the server wants NATS_USER and NATS_PASSWORD",
        ),
        (
            {
                "logins": (REFUSED,),
                "secrets": secrets(f"NATS_TOKEN={SECRET}\n"),
                "server": {"authorization": {"token": 1}},
            },
            "credentials_refused",
            "certain",
        ),
        (
            {"logins": (REFUSED,), "server": {"authorization": {"user": "a", "password": "p"}}},
            "user_unknown",
            "NATS_USER is rosey; the server has a",
        ),
        (
            {"logins": (REFUSED,), "server": {"accounts": {"A": {"users": [{"user": "b"}]}}}},
            "user_unknown",
            "the server has b",
        ),
        ({"logins": (REFUSED,), "server": {"operator": "o"}}, "credentials_refused", "certain"),
        ({"logins": (REFUSED,), "server": GONE}, "credentials_refused", "certain"),
        (
            {"logins": (REFUSED,), "server": {**CONFIG, "authorization": {"user": "a"}, "operator": "o"}},
            "credentials_refused",
            "certain",
        ),
        # where not all was seen
        (
            {"unit": Unit("cytube-bot", {**UNIT, "NRestarts": "1"}, GONE)},
            "bot_dies",
            "likely: cytube-bot.service: success",
        ),
        ({"logins": (REFUSED,), "limits": GONE}, "credentials_refused", "certain"),
        (
            {"logins": (login(Step.LOG_IN, "maximum connections exceeded"),), "connections": GONE},
            "max_connections_reached",
            "200, 3 open; close",
        ),
        ({"logins": (DOWN,), "listeners": (), "server": GONE}, "nothing_listens", "certain"),
        ({"logins": (DOWN,), "listeners": (), "server": {"port": {"$variable": "PORT"}}}, "nothing_listens", "certain"),
        # what is left
        ({"running": {"NATS_USER": "rosey", "NATS_PASSWORD": "old"}}, "bot_not_restarted", "certain: NATS_PASSWORD of"),
        ({"secrets": secrets(is_newer=True)}, "bot_not_restarted", "likely: /opt/rosey-bot/environments/production/se"),
        ({"section": section(is_newer=True)}, "bot_not_restarted", "config.yaml was written since"),
        ({"unit": unit(PrivateNetwork="yes")}, "bot_confined", "PrivateNetwork=yes in cytube-bot.service"),
        ({"unit": unit(RestrictAddressFamilies="AF_UNIX")}, "bot_confined", "RestrictAddressFamilies=AF_UNIX"),
        ({"unit": unit(RestrictAddressFamilies="~AF_INET")}, "bot_confined", "RestrictAddressFamilies=~AF_INET"),
        ({"unit": unit(IPAddressDeny="::/0 0.0.0.0/0")}, "bot_confined", "IPAddressDeny=::/0 0.0.0.0/0"),
        # where the rest can't tell
        ({"told": GONE}, "bot_not_connected", "the server has no connection of it"),
        # another application's answer, and the guide's without a word on NATS
        ({"told": {"detail": "Not Found"}}, "bot_not_connected", "the server has no connection of it"),
        ({"told": {"nats": {"connected": "yes"}}}, "bot_not_connected", "the server has no connection of it"),
        ({"unit": unit("x", "y")}, "bot_not_connected", "its last words: y;"),
    ],
)
def test_a_cause_is_named(changes: dict[str, Any], name: str, said: str) -> None:
    causes = found(seen(**changes))
    assert [each for each, _text in causes] == [name]
    assert said in causes[0][1]


@pytest.mark.parametrize(
    "changes",
    [
        {"section": section("channel: c\nnats:\n  prefix: rosey.prod\n")},
        {"secrets": secrets(f"# export NATS_TOKEN=x\n{SECRETS}")},
        {"secrets": secrets(f"{SECRETS}export OTHER=x\n")},
        {"logins": (DOWN, login())},
        {"unit": unit(RestrictAddressFamilies="AF_UNIX AF_INET AF_INET6")},
        {"unit": unit(RestrictAddressFamilies="~AF_NETLINK")},
        {"unit": unit(IPAddressDeny="0.0.0.0/0", IPAddressAllow="127.0.0.0/8")},
        {"unit": unit(IPAddressDeny="10.0.0.0/8")},
        {"unit": unit(EnvironmentFiles=""), "running": {}},
        # a process of its own, of which systemd knows nothing
        {"unit": Unit("", {"LoadState": "loaded", "ActiveState": "active", "MainPID": "7"})},
        {"running": {"NATS_USER": "rosey", "NATS_PASSWORD": SECRET, "PATH": "/bin"}},
        {"secrets": secrets(f"{SECRETS}NATS_SERVER={URL}\n"), "unit": unit(EnvironmentFiles="")},
    ],
)
def test_what_is_no_cause_is_not_named(changes: dict[str, Any]) -> None:
    assert [name for name, _text in found(seen(**changes))] == ["bot_not_connected"]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"section": section("nats: ["), "logins": (REFUSED,)}, ["bot_file_broken", "credentials_refused"]),
        # the consequence of the first is not told
        ({"section": section("nats: ["), "unit": unit(ActiveState="failed")}, ["bot_file_broken"]),
        ({"secrets": secrets("export NATS_PASSWORD=x\n"), "logins": (REFUSED,)}, ["secrets_misread"]),
        ({"logins": (DOWN, REFUSED), "listeners": ()}, ["nothing_listens", "credentials_refused"]),
        # the surer one comes first
        (
            {"section": section(f"{SECTION}  verbose: 1\n"), "unit": unit(ActiveState="inactive")},
            ["bot_stopped", "option_wrong"],
        ),
        ({"unit": GONE}, ["bot_not_connected", "not_seen"]),
        ({"unit": GONE, "logins": (REFUSED,)}, ["credentials_refused", "not_seen"]),
        ({"section": GONE, "told": GONE, "connections": GONE}, ["not_seen"]),
        ({"logins": (replace(login(), info={"version": "2.9.0"}),)}, ["bot_not_connected", "other_version"]),
        ({"logins": GONE, "running": {}}, ["bot_not_restarted", "not_seen"]),
    ],
)
def test_what_comes_first(changes: dict[str, Any], names: list[str]) -> None:
    assert [name for name, _text in found(seen(**changes))] == names


@pytest.mark.parametrize(
    "changes",
    [
        {"told": TELLS},
        {"told": TELLS, "connections": GONE, "unit": GONE, "section": section("nats: [")},
        {"told": {"nats": {"connected": True, "server": "nats://127.0.0.1"}}},
        {"told": {"nats": {"connected": True}}},
        {"described": replace(DESCRIBED, legacy=True), "told": {}},
        {"told": {"detail": "Not Found"}, "connections": ({"name": "rosey-bot-prod"},)},
    ],
)
def test_a_connected_bot_has_nothing_to_explain(changes: dict[str, Any]) -> None:
    diagnosis = bot.diagnosis(seen(**changes))
    assert diagnosis.causes == ()
    assert len(diagnosis.healthy) == 1


def test_a_bot_that_tells_nothing_is_known_by_its_connection() -> None:
    causes = bot.diagnosis(seen(told=GONE, connections=({"name": "rosey-bot-prod"},))).causes
    assert [(cause.name, cause.confidence) for cause in causes] == [("not_seen", Confidence.POSSIBLE)]


def test_a_bot_on_another_server_is_told() -> None:
    told = {"nats": {"connected": True, "server": f"nats://rosey:{SECRET}@bus.example:4222"}}
    ((name, said),) = found(seen(told=told, secrets=secrets("NATS_SERVER=nats://bus.example\n")))
    assert name == "other_server"
    assert "it is connected to bus.example:4222, by NATS_SERVER in" in said


@pytest.mark.parametrize(
    ("server", "required", "expected"),
    [
        ("tls://localhost:4222", False, ["tls_not_used", "other_server"]),
        ("tls://localhost:4222", True, ["other_server"]),
        ("nats://localhost:4222", False, []),
        # of another server nothing is known
        ("tls://bus.example:4222", False, ["other_server"]),
    ],
)
def test_a_bot_that_asks_for_tls_in_vain_is_told(server: str, required: bool, expected: list[str]) -> None:
    told = {"nats": {"connected": True, "server": server}}
    limits = {"max_connections": 200, "connections": 3, **({"tls_required": True} if required else {})}
    assert [name for name, _said in found(seen(told=told, limits=limits))] == expected


def test_healthy_parts_are_named() -> None:
    assert bot.diagnosis(seen(logins=(REFUSED,))).healthy == (
        "the bot's section",
        "the bot's environment file",
        "the bot's service",
    )


def test_variables_are_those_that_systemd_reads() -> None:
    assert variables_of(secrets("A=1\nexport B=2\n")) == {"A": "1"}
    assert variables_of(secrets('A="1')) == variables_of(secrets(None)) == variables_of(GONE) == {}


def test_what_the_server_refuses_to_a_bot_that_is_connected_is_said() -> None:
    on_bus = replace(SEEN, told=TELLS, described=replace(DESCRIBED, clients={"bot": Client("/s.env", {})}))
    refused = ServerLog(clients={"bot": Refused(unsaid=frozenset({"rosey.prod.x"})), "quotes": Refused()})
    (cause,) = bot.diagnosis(on_bus, refused).causes
    assert cause.name == "bot_refused"
    assert cause.evidence == ("the log of nats-server: bot was refused to publish rosey.prod.x",)
    for log in (ServerLog(), ServerLog(clients={"quotes": Refused(unsaid=frozenset({"a"}))})):
        assert bot.diagnosis(on_bus, log).causes == ()
    # where all share one credential, the log is not asked
    assert bot.diagnosis(replace(SEEN, told=TELLS), GONE).causes == ()
