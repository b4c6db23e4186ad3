# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A credential for each client, on one host with keys and on one with passwords and TLS, after one was rotated."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nkeys
import pytest
import testinfra
import yaml
from nats.aio.client import Client
from testinfra.host import Host

from ansible_collections.rosey.nats.tests import clients

DECLARED = Path(__file__).parents[3] / "inventories" / "common" / "plugins.yml"
PLUGINS = yaml.safe_load(DECLARED.read_text(encoding="utf-8"))["bot_plugins_declared"]
OF_SERVER = "/etc/nats/clients"
OF_BOT = "/opt/rosey-bot/environments/production"
FILES = {
    **{name: f"{OF_SERVER}/{name}.env" for name in clients.OWN},
    **{plugin["name"]: f"{OF_BOT}/plugins/{plugin['name']}.env" for plugin in PLUGINS},
    "bot": f"{OF_BOT}/secrets.env",
}
ROTATED = {"quotes": 2}
BOT = "rosey-bot-prod"

Login = Callable[[str], dict[str, str]]


@pytest.fixture
def login_of(host: Host) -> Login:
    """Give a function that reads what a client logs in with."""

    def read(path: str) -> str:
        return str(host.file(path).content_string)

    return lambda client: clients.login(clients.variables(read(FILES[client])), read)


def test_the_files_of_each_are_its_readers_alone(host: Host, login_of: Login) -> None:
    with_keys = "nkeys_seed_str" in login_of("operator")
    assert with_keys is host.backend.get_hostname().endswith("nkey")
    seeds = {path.replace("secrets.env", "plugins/bot.nk").replace(".env", ".nk") for path in FILES.values()}
    found = host.check_output(rf"find {OF_SERVER} {OF_BOT} -name '*.env' -o -name '*.nk'").split()
    assert {*found} == {*FILES.values(), *(seeds if with_keys else ())}
    for path in found:
        owner = "root" if path.startswith(OF_SERVER) else "rosey"
        file = host.file(path)
        assert (file.user, file.group, file.mode) == (owner, owner, 0o600), path
    assert (host.file(OF_SERVER).user, host.file(OF_SERVER).mode) == ("root", 0o700)


def test_each_connection_has_its_own_user(monitor: Callable[..., dict[str, Any]], login_of: Login) -> None:
    def user(client: str) -> str:
        login = login_of(client)
        if "user" in login:
            assert login["user"] == f"{client}.{ROTATED.get(client, 1)}"
            return login["user"]
        return str(nkeys.from_seed(bytearray(login["nkeys_seed_str"].encode())).public_key.decode())

    shown = {each["name"]: each["authorized_user"] for each in monitor("connz?auth=1")["connections"]}
    assert shown == {BOT: user("bot"), **{f"{BOT}-{each['name']}": user(each["name"]) for each in PLUGINS}}
    assert len({*shown.values()}) == len(shown)


def test_each_cell_of_the_contract_is_as_it_says(converse: Callable[..., Any], login_of: Login, prefix: str) -> None:
    parties = clients.parties(PLUGINS, prefix)
    assert {*parties, "system"} == {*FILES}
    tried = clients.to_try(parties)
    # of the client that is at work
    errors: list[str] = []

    async def note(error: Exception) -> None:
        errors.append(str(error))

    async def conversation(client: Client) -> tuple[set[str], set[str]]:
        return await clients.try_all(client, errors, tried)

    for name, party in parties.items():
        said, heard = converse(conversation, **login_of(name), error_cb=note)
        assert said == clients.allowed(party.says, tried), name
        assert heard == clients.allowed(party.hears, tried), name


def test_every_connection_is_as_private_as_its_host(monitor: Callable[..., dict[str, Any]], host: Host) -> None:
    versions = {each.get("tls_version") for each in monitor("connz")["connections"]}
    assert versions == ({"1.3"} if host.backend.get_hostname().endswith("password") else {None})


