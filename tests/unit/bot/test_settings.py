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
