# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment with secrets leaves behind: the secrets where they belong, and nowhere else a trace of them."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.rosey.nats.plugins.plugin_utils import clients, permissions
from ansible_collections.rosey.nats.tests.authority import Authority
from ansible_collections.rosey.nats.tests.integration.conftest import QUOTES
from ansible_collections.rosey.nats.tests.sampling import sampled

if TYPE_CHECKING:
    from .conftest import Container

ROOT = Path(__file__).parents[2]
# A part of each is searched for, since quoting changes the rest.
MARK = "hunter2secret"
PASSWORDS = [f"first {MARK} \"quoted\" $HOME `id` #1 \\n 'x'", f"second {MARK} ä!"]
TOKEN = f"token-{MARK}"
# What all credentials follow from, where each client has its own.
MASTER = f"all {MARK} \"follow\" from $HOME `id` 'x' ä! and that it is long"
EACH: dict[str, Any] = {
    "bot_plugins_credentials": "each",
    "bot_plugins_credentials_secret": MASTER,
    "bot_plugins_declared": [QUOTES],
}
AUTHORITY = Authority("authority of the bus")
PAIR = AUTHORITY.issue()
TLS = {"nats_server_tls": {"certificate": PAIR.certificate, "key": PAIR.key, "authorities": AUTHORITY.pem}}
# a line of it, since it is one secret in many
KEY = PAIR.key.splitlines()[1]
BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
SECRETS_FILE = "/opt/rosey-bot/environments/staging/secrets.env"
OF_SERVER, OF_BOT = "/etc/nats/clients", "/opt/rosey-bot/environments/staging/plugins"
SERVER_FILE = "/etc/nats/nats-server.conf"
RELEASES = "/var/lib/rosey-nats/releases/"
# A deployment, its service or its bot may have written anywhere; what a kernel shows of processes is seen meanwhile.
WHERE_FILES_ARE = "--exclude-dir=proc --exclude-dir=sys --devices=skip /"
# What looks at a host, or says what it would do to one.
LOOKS = {
    "health": ("-ehealth_output=json",),
    "diagnose": (),
    "rollback": ("--check",),
}


@contextmanager
def watched_commands() -> Iterator[set[bytes]]:
    """Collect the command lines of all processes meanwhile, those in containers included."""
    seen: set[bytes] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    continue

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        ended.set()
        watching.join()


@pytest.fixture(scope="module")
def host(start_container: Callable[..., Container], tmp_path_factory: pytest.TempPathFactory) -> Container:
    """A host of staging with the bot on it."""
    container = start_container(
        "rosey-secrets",
        bot_config_environment="staging",
        bot_config_nats={"name": "rosey-bot-staging"},
        nats_server_config={"server_name": "rosey_nats_test"},
    )
    pack = tmp_path_factory.mktemp("pack") / "rosey-bot.pyz"
    subprocess.run([sys.executable, ROOT / "tests" / "bot" / "pack.py", pack], check=True)
    subprocess.run(["docker", "cp", str(pack), f"{container.name}:/root/rosey-bot.pyz"], check=True)
    container.run(
        "python3 /root/rosey-bot.pyz --home /opt/rosey-bot --environment staging --owner rosey --port 8000 --systemd"
    )
    return container


def logins() -> list[dict[str, str]]:
    return [*({"user": "rosey", "password": password} for password in PASSWORDS), {"token": TOKEN}]


@pytest.mark.thorough
@pytest.mark.parametrize("login", sampled(logins(), 1), ids=["a password", "another password", "a token"])
def test_no_secret_is_shown_or_left_anywhere_but_in_its_file(host: Container, login: dict[str, Any]) -> None:
    with watched_commands() as commands:
        said = host.play({"nats_server_credentials": login}, "--diff", "-vvv")
    assert said.startswith("exit 0"), said.replace(MARK, "********")
    assert "Gate | The bot proves" in said
    # that there was something to be seen
    assert any(b"ansible-playbook" in command for command in commands)
    assert SECRETS_FILE in said
    assert "(what differs is hidden)" in said or "********" in said

    assert MARK not in said
    assert not BCRYPT.search(said)
    for command in commands:
        assert MARK.encode() not in command
        assert not BCRYPT.search(command.decode(errors="replace"))
    journal = host.run("journalctl --no-pager --all --output=verbose")
    assert "python3" in journal or "ansible" in journal
    assert MARK not in journal
    assert not BCRYPT.search(journal)
    holders = host.attempt(f"grep -rlsF {MARK} {WHERE_FILES_ARE}").stdout.split()
    modes = {path: host.run(f"stat -c '%a %U:%G' {path}").strip() for path in holders}
    assert modes.pop(SECRETS_FILE) == "600 rosey:rosey"
    assert modes
    for path, mode in modes.items():
        assert path.startswith(RELEASES)
        assert mode == "600 root:root"
    assert host.run(f"stat -c '%a %U:%G' {RELEASES}").strip() == "700 root:root"
    assert host.run(f"stat -c '%a %U:%G' {SERVER_FILE}").strip() == "640 root:nats"
    assert BCRYPT.search(host.run(f"cat {SERVER_FILE}"))
    assert not [
        path for path in (Path.home() / ".ansible").rglob("*") if path.is_file() and MARK.encode() in path.read_bytes()
    ]


