# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever ships to a host is imported by the Python there; that of Debian 11 is the oldest that a host may have.

No other Python than that of a host could show it: neither a later Debian nor PyPI has one as old for ansible-test.
"""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible import module_utils
from testinfra.host import Host

from ansible_collections.rosey.nats.plugins.module_utils._host import python

PLUGINS = Path(__file__).parents[3] / "plugins"
VERSIONS = {"rosey-production-debian11": python.OLDEST, "rosey-production-debian13": (3, 13)}
UNPACKED = "/tmp/rosey-nats-payload"
UNPACK = f"import io, sys, zipfile; zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read())).extractall({UNPACKED!r})"
PREFIX = "ansible_collections.rosey.nats.plugins."
# Gives each fault once, whatever else can't be imported for it.
IMPORT = """
import importlib, json, sys, traceback
faults = set()
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception:
        faults.add(traceback.format_exc(limit=-1))
print(json.dumps([sys.version_info[:2], sorted(faults)]))
"""
EVALUATE = f"""
import json, socket
from {PREFIX}module_utils.{{package}} import {{module}}
listener = socket.create_server(("127.0.0.1", 0))
silent = "nats://127.0.0.1:%d" % listener.getsockname()[1]
print(json.dumps({{expression}}))
"""

Ask = Callable[..., Any]


def files() -> list[Path]:
    return sorted(path for part in ("modules", "module_utils") for path in (PLUGINS / part).rglob("*.py"))


@pytest.fixture(scope="module")
def payload() -> bytes:
    """Pack what runs on hosts, as Ansible packs it for a module."""
    packed = io.BytesIO()
    ansible = Path(next(iter(module_utils.__path__)))
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ansible/__init__.py", "")
        for path in ansible.rglob("*.py"):
            archive.write(path, Path("ansible", "module_utils", path.relative_to(ansible)))
        for path in files():
            archive.write(path, Path("ansible_collections", "rosey", "nats", "plugins", path.relative_to(PLUGINS)))
    return packed.getvalue()


@pytest.fixture(scope="module")
def ask(host: Host, payload: bytes) -> Iterator[Ask]:
    """Give a function that runs a script with the payload by the Python of the host; gives the JSON that it prints."""

    def run(script: str, *arguments: str, given: bytes = b"") -> str:
        words = ["docker", "exec", "-i", f"--env=PYTHONPATH={UNPACKED}", host.backend.get_hostname()]
        command = [*words, "python3", "-c", script, *arguments]
        return subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True).stdout.decode()

    run(UNPACK, given=payload)
    yield lambda script, *arguments: json.loads(run(script, *arguments))
    run(f"import shutil; shutil.rmtree({UNPACKED!r})")


def test_whatever_ships_is_imported_by_the_python_of_the_host(host: Host, ask: Ask) -> None:
    names = [PREFIX + ".".join(path.relative_to(PLUGINS).with_suffix("").parts) for path in files()]
    assert names
    version, faults = ask(IMPORT, *names)
    assert "\n".join(faults) == ""
    assert tuple(version) == VERSIONS[host.backend.get_hostname()]


@pytest.mark.parametrize(
    ("module", "expression", "expected"),
    [
        # fromisoformat() reads less before 3.11
        ("_server.units", "str(units.moment('2026-01-02T03:04:05.123456789Z'))", "2026-01-02 03:04:05.123456+00:00"),
        ("_server.units", "str(units.moment('2026-01-02T03:04:05-08:00'))", "2026-01-02 03:04:05-08:00"),
        # socket.timeout is no TimeoutError before 3.10
        ("_watch.checks", "checks.connect(silent, 0.1)", "timed out"),
        (
            "_server.http_reader",
            "http_reader._explain(socket.timeout('timed out'), 'http://h', 2, http_reader.NATS_SERVER)[0]",
            "no whole answer within 2 seconds",
        ),
    ],
)
def test_what_an_older_python_does_in_another_way_comes_out_the_same(
    ask: Ask, module: str, expression: str, expected: object
) -> None:
    package, _dot, name = module.rpartition(".")
    assert ask(EVALUATE.format(package=package, module=name, expression=expression)) == expected
