# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a running server reads, deployed with another content: a real server takes them up as it was planned."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import ssl
import time
import typing as t
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import nats
import pytest
from cryptography import x509

from ansible_collections.rosey.nats.plugins.module_utils._server import conf
from ansible_collections.rosey.nats.tests.integration.conftest import free_ports
from ansible_collections.rosey.nats.tests.integration.live import Live
from ansible_collections.rosey.nats.tests.integration.material import Material, make_material

Result = dict[str, t.Any]
CLIENTS = 20
# Which protocol greets before it encrypts.
GREETS = {"client": True, "cluster": False, "gateway": False, "leafnodes": True, "websocket": False, "mqtt": False}
GREETS |= {"https": False}
SECONDS = 5.0
PAUSE = 0.02  # longer than the clock of files stands still


def listener(port: int) -> socket.socket:
    """Connect to a listener, which may still be opened: the monitoring is first."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, port
            time.sleep(PAUSE)


def serial_number(port: int, *, greets: bool) -> int:
    """Give the serial number of the certificate that a listener shows."""
    context = ssl._create_unverified_context()
    with listener(port) as connection:
        if greets:
            while not connection.recv(4096).endswith(b"\r\n"):
                pass
        with context.wrap_socket(connection) as encrypted:
            shown = encrypted.getpeercert(binary_form=True)
    assert shown
    return x509.load_der_x509_certificate(shown).serial_number


def serial_number_of(text: str) -> int:
    return x509.load_pem_x509_certificate(text.encode()).serial_number


class Host:
    """A directory that stands for a host, with a server that is deployed as the role does it."""

    def __init__(self, root: Path, nats_server: Path, ports: dict[str, int], run: Callable[..., Result]) -> None:
        self.root, self.ports, self.run = root, ports, run
        self.binary = root / "lib" / "2.10.7" / "nats-server"
        self.binary.parent.mkdir(parents=True)
        shutil.copy(nats_server, self.binary)
        (root / "nats-server").symlink_to(self.binary)
        self.directory = root / "live"
        self.config_file = str(self.directory / "nats-server.conf")
        self.tls = {"cert_file": str(root / "cert.pem"), "key_file": str(root / "key.pem")}

    def entry(self, path: str, content: str, **more: str) -> Result:
        return {"path": path, "state": "file", "mode": "0600", "content": content, **more}

    def described(self, config: Result, **files: str) -> list[Result]:
        others = [self.entry(str(self.root / name), text, reader="server") for name, text in files.items()]
        return [self.entry(self.config_file, conf.render(config)), *others]

    def plan(self, entries: list[Result], **more: t.Any) -> tuple[str, list[str]]:
        """Give what a deployment asks of the server, and why."""
        told = self.run(
            "nats_plan",
            runtime="process",
            pid_file=str(self.root / "pid"),
            version="2.10.7",
            directory=str(self.root / "lib"),
            link=str(self.root / "nats-server"),
            config_file=self.config_file,
            entries=entries,
            **more,
        )
        assert "action" in told, told
        return told["action"], [reason.replace(str(self.root), "") for reason in told["reasons"]]

    def apply(self, live: Live, entries: list[Result]) -> None:
        """Write the files and let the server read its configuration anew."""
        assert self.run("config_tree", entries=entries)["changed"]
        self.reload(live)

    def reload(self, live: Live) -> None:
        before = (live.varz() or {})["config_load_time"]
        live.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + SECONDS
        while (live.varz() or {})["config_load_time"] == before:
            assert time.monotonic() < deadline, live.output.read_text()


class Started(t.NamedTuple):
    """A server that runs."""

    host: Host
    live: Live
    material: Material
    config: Result


Start = Callable[..., Started]


@pytest.fixture
def start(tmp_path: Path, nats_server: Path, run_module: Callable[..., Result]) -> Iterator[Start]:
    """Give a function that starts a server with the options of the given one, and with files beside it."""
    with ExitStack() as stack:

        def begin(make: Callable[[Host, Material], Result], **files: str) -> Started:
            root = tmp_path / "host"
            root.mkdir()
            (tmp_path / "material").mkdir()
            material = make_material(tmp_path / "material")
            # together, so that none is given twice
            ports = dict(zip((*GREETS, "http"), free_ports(len(GREETS) + 1), strict=True))
            host = Host(root, nats_server, ports, run_module)
            for name, text in files.items():
                (root / name).write_text(text)
                (root / name).chmod(0o600)
            for name, source in (("cert.pem", material.certificates[0]), ("key.pem", material.keys[0])):
                shutil.copy(source, root / name)
                (root / name).chmod(0o600)
            config = {"host": "127.0.0.1", "port": host.ports["client"], **make(host, material)}
            live = stack.enter_context(Live(root / "nats-server", host.directory, config))
            Path(host.config_file).chmod(0o600)
            (root / "pid").write_text(f"{live.process.pid}\n")
            assert live.wait(), live.output.read_text()
            return Started(host, live, material, config)

        yield begin


def with_tls(host: Host, _material: Material) -> Result:
    return {"http_port": host.ports["http"], "tls": host.tls}


def contents(material: Material) -> dict[str, str]:
    """Give the files of a certificate that is renewed."""
    return {"cert.pem": Path(material.certificates[1]).read_text(), "key.pem": Path(material.keys[0]).read_text()}


def test_a_renewed_certificate_is_reloaded_and_no_client_is_dropped(start: Start) -> None:
    host, live, material, config = start(with_tls)
    old = {**contents(material), "cert.pem": Path(material.certificates[0]).read_text()}
    assert host.plan(host.described(config, **old)) == ("nothing", [])
    renewed = host.described(config, **contents(material))
    assert host.plan(renewed) == ("reload", ["tls.cert_file: /cert.pem -> content (reload)"])

    async def through_the_reload() -> int:
        context = ssl._create_unverified_context()
        url = f"tls://127.0.0.1:{host.ports['client']}"
        listener(host.ports["client"]).close()
        clients = [await nats.connect(url, tls=context, allow_reconnect=False) for _each in range(CLIENTS)]
        await asyncio.to_thread(host.apply, live, renewed)
        await asyncio.sleep(0.1)
        lost = sum(not each.is_connected for each in clients)
        await asyncio.gather(*(each.close() for each in clients))
        return lost

    assert asyncio.run(through_the_reload()) == 0
    new = serial_number_of(contents(material)["cert.pem"])
    assert serial_number(host.ports["client"], greets=True) == new
    assert host.plan(renewed) == ("nothing", [])

    # the way back, and what somebody did by hand
    back = host.described(config, **old)
    assert host.plan(back)[0] == "reload"
    host.apply(live, back)
    assert serial_number(host.ports["client"], greets=True) != new
    (host.root / "cert.pem").write_text(contents(material)["cert.pem"])
    assert host.plan(back) == ("reload", ["tls.cert_file: /cert.pem -> content (reload)"])


def test_a_deployment_that_was_cut_off_before_the_reload_is_made_good(start: Start) -> None:
    host, live, material, config = start(with_tls)
    renewed = host.described(config, **contents(material))
    time.sleep(PAUSE)
    assert host.run("config_tree", entries=renewed)["changed"]
    assert host.plan(renewed) == ("reload", ["tls.cert_file: /cert.pem -> not in effect yet (reload)"])
    host.reload(live)
    assert host.plan(renewed) == ("nothing", [])
    # who may read a file is nothing to a server that has read it
    (host.root / "key.pem").chmod(0o640)
    assert host.plan(renewed)[0] == "nothing"


def test_a_link_on_the_way_to_a_certificate_is_a_part_of_it(start: Start) -> None:
    def make(host: Host, material: Material) -> Result:
        for number, name in enumerate(("one", "two")):
            (host.root / name).mkdir()
            shutil.copy(material.certificates[number], host.root / name / "cert.pem")
        (host.root / "current").symlink_to("one")
        tls = {**host.tls, "cert_file": str(host.root / "current" / "cert.pem")}
        return {"http_port": host.ports["http"], "tls": tls}

    host, live, material, config = start(make)
    link = {"path": str(host.root / "current"), "state": "link", "target": "two"}
    moved = [*host.described(config), link]
    assert host.plan(moved) == ("reload", ["tls.cert_file: /current -> target (reload)"])
    host.apply(live, moved)
    new = serial_number_of(Path(material.certificates[1]).read_text())
    assert serial_number(host.ports["client"], greets=True) == new


def test_every_listener_shows_a_renewed_certificate_after_a_reload(start: Start) -> None:
    def make(host: Host, _material: Material) -> Result:
        blocks = {
            name: {"host": "127.0.0.1", "port": host.ports[name], "tls": host.tls}
            for name in ("cluster", "gateway", "leafnodes", "websocket", "mqtt")
        }
        blocks["cluster"]["name"] = blocks["gateway"]["name"] = "one"
        blocks["cluster"]["routes"] = ["nats://127.0.0.1:1"]  # JetStream wants one in a cluster
        store = {"store_dir": str(host.root / "store"), "max_mem": "64M", "max_file": "128M"}
        names = {"server_name": "one", "https_port": host.ports["https"], "jetstream": store, "tls": host.tls}
        # who has both gateways and leafnodes needs a system account
        accounts = {"system_account": "SYSTEM", "accounts": {"SYSTEM": {"users": [{"user": "s", "password": "s"}]}}}
        return {**names, **blocks, **accounts}

    host, live, material, _config = start(make)
    old, new = (serial_number_of(Path(each).read_text()) for each in material.certificates)
    assert {serial_number(host.ports[name], greets=greets) for name, greets in GREETS.items()} == {old}
    shutil.copy(material.certificates[1], host.tls["cert_file"])
    host.reload(live)
    shown = {name: serial_number(host.ports[name], greets=greets) for name, greets in GREETS.items()}
    assert shown == dict.fromkeys(GREETS, new)


def test_an_included_file_is_compared_by_what_it_says(start: Start) -> None:
    def make(host: Host, _material: Material) -> Result:
        return {"http_port": host.ports["http"], "$include": "../part.conf"}

    host, live, _material, config = start(make, **{"part.conf": "max_payload: 1000\n"})
    # what somebody else includes there is known as well
    assert host.plan(host.described(config)) == ("nothing", [])
    assert host.plan(host.described(config, **{"part.conf": "# the same\nmax_payload: 1000\n"})) == ("nothing", [])
    other = host.described(config, **{"part.conf": "max_payload: 2000\n"})
    assert host.plan(other) == ("reload", ["max_payload: 1K -> 2K (reload)"])
    assert host.plan(host.described(config, **{"part.conf": ""})) == ("reload", ["max_payload: 1K -> unset (reload)"])
    named = host.described(config, **{"part.conf": "max_payload: 1000\nserver_name: other\n"})
    assert host.plan(named) == ("restart", ["server_name: unset -> other (restart)"])
    host.apply(live, other)
    assert (live.varz() or {})["max_payload"] == 2000
    assert host.plan(other) == ("nothing", [])
    time.sleep(PAUSE)
    (host.root / "part.conf").write_text("max_payload: 3000\n")
    action, reasons = host.plan(other)
    assert action == "restart"  # nobody has recorded what the server runs with
    assert reasons[0].startswith("included file /part.conf: read ")
    assert reasons[0].endswith(" -> written since (restart)")


def test_what_no_reload_takes_up_asks_for_a_restart(start: Start) -> None:
    def make(host: Host, material: Material) -> Result:
        shutil.copy(material.operator_file, host.root / "operator.jwt")
        (host.root / "operator.jwt").chmod(0o600)
        return {
            "http_port": host.ports["http"],
            "operator": str(host.root / "operator.jwt"),
            "resolver": "MEMORY",
            "resolver_preload": {material.account_keys[0]: material.account_jwts[0]},
        }

    host, live, _material, config = start(make)
    (host.root.parent / "other").mkdir()
    other = Path(make_material(host.root.parent / "other").operator_file).read_text()
    changed = host.described(config, **{"operator.jwt": other})
    action, reasons = host.plan(changed)
    assert (action, reasons) == ("restart", ["operator: /operator.jwt -> content (restart)"])
    assert host.run("config_tree", entries=changed)["changed"]
    live.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + SECONDS
    while "config reload not supported for TrustedOperators" not in live.output.read_text():
        assert time.monotonic() < deadline, live.output.read_text()


def test_a_file_that_no_option_names_asks_for_a_restart_where_the_server_reads_it(start: Start) -> None:
    host, _live, _material, config = start(with_tls)
    described = host.described(config, **{"extra.env": "A=b\n"})
    assert host.plan(described) == ("restart", ["file: /extra.env -> created (restart)"])
    for entry in described:
        entry.pop("reader", None)
    assert host.plan(described) == ("nothing", [])
    os.utime(host.root / "cert.pem")  # by somebody else, and no part of the description
    assert host.plan(host.described(config)) == ("nothing", [])
