# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_expectation, round_trips
from ansible_collections.rosey.nats.plugins.module_utils._bot.bot_python import BotPython
from ansible_collections.rosey.nats.plugins.module_utils._host import process, redaction
from ansible_collections.rosey.nats.plugins.module_utils._server import http_reader, login, monitoring
from ansible_collections.rosey.nats.plugins.module_utils._server.login import Login, Step, Trust
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis import (
    bot,
    bot_evidence,
    plugin,
    plugin_evidence,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.bot_evidence import (
    BrokenError,
    Described,
    File,
    read_file,
    section_of,
    servers_of,
)
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.evidence import Unit
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.refusals import ServerLog
from ansible_collections.rosey.nats.plugins.module_utils._watch.diagnosis.tree import NotSeenError
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import IDENTITY, Reply, fake_monitoring, raw_server
from ansible_collections.rosey.nats.tests.unit.plugins.module_utils._server.test_login import INFO, says

SECRET = "hunter2"
GONE = NotSeenError("it", "gone", "mend it")
SECTION = "channel: c\nnats:\n  servers: [{server}]\n  name: rosey-bot-dev\n  prefix: rosey.dev\n"
QUOTE = "rosey.dev.commands.quote"
QUOTES = bot_expectation.Plugin("quotes", (QUOTE,))
CONNZ: dict[str, Any] = {
    **IDENTITY,
    "total": 1,
    "connections": [{"cid": 5, "name": "rosey-bot-dev-quotes", "subscriptions_list": [QUOTE]}],
}
PLUGIN = f"name: quotes\nsubscriptions: [{QUOTE}]\n"


@pytest.fixture
def home() -> Iterator[Path]:
    """Give a directory that every account may enter."""
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def described(home: Path, **changes: Any) -> Described:
    given = Described(
        environment="development",
        prefix="rosey.dev",
        home=home,
        service="",
        account="",
        servers=("nats://127.0.0.1:9",),
        client_name="rosey-bot-dev",
        health_url="http://127.0.0.1:9/api/health",
        monitoring_url="http://127.0.0.1:9",
        version="2.10.7",
        command=("/nowhere/bot",),
        pid_file=home / "bot.pid",
        plugins=(QUOTES,),
    )
    return replace(given, **changes)


def install(home: Path, server: str) -> None:
    """Write what the bot reads."""
    directory = home / "environments" / "development"
    (directory / "plugins").mkdir(parents=True)
    (directory / "config.yaml").write_text(SECTION.format(server=server))
    (directory / "secrets.env").write_text(f"NATS_USER=rosey\nNATS_PASSWORD={SECRET}\n")
    (directory / "plugins" / "quotes.yaml").write_text(PLUGIN)


def no_command(*_words: Any) -> tuple[int, str, str]:
    return 1, "", "System has not been booted with systemd"


@pytest.mark.parametrize(
    ("section", "variables", "expected"),
    [
        ({}, {}, ["nats://described"]),
        ({"servers": ["nats://a", "nats://b"]}, {}, ["nats://a", "nats://b"]),
        ({"servers": "nats://a"}, {}, ["nats://a"]),
        ({"servers": []}, {}, ["nats://described"]),
        ({"servers": [4222]}, {}, ["4222"]),
        ({"servers": 4222}, {}, ["4222"]),
        ({"servers": ["nats://a"]}, {"NATS_SERVER": "nats://b, nats://c"}, ["nats://b", "nats://c"]),
        ({"servers": ["nats://a"]}, {"NATS_SERVER": ""}, ["nats://a"]),
    ],
)
def test_the_environment_counts_more_than_the_section(
    section: dict[str, Any], variables: dict[str, str], expected: list[str]
) -> None:
    assert servers_of(section, variables, ["nats://described"]) == expected


def test_a_file_is_read_for_the_bots_account(home: Path) -> None:
    path = home / "below" / "config.yaml"
    assert read_file(path, None, "nobody") == File(path, None)
    path.parent.mkdir()
    path.write_text("a: 1")
    assert read_file(path, None, "nobody") == File(path, b"a: 1")
    path.chmod(0o600)
    assert read_file(path, None, "nobody").forbidden == path
    assert read_file(path, None, pwd.getpwuid(os.geteuid()).pw_name).forbidden is None
    assert read_file(path, None, "").forbidden is None
    path.chmod(0o644)
    path.parent.chmod(0o700)
    assert read_file(path, None, "nobody").forbidden == path.parent


def test_a_file_that_is_newer_than_the_bot_is_told(home: Path) -> None:
    path, running = home / "config.yaml", process.read(os.getpid())
    path.write_text("a: 1")
    assert read_file(path, running, "").is_newer
    os.utime(path, (0, 0))
    assert not read_file(path, running, "").is_newer


def test_what_is_no_file_is_not_seen(home: Path) -> None:
    with pytest.raises(NotSeenError, match="Is a directory"):
        read_file(home, None, "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "line 1 is no YAML"),
        (f"a: 1\npassword: *{SECRET}", "line 2 is no YAML"),
        ("\0", "it is no YAML"),
        ("- a", "its top level is no mapping"),
        ("", "its top level is no mapping"),
    ],
)
def test_what_is_no_mapping_is_told_without_its_text(text: str, reason: str) -> None:
    with pytest.raises(BrokenError, match=f"^{reason}$"):
        File(Path("/config.yaml"), text.encode()).mapping()


