# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A credential for each client; tests/deployment/test_each_client.py logs in with them."""

from __future__ import annotations

import json
from typing import Any

import bcrypt
import pytest

from ansible_collections.rosey.nats.plugins.module_utils._bot.credentials import CredentialsError
from ansible_collections.rosey.nats.plugins.module_utils._server import nkeys
from ansible_collections.rosey.nats.plugins.plugin_utils import clients, plugins

SECRET = "a text that is long enough, and no secret"
PREFIX = "rosey.prod"
BOT: dict[str, list[str]] = {"subscriptions": [], "publishes": []}
SEED = nkeys.user_seed(bytes(32))
NAMES = ["bot", "quotes", "trivia", "probe", "deployment", "operator", "system"]


def described(
    prefix: str = PREFIX, names: tuple[str, ...] = ("quotes", "trivia"), read: str = "start", **asked: Any
) -> dict[str, Any]:
    effective = plugins.effective([{"name": name} for name in names], {}, prefix)
    wanted = {"kind": "password", "secret": SECRET, "numbers": {}, "given": {}, "owners": {}, **asked}
    places = {
        "server_name": "n",
        "servers": ["nats://h:4222"],
        "questions": [],
        "bot": {"directory": "/plugins", "file": "/secrets.env", "account": {"owner": "rosey"}, "read": read},
        "server": {"directory": "/clients", "account": {"owner": "root"}},
    }
    return clients.described(effective, prefix, BOT, wanted, places)


def logins(found: dict[str, Any]) -> dict[str, str]:
    """Give what each client has, by its name: the content of its file, or of its seed's."""
    entries = found["entries"]["plugins"] + found["entries"]["server"]
    files = {entry["path"].rpartition("/")[2]: entry["secret_content"] for entry in entries}
    bot = json.dumps(found["bot"])
    return {name: files.get(f"{name}.nk") or files.get(f"{name}.env") or bot for name in NAMES}


@pytest.mark.parametrize("kind", ["password", "nkey"])
def test_no_two_credentials_are_one(kind: str) -> None:
    everything = [
        *logins(described(kind=kind)).values(),
        *logins(described("rosey.dev", kind=kind)).values(),
        *logins(described(kind=kind, secret=f"{SECRET}.")).values(),
        *logins(described(kind=kind, numbers=dict.fromkeys(NAMES, 2))).values(),
    ]
    assert len({*everything}) == 4 * len(NAMES)


@pytest.mark.parametrize("kind", ["password", "nkey"])
def test_the_same_secret_gives_the_same_and_a_number_changes_one(kind: str) -> None:
    before, after = logins(described(kind=kind)), logins(described(kind=kind, numbers={"trivia": 2}))
    assert before == logins(described(kind=kind))
    assert [name for name in NAMES if before[name] != after[name]] == ["trivia"]


def test_the_server_gets_a_hash_of_each_password() -> None:
    found = described()
    users = {user["user"]: user for user in found["config"]["authorization"]["users"]}
    assert [*users] == [f"{name}.1" for name in NAMES if name != "system"]
    (system,) = found["config"]["accounts"]["$SYS"]["users"]
    assert system["user"] == "system.1"
    password = logins(found)["trivia"].split('"')[3]
    assert len(password) == 43
    assert bcrypt.checkpw(password.encode(), users["trivia.1"]["password"].encode())
    # nothing is to be guessed, so that a login costs the server next to nothing
    assert users["trivia.1"]["password"].startswith("$2a$04$")
    assert SECRET not in json.dumps(found)


def test_the_server_gets_public_keys_alone() -> None:
    found = described(kind="nkey")
    seeds = {entry["path"]: entry["secret_content"].strip() for entry in found["entries"]["plugins"]}
    assert [*seeds] == ["/plugins/bot.nk"] + [
        f"/plugins/{name}.{end}" for name in ("quotes", "trivia") for end in ("env", "nk")
    ]
    users = found["config"]["authorization"]["users"]
    assert [user["nkey"] for user in users[:3]] == [
        nkeys.public_key(seeds[f"/plugins/{name}.nk"]) for name in ("bot", "quotes", "trivia")
    ]
    assert not any(seed in json.dumps(found["config"]) for path, seed in seeds.items() if path.endswith(".nk"))
    assert found["bot"]["variables"]["NATS_NKEY"] == "/plugins/bot.nk"


def test_what_is_given_takes_the_place_of_what_follows() -> None:
    found = described(given={"trivia": {"password": "chosen by a person"}, "quotes": {"seed": SEED}})
    users = found["config"]["authorization"]["users"]
    assert users[1]["nkey"] == nkeys.public_key(SEED)
    assert users[2]["user"] == "trivia.1"
    assert users[2]["password"].startswith("$2a$11$")
    assert logins(found)["quotes"].strip() == SEED
    assert '"chosen by a person"' in logins(found)["trivia"]


