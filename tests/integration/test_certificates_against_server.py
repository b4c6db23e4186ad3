# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a certificate is what the real server, nats-py and Go's own client make of it.

Go's client is a second server, which connects to each of the others as a leaf node.
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
import typing as t
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import nats
import pytest
from nats.errors import Error

from ansible_collections.rosey.nats.plugins.module_utils._server import conf, login
from ansible_collections.rosey.nats.tests.certificates import NAME, Case, cases
from ansible_collections.rosey.nats.tests.integration.conftest import free_ports

SECONDS = 30
PAUSE = 0.05
READY, REFUSED, CONNECTED = "Server is ready", "TLS leafnode handshake error", "leafnode connect msg sent"


@dataclass(frozen=True)
class Served:
    """A case with the server that was started with it."""

    case: Case
    directory: Path
    process: subprocess.Popen[bytes]
    port: int
    leaf_port: int

    @property
    def log(self) -> str:
        return (self.directory / "server.log").read_text()

    @property
    def authorities(self) -> str:
        return str(self.directory / "ca.pem")


def start(binary: Path, directory: Path, config: dict[str, t.Any]) -> subprocess.Popen[bytes]:
    (directory / "server.conf").write_text(conf.render(config))
    with (directory / "server.log").open("wb") as log:
        return subprocess.Popen([binary, "-c", directory / "server.conf"], stdout=log, stderr=log)


def until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SECONDS
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    return True


@pytest.fixture(scope="module")
def served(nats_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    root, found = tmp_path_factory.mktemp("served"), {}
    ports = free_ports(2 * len(cases()))
    with ExitStack() as started:
        for number, case in enumerate(cases()):
            directory = root / str(number)
            directory.mkdir()
            for name, content in {"cert.pem": case.chain, "key.pem": case.key, "ca.pem": case.authorities}.items():
                (directory / name).write_bytes(content)
            tls = {"cert_file": str(directory / "cert.pem"), "key_file": str(directory / "key.pem"), "timeout": SECONDS}
            port, leaf_port = ports[2 * number : 2 * number + 2]
            config = {"host": "127.0.0.1", "port": port, "tls": tls}
            config["leafnodes"] = {"host": "127.0.0.1", "port": leaf_port, "tls": tls}
            process = start(nats_server, directory, config)
            started.callback(process.wait)
            started.callback(process.kill)
            found[case.name] = Served(case, directory, process, port, leaf_port)
        assert until(lambda: all(READY in each.log or each.process.poll() is not None for each in found.values()))
        yield found


BY_CASE = pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)


@BY_CASE
def test_the_server_starts_with_what_it_can_use(case: Case, served: dict[str, Served]) -> None:
    found = served[case.name]
    assert (found.process.poll() is None) is case.starts, found.log


@pytest.fixture(scope="module")
def python_says(served: dict[str, Served]) -> dict[str, str]:
    """Give why nats-py refuses each, empty where it connects."""

    async def one(found: Served) -> str:
        try:
            context = ssl.create_default_context(cafile=found.authorities)
        except ssl.SSLError as error:
            return str(error)
        said: list[str] = []

        async def note(error: Exception) -> None:
            said.append(str(error))

        given: dict[str, t.Any] = {"allow_reconnect": False, "max_reconnect_attempts": 0, "connect_timeout": SECONDS}
        try:
            client = await nats.connect(f"tls://{NAME}:{found.port}", tls=context, error_cb=note, **given)
        except (Error, OSError) as error:
            return "; ".join([*said, str(error)])
        await client.close()
        return ""

    async def all_of_them() -> list[str]:
        return [await one(each) for each in served.values() if each.case.starts]

    names = [name for name, each in served.items() if each.case.starts]
    return dict(zip(names, asyncio.run(all_of_them()), strict=True))


@pytest.mark.parametrize(
    "case", [each for each in cases() if each.starts and each.python is not None], ids=lambda case: case.name
)
def test_python_connects_where_nothing_is_wrong_for_it(case: Case, python_says: dict[str, str]) -> None:
    assert (not python_says[case.name]) is case.python, python_says[case.name]


@pytest.fixture(scope="module")
def go_says(nats_server: Path, served: dict[str, Served], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give what Go's client says of each, by its name."""
    judged = {name: each for name, each in served.items() if each.case.starts and each.case.authorities}
    remotes = [
        {"url": f"tls://{NAME}:{each.leaf_port}", "tls": {"ca_file": each.authorities, "timeout": SECONDS}}
        for each in judged.values()
    ]
    directory = tmp_path_factory.mktemp("judge")
    (port,) = free_ports(1)
    judge = start(
        nats_server, directory, {"host": "127.0.0.1", "port": port, "debug": True, "leafnodes": {"remotes": remotes}}
    )
    try:
        found: dict[str, str] = {}

        def is_told() -> bool:
            lines = (directory / "server.log").read_text().splitlines()
            for name, each in judged.items():
                own = [line for line in lines if f":{each.leaf_port} - lid:" in line]
                told = [line for line in own if REFUSED in line or CONNECTED in line]
                if told:
                    found.setdefault(name, told[0])
            return found.keys() == judged.keys()

        assert until(is_told), (directory / "server.log").read_text()
        return found
    finally:
        judge.kill()
        judge.wait()


@pytest.mark.parametrize(
    "case", [each for each in cases() if each.starts and each.go is not None], ids=lambda case: case.name
)
def test_go_connects_where_nothing_is_wrong_for_it(case: Case, go_says: dict[str, str]) -> None:
    assert (CONNECTED in go_says[case.name]) is case.go, go_says[case.name]


@pytest.mark.parametrize(
    ("name", "flaw"),
    [
        ("issued in between", None),
        ("another authority", login.Flaw.UNTRUSTED),
        ("nothing in between", login.Flaw.UNTRUSTED),
        ("another name", login.Flaw.NAME),
        ("expired", login.Flaw.EXPIRED),
        ("an authority that expired", login.Flaw.EXPIRED),
        ("not yet", login.Flaw.NOT_YET),
    ],
)
def test_a_login_tells_apart_what_a_certificate_is_refused_for(
    name: str, flaw: login.Flaw | None, served: dict[str, Served]
) -> None:
    found = served[name]
    trust = login.Trust(found.authorities)
    met = login.log_in(f"tls://{NAME}:{found.port}", {}, trust, name="tried", seconds=SECONDS)
    assert (met.flaw, met.succeeded) == (flaw, flaw is None), met.error


def test_somebody_refuses_all_that_is_called_a_problem() -> None:
    for case in cases():
        takes_all = case.starts and case.python is not False and case.go is not False
        assert bool(case.kinds) is not takes_all or None in (case.python, case.go), case.name