def test_a_host_on_which_nothing_is_there_is_looked_at(home: Path) -> None:
    seen = bot_evidence.look(described(home, service="cytube-bot"), no_command, GONE, GONE)
    names = [cause.name for cause in bot.diagnosis(seen).causes]
    assert names == [
        "bot_file_missing",
        "server_unreachable" if not seen.own_addresses else "nothing_listens",
        "not_seen",
    ]
    of_plugins = plugin_evidence.look(seen, None)
    assert [cause.name for cause in plugin.diagnosis(of_plugins).causes] == [
        *names[:2],
        "plugin_file_missing",
        "not_seen",
    ]


def test_a_bot_that_is_refused_is_looked_at(home: Path) -> None:
    refused = says(INFO, b"-ERR 'Authorization Violation'\r\n")
    with raw_server(refused) as url, fake_monitoring({"/connz": CONNZ}) as fake:
        server = f"nats://{url.partition('://')[2]}"
        install(home, server)
        (home / "bot.out").write_text(f"first\nI am told {SECRET}\ntoken: 5\n")
        seen = bot_evidence.look(described(home), no_command, monitoring.Monitor(fake.url), {"port": 4222})
    assert not isinstance(seen.logins, NotSeenError)
    assert [(each.url, each.failed, each.error) for each in seen.logins] == [
        (server, Step.LOG_IN, "Authorization Violation")
    ]
    assert seen.own_addresses == {"127.0.0.1"}
    assert seen.connections == (CONNZ["connections"][0],)
    assert seen.server == {"port": 4222}
    assert isinstance(seen.told, NotSeenError)
    assert seen.running is None
    assert not isinstance(seen.unit, NotSeenError)
    assert seen.unit["ActiveState"] == "inactive"
    assert [cause.name for cause in bot.diagnosis(seen).causes] == ["bot_stopped", "credentials_refused"]
    assert seen.unit.said == ("first", f"I am told {redaction.HIDDEN}", f"token: {redaction.HIDDEN}")
    assert SECRET not in repr(seen)


def test_credentials_of_another_kind_are_left_out(home: Path) -> None:
    with raw_server(says(INFO)) as url:
        install(home, f"nats://{url.partition('://')[2]}\n  nkeys_seed: /seed")
        config = home / "environments" / "development" / "config.yaml"
        config.write_text(config.read_text().replace("\n  nkeys_seed: /seed]", "]\n  nkeys_seed: /seed"))
        seen = bot_evidence.look(described(home), no_command, GONE, GONE)
    assert not isinstance(seen.logins, NotSeenError)
    assert [login.failed for login in seen.logins] == [Step.DONE]


def test_a_bot_that_runs_without_nats_does_not_log_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "log_in", lambda *_given, **_more: pytest.fail("the server writes it down"))
    install(home, "nats://127.0.0.1:9")
    seen = bot_evidence.look(described(home, legacy=True), no_command, GONE, GONE)
    assert seen.logins == ()


