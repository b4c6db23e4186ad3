# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bot reads: the configuration of its environment, its secrets and its plugins."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

# The variables that are a login, and the options of nats.connect() that they become.
LOGIN = {
    "NATS_USER": "user",
    "NATS_PASSWORD": "password",
    "NATS_TOKEN": "token",
    "NATS_NKEY": "nkeys_seed",
    "NATS_INBOX_PREFIX": "inbox_prefix",
}
SECRETS = {"NATS_SERVER": "servers", **LOGIN}
# Where OpenSSL, and so Python, finds the authorities.
TRUST = {"SSL_CERT_FILE", "SSL_CERT_DIR"}
# All that a login may stand in, the last two only in the section `nats`.
LOGIN_OPTIONS = {*LOGIN.values(), "nkeys_seed_str", "user_credentials"}
ASSIGNMENT = re.compile(r"\s*(?:export\s+)?(\w+)=(.*)")
# Single quotes, double quotes, an escaped character, plain characters: as a shell and systemd read them alike.
QUOTED = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^'"\\]+)""")

log = logging.getLogger("rosey")


class SettingsError(Exception):
    """A file that can't be used; says which and why, and no value of it."""


@dataclass(frozen=True)
class Settings:
    """All that the configuration says. nats: options of nats.connect(), or None in legacy mode."""

    home: Path
    directory: Path
    user: str
    channel: str
    health_host: str
    health_port: int
    log_level: str
    prefix: str
    nats: dict[str, Any] | None


@dataclass(frozen=True)
class Declaration:
    """A plugin's file."""

    path: Path
    name: str
    enabled: bool
    subscriptions: list[str]
    publishes: list[str]
    config: dict[str, Any]

    @property
    def credential(self) -> Path:
        """Give the file of the login that is the plugin's own, where it has one."""
        return self.path.parent / f"{self.name}.env"


def unquote(value: str) -> str:
    """Give what a shell makes of the right side of an assignment."""
    parts = QUOTED.findall(value.strip())
    return "".join(one or re.sub(r'\\([$`"\\])', r"\1", two) or escaped or plain for one, two, escaped, plain in parts)


def parse_environment(text: str) -> dict[str, str]:
    """Read an environment file's lines NAME=value; comments and other lines mean nothing."""
    found = (ASSIGNMENT.fullmatch(line) for line in text.splitlines())
    return {match[1]: unquote(match[2]) for match in found if match}


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file that is a mapping."""
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise SettingsError(f"{path}: line {line} is no YAML") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} can't be read: {type(error).__name__}") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{path} is no mapping")
    return content


def read_environment_file(path: Path) -> dict[str, str]:
    """Read an environment file; one that can't be read is named, and has nothing."""
    try:
        return parse_environment(path.read_text())
    except OSError as error:
        log.warning("%s can't be read: %s", path, error.strerror)
        return {}


def secret_options(variables: Mapping[str, str]) -> dict[str, Any]:
    """Give the options of nats.connect() that these variables become."""
    found: dict[str, Any] = {SECRETS[name]: variables[name] for name in SECRETS if variables.get(name)}
    if "servers" in found:
        found["servers"] = [server.strip() for server in found["servers"].split(",")]
    return found


def trust(path: Path, environment: MutableMapping[str, str]) -> None:
    """Let this process and its plugins trust whom the file names: a shell that started it may not know them."""
    if path.exists():
        found = read_environment_file(path)
        environment.update({name: found[name] for name in TRUST & found.keys()})


def read_secrets(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Give the secret options of nats.connect(), of the file when the environment has none of them."""
    if not SECRETS.keys() & environment.keys() and path.exists():
        return secret_options(read_environment_file(path))
    return secret_options(environment)


def plugin_options(options: Mapping[str, Any], declaration: Declaration) -> dict[str, Any]:
    """Give the options of nats.connect() for a plugin. options: those of the bot, whose login is only for one without.

    A file that can't be read leaves the plugin without any login: with the bot's, it would have the bot's permissions.
    """
    mine = {**options, "name": f"{options['name']}-{declaration.name}"}
    if not declaration.credential.exists():
        return mine
    kept = {name: value for name, value in mine.items() if name not in LOGIN_OPTIONS}
    kept["servers"] = [without_login(server) for server in kept["servers"]]
    return kept | secret_options(read_environment_file(declaration.credential))


def plugin_environment(environment: Mapping[str, str], declaration: Declaration) -> dict[str, str]:
    """Give the process environment of a plugin: without the bot's login where the plugin has its own."""
    hidden = LOGIN if declaration.credential.exists() else {}
    return {name: value for name, value in environment.items() if name not in hidden}


def read_settings(home: Path, environment: str, variables: Mapping[str, str] | None = None) -> Settings:
    """Read the configuration of an environment."""
    directory = home / "environments" / environment
    config = read_mapping(directory / "config.yaml")
    options = config.get("nats")
    if options is not None:
        if not isinstance(options, dict) or not options.get("prefix"):
            raise SettingsError(f"{directory / 'config.yaml'}: nats has no prefix")
        secrets = read_secrets(directory / "secrets.env", os.environ if variables is None else variables)
        options = {"servers": ["nats://localhost:4222"], "name": "rosey-bot", **options, **secrets}
        if isinstance(options["servers"], str):
            options["servers"] = [options["servers"]]
    health = config.get("health") or {}
    return Settings(
        home=home,
        directory=directory,
        user=str(config.get("user", "rosey")),
        channel=str(config.get("channel", "")),
        health_host=str(health.get("host", "localhost")),
        health_port=int(health.get("port", 8000)),
        log_level=str((config.get("logging") or {}).get("level", "INFO")).upper(),
        prefix=str(options.pop("prefix")) if options else "",
        nats=options,
    )


def read_declaration(path: Path) -> Declaration:
    """Read a plugin's file."""
    content = read_mapping(path)
    if not content.get("name"):
        raise SettingsError(f"{path} has no name")
    return Declaration(
        path=path,
        name=str(content["name"]),
        enabled=content.get("enabled", True) is True and content.get("type") == "isolated",
        subscriptions=list(content.get("subscriptions") or []),
        publishes=list(content.get("publishes") or []),
        config=dict(content.get("config") or {}),
    )


def read_declarations(directory: Path) -> list[Declaration]:
    """Read the enabled plugins; a file that is none is named and passed over."""
    found = []
    for path in sorted(directory.glob("*.yaml")):
        try:
            found.append(read_declaration(path))
        except SettingsError as error:
            log.error("%s", error)
    return [declaration for declaration in found if declaration.enabled]


def without_login(server: str) -> str:
    """Give a server's URL without the user and the password that may stand in it."""
    scheme, separator, rest = server.rpartition("://")
    return scheme + separator + rest.rpartition("@")[2]