def test_whoever_looks_from_without_sees_who_he_talks_to(host: Host) -> None:
    ask = "openssl s_client -connect localhost:4222 -verify_return_error -verify_hostname localhost -brief"
    with_authority = f"{ask} -CAfile {OF_BOT}/authorities.crt </dev/null 2>&1"
    if host.backend.get_hostname().endswith("password"):
        assert "Verification: OK" in host.run(with_authority).stdout
        assert "unable to get local issuer certificate" in host.run(f"{ask} </dev/null 2>&1").stdout
    else:
        assert not host.file(f"{OF_BOT}/authorities.crt").exists


NAME, AUTHORITIES = "bus.example.org", "/run/authorities.crt"
UNKNOWN_AUTHORITY_OF_CURL = 60


class Elsewhere:
    """A host that looks at the server of another one, with whom to trust in AUTHORITIES."""

    def __init__(self) -> None:
        self._host = testinfra.get_host("docker://rosey-secure-nkey")
        server = testinfra.get_host("docker://rosey-secure-password")
        show = ["docker", "inspect", "--format", "{{.NetworkSettings.IPAddress}}", "rosey-secure-password"]
        self._address = subprocess.run(show, check=True, capture_output=True, text=True).stdout.strip()
        self._login = clients.login(
            clients.variables(server.file(FILES["operator"]).content_string),
            lambda path: str(server.file(path).content_string),
        )
        authorities = server.file(f"{OF_BOT}/authorities.crt").content_string
        self._host.run_test("printf %%s %s > %s", authorities, AUTHORITIES)

    def openssl(self, *options: str) -> str:
        words = f"-connect {self._address}:4222 -verify_return_error -verify_hostname {NAME} {' '.join(options)}"
        return str(self._host.run(f"openssl s_client {words} </dev/null 2>&1").stdout)

    def curl(self, *options: str, scheme: str = "https") -> tuple[int, str]:
        words = f"--silent --http0.9 --max-time 5 --resolve {NAME}:4222:{self._address} {' '.join(options)}"
        found = self._host.run(f"curl {words} {scheme}://{NAME}:4222/")
        return found.rc, found.stdout

    def nats_py(self, *authorities: str, name: str = NAME) -> str:
        program = Path(__file__).parents[1].joinpath("elsewhere.py").read_text(encoding="utf-8")
        words = [program, self._address, name, *authorities, json.dumps(self._login)]
        return str(self._host.check_output("/opt/rosey-bot/venv/bin/python -c" + " %s" * len(words), *words))


def test_another_host_gets_on_by_the_authority_alone() -> None:
    elsewhere = Elsewhere()
    assert elsewhere.nats_py(AUTHORITIES) == "heard"
    assert "unable to get local issuer certificate" in elsewhere.nats_py()
    assert "Hostname mismatch" in elsewhere.nats_py(AUTHORITIES, name="other.example.org")

    greeting = elsewhere.curl("--cacert", AUTHORITIES)[1]
    assert '"server_name":"rosey_nats_prod"' in greeting
    assert elsewhere.curl() == (UNKNOWN_AUTHORITY_OF_CURL, "")
    assert elsewhere.curl(scheme="http")[1] == ""

    for version in ("1_2", "1_3"):
        said = elsewhere.openssl("-CAfile", AUTHORITIES, f"-tls{version}", "-showcerts")
        assert "Verify return code: 0 (ok)" in said
        assert "issuer=CN = authority of the bus" in said.replace("CN=", "CN = ")
        assert f"TLSv{version.replace('_', '.')}" in said
    refused = elsewhere.openssl("-CAfile", AUTHORITIES, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
    assert "alert protocol version" in refused


def test_the_system_user_hears_of_the_server(converse: Callable[..., Any], login_of: Login) -> None:
    async def conversation(client: Client) -> Any:
        return json.loads((await client.request("$SYS.REQ.SERVER.PING", timeout=5)).data)

    assert converse(conversation, **login_of("system"))["server"]["name"] == "rosey_nats_prod"


def test_what_was_stored_before_is_there(converse: Callable[..., Any], login_of: Login) -> None:
    async def conversation(client: Client) -> tuple[int, int]:
        state = (await client.jetstream().stream_info("rotation")).state
        return state.first_seq, state.messages

    first, messages = converse(conversation, **login_of("deployment"))
    assert first == 1
    assert messages >= 200