@pytest.mark.parametrize(
    ("log_file", "secrets", "expected"),
    [
        ("{home}/log", f"NATS_USER=rosey\nNATS_PASSWORD={SECRET}\n", ServerLog("rosey", unsaid=frozenset({"b"}))),
        ("{home}/log", "NATS_TOKEN=t\n", ServerLog(unsaid=frozenset({"b", "c"}))),
        ("{home}/none", "NATS_USER=rosey\n", ServerLog("rosey")),
        # what is no file, or of a directory that nobody knows
        ("log", "", ServerLog()),
        ("{home}", "", ServerLog()),
        ("/dev/stdout", "", ServerLog()),
    ],
)
def test_of_the_servers_log_the_bots_part_counts(
    home: Path, monkeypatch: pytest.MonkeyPatch, log_file: str, secrets: str, expected: ServerLog
) -> None:
    monkeypatch.chdir(home)
    (home / "log").write_text(
        '[7] [ERR] x - Publish Violation - User "rosey", Subject "b"\n'
        '[7] [ERR] x - Publish Violation - User "other", Subject "c"\n'
    )
    config = {"log_file": log_file.format(home=home)}
    seen = bot_evidence.Evidence(described(home, plugins=()), GONE, GONE, GONE, GONE, GONE, GONE, None, GONE, config)
    of_plugins = plugin_evidence.look(replace(seen, secrets=File(Path("/s"), secrets.encode())), None)
    assert of_plugins.log == expected


def test_a_server_that_is_no_url_is_not_seen(home: Path) -> None:
    install(home, "http://localhost")
    seen = bot_evidence.look(described(home), no_command, GONE, GONE)
    assert isinstance(seen.logins, NotSeenError)
    assert "http://localhost" in seen.logins.why


def test_a_bot_without_a_command_is_not_seen(home: Path) -> None:
    for changes in ({"command": ()}, {"pid_file": None}):
        seen = bot_evidence.look(described(home, **changes), no_command, GONE, GONE)
        assert isinstance(seen.unit, NotSeenError)
        assert seen.unit.why == "bot_config_command is empty"


def test_a_bot_that_another_user_runs_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("sleep", "60")
    with subprocess.Popen(command) as running:
        try:
            given = described(home, command=command)
            (home / "bot.pid").write_text(f"{running.pid}\n")
            monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
            seen = bot_evidence.look(given, no_command, GONE, GONE)
        finally:
            running.kill()
    assert isinstance(seen.unit, Unit)
    assert (seen.unit["ActiveState"], seen.unit.number("MainPID")) == ("active", running.pid)