def test_every_file_is_for_one_account_alone() -> None:
    found = described(kind="nkey")
    for part, owner, reader in (("plugins", "rosey", "bot"), ("server", "root", None)):
        for entry in found["entries"][part]:
            assert (entry["mode"], entry["owner"], entry.get("reader")) == ("0600", owner, reader)


def test_a_plugin_with_an_account_of_its_own_owns_its_files() -> None:
    entries = described(kind="nkey", owners={"trivia": "rosey-trivia"})["entries"]["plugins"]
    assert {entry["path"]: entry["owner"] for entry in entries} == {
        "/plugins/bot.nk": "rosey",
        "/plugins/quotes.env": "rosey",
        "/plugins/quotes.nk": "rosey",
        "/plugins/trivia.env": "rosey-trivia",
        "/plugins/trivia.nk": "rosey-trivia",
    }


def test_only_what_is_read_as_the_bot_starts_restarts_it() -> None:
    entries = described(kind="nkey", read="connect")["entries"]["plugins"]
    assert [entry["path"] for entry in entries if "reader" in entry] == ["/plugins/bot.nk"]


def test_no_secret_is_among_what_is_recorded() -> None:
    found = described()
    assert [each["name"] for each in found["clients"]] == NAMES
    assert [each["file"] for each in found["clients"]][:4] == [
        "/secrets.env",
        "/plugins/quotes.env",
        "/plugins/trivia.env",
        "/clients/probe.env",
    ]
    assert {key for each in found["clients"] for key in each} == {"name", "file", "permissions"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"secret": ""}, "bot_plugins_credentials_secret is not set; expected a random text from vault"),
        ({"secret": 10**40}, "bot_plugins_credentials_secret is no text; expected one from vault. Write it in quotes"),
        ({"secret": ["hush"] * 40}, "bot_plugins_credentials_secret is no text"),
        ({"secret": "x" * 31}, "bot_plugins_credentials_secret has 31 characters; expected 32 at least"),
        ({"names": ("Probe",)}, "a plugin is called Probe, which is the name of a client that each deployment has"),
        ({"numbers": {"quote": 2}}, "bot_plugins_credentials_numbers names 'quote', which is no client"),
        ({"numbers": {"quotes": True}}, "quotes has True; expected a whole number from 1 on"),
        ({"numbers": {"quotes": "2"}}, "quotes has '2'; expected a whole number from 1 on"),
        ({"numbers": {"quotes": 0}}, "quotes has 0; expected a whole number from 1 on"),
        (
            {"owners": {"probe": "x"}},
            "bot_plugins_credentials_owners names 'probe', which is no client; expected some of",
        ),
        ({"given": {"quote": {"password": "hush"}}}, "bot_plugins_credentials_given names 'quote', which is no client"),
        ({"given": {"quotes": "hush"}}, "quotes has neither a password nor a seed alone"),
        ({"given": {"quotes": {}}}, "quotes has neither a password nor a seed alone"),
        ({"given": {"quotes": {"password": "hush", "seed": SEED}}}, "neither a password nor a seed alone"),
        ({"given": {"quotes": {"password": ""}}}, "quotes: password is empty"),
        ({"given": {"quotes": {"seed": "SUhush"}}}, "quotes: its seed is no Base32"),
    ],
)
def test_what_keeps_them_from_it_is_said_without_a_secret(asked: dict[str, Any], said: str) -> None:
    found = described(**asked)
    assert [*found] == ["problems"]
    (problem,) = found["problems"]
    assert said in problem
    assert "hush" not in problem


def test_a_controller_without_cryptography_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "HAS_CRYPTOGRAPHY", False)
    with pytest.raises(CredentialsError, match=r"no library cryptography.*install it"):
        described()


def test_who_hears_everything_is_named() -> None:
    effective = plugins.effective([{"name": "all", "subscriptions": [">"]}], {}, PREFIX)
    places = {"server_name": "n", "servers": [], "questions": []}
    account: dict[str, Any] = {"directory": "/d", "file": "/f", "account": {}, "read": "start"}
    asked = {"kind": "nkey", "secret": SECRET, "numbers": {}, "given": {}, "owners": {}}
    found = clients.described(effective, PREFIX, BOT, asked, {**places, "bot": account, "server": account})
    assert found["warnings"] == [
        "all: hears everything below rosey.prod, since it subscribes to it as a whole; where it need not, name what it "
        "is to hear"
    ]
