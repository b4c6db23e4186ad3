# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bot of the tests reads from its files."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.tests.bot.rosey_bot import settings

CONFIG = """
channel: mychannel
health: {host: localhost, port: 8123}
nats:
  servers: ["nats://localhost:4222"]
  name: rosey-bot-dev
  ping_interval: 30
  prefix: rosey.dev
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "environments" / "development"
    directory.mkdir(parents=True)
    (directory / "config.yaml").write_text(CONFIG)
    return directory


def read(directory: Path, **variables: str) -> settings.Settings:
    return settings.read_settings(directory.parents[1], directory.name, variables)


def test_all_of_the_section_but_the_prefix_goes_to_the_client(directory: Path) -> None:
    found = read(directory)
    assert found.nats == {"servers": ["nats://localhost:4222"], "name": "rosey-bot-dev", "ping_interval": 30}
    assert (found.prefix, found.channel, found.health_port) == ("rosey.dev", "mychannel", 8123)


@pytest.mark.parametrize("config", ["channel: mychannel\n", "channel: mychannel\nnats:\n"])
def test_without_the_section_it_is_legacy_mode(directory: Path, config: str) -> None:
    (directory / "config.yaml").write_text(config)
    assert read(directory, NATS_USER="rosey").nats is None


@pytest.mark.parametrize(
    ("file", "variables", "expected"),
    [
        ("NATS_USER=u\nNATS_PASSWORD=p\n", {}, {"user": "u", "password": "p"}),
        ("NATS_TOKEN=t\n", {}, {"token": "t"}),
        ("NATS_SERVER=nats://a:1, nats://b:2\n", {}, {"servers": ["nats://a:1", "nats://b:2"]}),
        (
            "NATS_NKEY=/etc/bot.nk\nNATS_INBOX_PREFIX=rosey.dev._inbox.bot\n",
            {},
            {"nkeys_seed": "/etc/bot.nk", "inbox_prefix": "rosey.dev._inbox.bot"},
        ),
        ("NATS_USER=u\nNATS_PASSWORD=p\n", {"NATS_NKEY": "/etc/bot.nk"}, {"nkeys_seed": "/etc/bot.nk"}),
        # systemd has read the file: then it counts no more
        ("NATS_USER=u\nNATS_PASSWORD=p\n", {"NATS_TOKEN": "t"}, {"token": "t"}),
        ("NATS_USER=\nNATS_PASSWORD=''\n", {}, {}),
    ],
)
def test_secrets_are_laid_over_the_section(
    directory: Path, file: str, variables: dict[str, str], expected: dict[str, Any]
) -> None:
    (directory / "secrets.env").write_text(file)
    plain = {"servers": ["nats://localhost:4222"], "name": "rosey-bot-dev", "ping_interval": 30}
    assert read(directory, **variables).nats == plain | expected


OWN = {"user": "quotes.1", "password": "q"}
# Each way in which a login can be the bot's.
BOTS_LOGIN = {
    "user": "bot.1",
    "password": "b",
    "token": "t",
    "nkeys_seed": "/etc/bot.nk",
    "nkeys_seed_str": "SUA",
    "user_credentials": "/etc/bot.creds",
    "inbox_prefix": "rosey.dev._inbox.bot",
}


@pytest.mark.parametrize(
    ("file", "servers", "expected"),
    [
        (None, ["nats://u:p@a:1"], {"servers": ["nats://u:p@a:1"], **BOTS_LOGIN}),
        ("NATS_USER=quotes.1\nNATS_PASSWORD=q\n", ["nats://a:1"], {"servers": ["nats://a:1"], **OWN}),
        ("NATS_USER=quotes.1\nNATS_PASSWORD=q\n", ["nats://u:p@a:1"], {"servers": ["nats://a:1"], **OWN}),
        (
            "NATS_NKEY=/etc/quotes.nk\nNATS_INBOX_PREFIX=rosey.dev._inbox.quotes\nNATS_SERVER=nats://b:2\n",
            ["nats://a:1"],
            {"servers": ["nats://b:2"], "nkeys_seed": "/etc/quotes.nk", "inbox_prefix": "rosey.dev._inbox.quotes"},
        ),
        ("NATS_TOKEN=q\n", ["nats://a:1"], {"servers": ["nats://a:1"], "token": "q"}),
        # Nothing of a plugin's own is no login, and not the bot's.
        ("", ["nats://a:1"], {"servers": ["nats://a:1"]}),
    ],
)
def test_a_plugins_own_login_takes_the_place_of_the_bots(
    tmp_path: Path, file: str | None, servers: list[str], expected: dict[str, Any]
) -> None:
    # Another name than the file has: the login belongs to the plugin.
    declaration = make_declaration(tmp_path / "a-file.yaml")
    if file is not None:
        (tmp_path / "quotes.env").write_text(file)
    rest = {"ping_interval": 30, "name": "rosey-bot-dev"}
    found = settings.plugin_options({**rest, "servers": servers, **BOTS_LOGIN}, declaration)
    assert found == {**rest, "name": "rosey-bot-dev-quotes", **expected}


def test_a_plugins_login_that_can_not_be_read_is_no_reason_for_the_bots(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    declaration = make_declaration(tmp_path / "quotes.yaml")
    declaration.credential.mkdir()
    found = settings.plugin_options({"name": "bot", "servers": ["nats://a:1"], **BOTS_LOGIN}, declaration)
    assert found == {"name": "bot-quotes", "servers": ["nats://a:1"]}
    assert caplog.messages == [f"{declaration.credential} can't be read: Is a directory"]


@pytest.mark.parametrize("own", [True, False])
def test_a_plugin_with_a_login_gets_none_of_the_bots_environment(tmp_path: Path, own: bool) -> None:
    declaration = make_declaration(tmp_path / "quotes.yaml")
    if own:
        declaration.credential.write_text("NATS_USER=quotes.1\n")
    rest = {"PATH": "/bin", "NATS_SERVER": "nats://a:1"}
    login = dict.fromkeys(("NATS_USER", "NATS_PASSWORD", "NATS_TOKEN", "NATS_NKEY", "NATS_INBOX_PREFIX"), "x")
    assert settings.plugin_environment(rest | login, declaration) == (rest if own else rest | login)


@pytest.mark.parametrize(
    "line",
    [
        "A=plain",
        "A='with space and \"quotes\"'",
        'A="a\\"b\\\\c\\$d\\`e\\f"',
        "A='$HOME # no comment \\'",
        "A=back\\ slash\\\\",
        "A='it'\\''s'",
        "A=\"one\"'two'three",
        "  export A=exported",
        "A=''",
    ],
)
def test_a_value_is_what_a_shell_makes_of_it(line: str, tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    file.write_text(f"# A=comment\n\n{line}\n")
    shell = ["sh", "-c", '. "$1"; printf %s "$A"', "sh", str(file)]
    expected = subprocess.run(shell, capture_output=True, text=True, check=True, env={}).stdout
    assert settings.parse_environment(file.read_text()) == {"A": expected}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (None, "can't be read: FileNotFoundError"),
        ("- a list\n", "is no mapping"),
        ("channel: a\nnats: {password: hunter2, [}\n", "line 2 is no YAML"),
        ("nats: {password: hunter2}\n", "nats has no prefix"),
    ],
)
def test_what_can_not_be_used_is_named_without_its_content(directory: Path, config: str | None, said: str) -> None:
    file = directory / "config.yaml"
    file.unlink()
    if config is not None:
        file.write_text(config)
    with pytest.raises(settings.SettingsError) as caught:
        read(directory)
    assert str(file) in str(caught.value)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def make_declaration(path: Path) -> settings.Declaration:
    path.write_text("{name: quotes, enabled: true, type: isolated}")
    return settings.read_declaration(path)


def test_only_enabled_isolated_plugins_are_started(tmp_path: Path) -> None:
    for name, content in {
        "quotes": "{name: quotes, enabled: true, type: isolated, subscriptions: [a.b]}",
        "trivia": "{name: trivia, enabled: false, type: isolated}",
        "inside": "{name: inside, enabled: true, type: builtin}",
        "notes": "[not, a, plugin]",
        "nameless": "{enabled: true, type: isolated}",
    }.items():
        (tmp_path / f"{name}.yaml").write_text(content)
    (tmp_path / "README.md").write_text("{name: readme, enabled: true, type: isolated}")
    (found,) = settings.read_declarations(tmp_path)
    assert (found.name, found.subscriptions, found.publishes, found.config) == ("quotes", ["a.b"], [], {})


@pytest.mark.parametrize(
    ("server", "shown"),
    [
        ("nats://localhost:4222", "nats://localhost:4222"),
        ("nats://rosey:hunter2@localhost:4222", "nats://localhost:4222"),
        ("nats://rosey:hun@ter2@localhost:4222", "nats://localhost:4222"),
        ("rosey:hunter2@localhost:4222", "localhost:4222"),
    ],
)
def test_a_servers_url_is_shown_without_its_login(server: str, shown: str) -> None:
    assert settings.without_login(server) == shown