def test_how_a_login_is_tried_and_whose_addresses_it_met(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []

    def log_in(url: str, given: dict[str, str] | None, trust: Trust, **_seconds: float) -> Login:
        tried.append((url, given, trust))
        return Login(url, ("192.0.2.1", "127.0.0.2", "::1", "2001:db8::1"), Step.CONNECT)

    monkeypatch.setattr(login, "log_in", log_in)
    install(home, "nats://a, nats://me:too@b:1]\n  tls_hostname: c\n  tls_handshake_first: true #")
    secrets = home / "environments" / "development" / "secrets.env"
    secrets.write_text(f"{secrets.read_text()}SSL_CERT_FILE=/ca.pem\n")
    seen = bot_evidence.look(described(home), no_command, GONE, GONE)
    trust = Trust("/ca.pem", "c", first=True)
    assert tried == [("nats://a:4222", {"user": "rosey", "password": SECRET}, trust), ("nats://b:1", None, trust)]
    assert seen.own_addresses == {"127.0.0.2", "::1"}


def test_without_its_libraries_a_host_is_looked_at(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(home, "nats://127.0.0.1:9")
    monkeypatch.setattr(http_reader, "HAS_REQUESTS", False)
    monkeypatch.setattr(bot_evidence, "HAS_YAML", False)
    seen = bot_evidence.look(described(home), no_command, GONE, GONE)
    assert isinstance(seen.told, NotSeenError)
    assert "requests" in seen.told.why
    assert isinstance(seen.section, File)
    with pytest.raises(NotSeenError, match="PyYAML"):
        seen.section.mapping()
    assert "not_seen" in [cause.name for cause in bot.diagnosis(seen).causes]


@pytest.mark.parametrize(
    ("told", "connections", "connected"),
    [
        ({"nats": {"connected": True}}, (), True),
        ({"nats": {"connected": False}}, ({"name": "rosey-bot-dev"},), False),
        ({"nats": "yes"}, (), False),
        ({"nats": {"connected": "yes"}}, ({"name": "rosey-bot-dev"},), True),
        ({"detail": "Not Found"}, ({"name": "rosey-bot-dev"},), True),
        ({"detail": "Not Found"}, GONE, False),
        ({}, (), False),
        (GONE, ({"name": "rosey-bot-dev"},), True),
        (GONE, ({"name": "rosey-bot-dev-quotes"},), False),
        (GONE, GONE, False),
    ],
)
def test_a_bot_is_on_the_bus_where_it_says_so(home: Path, told: Any, connections: Any, connected: bool) -> None:
    seen = bot_evidence.Evidence(described(home), told, connections, GONE, GONE, GONE, GONE, None, GONE, GONE)
    assert seen.is_connected is connected


def test_what_a_person_types_depends_on_what_runs_the_bot(home: Path) -> None:
    one, other = described(home), described(home, service="cytube-bot")
    assert (one.restart, one.log) == ("start the bot anew", f"{home}/bot.out")
    assert (other.restart, other.log) == ("systemctl restart cytube-bot", "journalctl -u cytube-bot")


def test_a_section_that_is_no_mapping_is_empty() -> None:
    assert section_of(File(Path("/f"), b"nats: [1]")) == {}


PROGRAM = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)', 'quotes.yaml'])"


def test_a_running_bot_is_looked_at_with_its_plugins(home: Path) -> None:
    install(home, "nats://127.0.0.1:9")
    log = home / "logs" / "plugins" / "quotes.log"
    log.parent.mkdir(parents=True)
    command = (sys.executable, "-c", PROGRAM)
    told = {"nats": {"connected": True, "server": "nats://127.0.0.1:9"}}
    with subprocess.Popen(command, env={**os.environ, "NATS_PASSWORD": SECRET}) as running:
        try:
            with fake_monitoring(
                {"/connz": CONNZ, "/health": Reply(str(told).replace("'", '"').replace("T", "t").encode())}
            ) as fake:
                given = described(home, command=command, health_url=f"{fake.url}/health")
                seen = bot_evidence.look(given, no_command, monitoring.Monitor(fake.url), {"port": 4222})
                deadline = time.monotonic() + 10
                of_plugins = plugin_evidence.look(seen, None)
                # a log that is older than the bot is of an earlier one
                while not (of_plugins.plugins[0].processes and of_plugins.plugins[0].said):
                    assert time.monotonic() < deadline
                    log.write_text(f"one\nwith {SECRET}\n")
                    of_plugins = plugin_evidence.look(seen, None)
        finally:
            for child in of_plugins.plugins[0].processes:
                os.kill(child.pid, 9)
            running.kill()
    assert seen.is_connected
    assert isinstance(seen.unit, Unit)
    assert seen.unit["ActiveState"] == "active"
    assert seen.logins == ()
    assert isinstance(seen.running, dict)
    assert seen.running["NATS_PASSWORD"] == SECRET
    assert SECRET not in repr(of_plugins)
    (quotes,) = of_plugins.plugins
    assert quotes.said == ("one", f"with {redaction.HIDDEN}")
    assert quotes.added == ()
    assert isinstance(quotes.file, File)
    assert quotes.processes[0].state in "RSD"
    assert 0 < quotes.processes[0].age <= of_plugins.bot_age
    assert plugin.diagnosis(of_plugins).causes == ()


def test_a_log_that_grows_while_a_plugin_is_asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(home, "nats://127.0.0.1:9")
    log = home / "logs" / "plugins" / "quotes.log"
    log.parent.mkdir(parents=True)
    log.write_text("before\n")

    def make_trips(trip: round_trips.RoundTrip, **options: Any) -> round_trips.Trips:
        asked.append([trip.subject, *(options[name] for name in ("servers", "credentials", "python"))])
        log.write_text(f"{log.read_text()}sqlite3.OperationalError: no such table\n")
        return round_trips.Trips((1.0,))

    asked: list[Any] = []
    monkeypatch.setattr(round_trips, "make_trips", make_trips)
    told = {"nats": {"connected": True, "server": "nats://127.0.0.1:9"}}
    seen = bot_evidence.Evidence(
        described(home), told, tuple(CONNZ["connections"]), GONE, GONE, GONE, GONE, None, GONE, {}
    )
    probe = plugin_evidence.Probe(round_trips.RoundTrip(QUOTE, "{}", 1, 100.0), "/python")
    of_plugins = plugin_evidence.look(
        replace(seen, secrets=File(Path("/s"), b"NATS_TOKEN=hush\nSSL_CERT_FILE=/ca.pem")), probe
    )
    assert asked == [[QUOTE, ["nats://127.0.0.1:9"], {"token": "hush"}, BotPython("/python", None, "/ca.pem")]]
    assert of_plugins.plugins[0].added == ("sqlite3.OperationalError: no such table",)
    assert [cause.name for cause in plugin.diagnosis(of_plugins).causes] == ["plugin_fails"]