@pytest.mark.thorough
def test_a_failing_deployment_shows_no_secret_either(host: Container) -> None:
    login = {"user": "rosey", "password": PASSWORDS[0]}
    changes = {
        "nats_server_credentials": login,
        "bot_config_health_url": "http://localhost:8001/api/health",
        "bot_config_gate_wait": 1,
    }
    said = host.play(changes, "--diff", "-vvv")
    assert said.startswith("exit 2"), said.replace(MARK, "********")
    assert "has not proven what was meant" in said
    assert MARK not in said
    assert not BCRYPT.search(said)


def credentials_of(kind: str, number: int = 1) -> dict[str, str]:
    """Give the password or the seed of each client, by its name, as they follow from MASTER."""
    names = [*permissions.OWN, QUOTES["name"]]
    asked = clients.Asked(kind, MASTER, dict.fromkeys(names, number), given={}, owners={})
    every = clients.with_credentials(
        [permissions.Permissions(name, "inbox") for name in names], asked, prefix="rosey.staging"
    )
    return {each.name: each.seed or each.password for each in every}


def files_of(kind: str) -> dict[str, str]:
    """Give where the secret of each client is meant to be, with the mode and the owner of that."""
    of_bot = SECRETS_FILE if kind == "password" else f"{OF_BOT}/bot.nk"
    suffix = {"password": "env", "nkey": "nk"}[kind]
    return {
        **{f"{OF_SERVER}/{name}.{suffix}": "600 root:root" for name in permissions.OWN if name != "bot"},
        of_bot: "600 rosey:rosey",
        f"{OF_BOT}/{QUOTES['name']}.{suffix}": "600 rosey:rosey",
    }


def shown(secrets: Iterable[str], text: str) -> int:
    """Count which of these secrets a text has, without telling any where that is not none."""
    return sum(secret in text for secret in secrets)


def holders(host: Container, secrets: Iterable[str]) -> dict[str, str]:
    """Give the mode and the owner of each file on the host that has one of these secrets."""
    # by standard input, so that the search does not find its own command line
    words = ["docker", "exec", "--interactive", host.name, "sh", "-c", f"grep -rlsFf - {WHERE_FILES_ARE}"]
    given = "\n".join(secrets)
    found = subprocess.run(words, input=given, capture_output=True, text=True, check=False, timeout=120).stdout.split()
    return {path: host.run(f"stat -c '%a %U:%G' {path}").strip() for path in found}


@pytest.mark.parametrize(
    ("kind", "settings"),
    sampled(
        [
            ("password", {"STDOUT_CALLBACK": "rosey.nats.concise", "DISPLAY_ARGS_TO_STDOUT": "1"}),
            # which would show what tasks are given with their values
            ("nkey", {"STDOUT_CALLBACK": "ansible.builtin.default", "DISPLAY_ARGS_TO_STDOUT": "0"}),
        ],
        1,
    ),
)
def test_no_secret_of_a_client_is_shown_or_left_but_in_its_file(
    host: Container, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, settings: dict[str, str]
) -> None:
    log, report = tmp_path / "ansible.log", tmp_path / "report.html"
    kept = {"LOG_PATH": str(log), "LOCAL_TEMP": str(tmp_path)}
    kept |= {"CACHE_PLUGIN": "ansible.builtin.jsonfile", "CACHE_PLUGIN_CONNECTION": str(tmp_path / "facts")}
    for name, value in {**settings, **kept}.items():
        monkeypatch.setenv(f"ANSIBLE_{name}", value)
    changes = {**EACH, **TLS, "bot_plugins_credentials_kind": kind}
    options = ("--diff", "-vvvvv", f"-erosey_report={report}")
    secrets = [MARK, KEY, *credentials_of(kind).values()]

    # what it would do, what it does, and what it would do to another credential
    rotated = {"bot_plugins_credentials_numbers": {QUOTES["name"]: 2}}
    secrets += credentials_of(kind, 2).values()
    with watched_commands() as commands:
        said = [host.play(changes, "--check", *options), host.play(changes, *options)]
        said.append(host.play({**changes, **rotated}, "--check", *options))
        looks = {
            name: host.play(changes, "-vvvvv", f"-erosey_report={tmp_path}/{name}.html", *more, playbook=playbook)
            for name, more in (LOOKS.items() if kind == "nkey" else ())
            for playbook in [f"playbooks/{name}.yml"]
        }
    assert [each.partition("\n")[0] for each in said] == ["exit 0"] * 3
    # though the account of the bot may read the files of three of them alone
    assert f"{len(credentials_of(kind))} clients proven" in " ".join(said[1].split())
    assert "(what differs is hidden)" in said[0] or "********" in said[0]
    assert any(b"ansible-playbook" in command for command in commands)
    told = {
        "output": "\n".join(said),
        **looks,
        "log": log.read_text(),
        "report": report.read_text(),
        "commands": b"\n".join(commands).decode(errors="replace"),
        "journal": host.run("journalctl --no-pager --all --output=verbose"),
        "controller": "\n".join(
            path.read_text(errors="replace")
            for place in (Path.home() / ".ansible", tmp_path)
            for path in place.rglob("*")
            if path.is_file()
        ),
    }
    assert {place: (shown(secrets, text), bool(BCRYPT.search(text))) for place, text in told.items()} == dict.fromkeys(
        told, (0, False)
    )
    found = holders(host, secrets)
    of_releases = {path for path in found if path.startswith(RELEASES)}
    assert of_releases
    assert {found.pop(path) for path in of_releases} == {"600 root:root"}
    assert found == {**files_of(kind), "/etc/nats/tls/server.key": "640 root:nats"}
    assert holders(host, [MASTER[-20:]]) == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    sampled(
        [
            (
                {"bot_config_health_url": "http://localhost:8001/api/health", "bot_config_gate_wait": 1},
                "has not proven what was meant",
            ),
            (
                {"nats_server_tls": {**TLS["nats_server_tls"], "key": PAIR.key.replace("BEGIN", "BEGUN")}},
                "There is no private key",
            ),
            ({"bot_config_python": "/usr/bin/false"}, "try python by hand"),
            ({"nats_server_config": {"no_auth_user": "x"}}, "nats_server_config has no_auth_user"),
            ({"bot_plugins_credentials_secret": f"short {MARK}"}, "expected 32 at least"),
            ({"bot_plugins_credentials_secret": [MASTER]}, "bot_plugins_credentials_secret"),
            ({"bot_plugins_credentials_given": {"quotes": {"password": f"{MARK}\n"}}}, "bot_plugins_credentials_given"),
            ({"bot_plugins_credentials_given": {"quotes": {"seed": f"SU{MARK}"}}}, "bot_plugins_credentials_given"),
            ({"bot_plugins_credentials_given": {"quotes": MARK}}, "bot_plugins_credentials_given"),
            ({"bot_plugins_credentials_given": MARK}, "bot_plugins_credentials_given"),
            ({"bot_plugins_credentials_secret": "{{ nobody ~ '" + MARK + "' }}"}, "nobody"),
        ],
        2,
    ),
)
def test_a_deployment_that_fails_shows_no_secret_of_a_client(
    host: Container, changes: dict[str, Any], words: str
) -> None:
    rotated = {"bot_plugins_credentials_numbers": {QUOTES["name"]: 3}}
    secrets = [MARK, KEY, *credentials_of("password", 1).values(), *credentials_of("password", 3).values()]
    with watched_commands() as commands:
        said = host.play({**EACH, **TLS, **rotated, **changes}, "--diff", "-vvvvv")
    assert said.startswith("exit 2")
    assert (shown(secrets, said), BCRYPT.search(said)) == (0, None)
    assert words in said
    assert not shown(secrets, b"\n".join(commands).decode(errors="replace"))
    assert not shown(secrets, host.run("journalctl --no-pager --all --output=verbose"))
