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
from pathlib import Path

import pytest
from ansible import module_utils
from testinfra.host import Host

from ansible_collections.rosey.nats.plugins.module_utils._host import python

PLUGINS = Path(__file__).parents[3] / "plugins"
VERSIONS = {"rosey-production-debian11": python.OLDEST, "rosey-production-debian13": (3, 13)}
# Gives each fault once, whatever else can't be imported for it.
IMPORT = """
import importlib, io, json, sys, tempfile, traceback, zipfile
faults = set()
with tempfile.TemporaryDirectory() as directory:
    zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read())).extractall(directory)
    sys.path.insert(0, directory)
    for name in sys.argv[1:]:
        try:
            importlib.import_module(name)
        except Exception:
            faults.add(traceback.format_exc(limit=-1))
print(json.dumps([sys.version_info[:2], sorted(faults)]))
"""


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


def test_whatever_ships_is_imported_by_the_python_of_the_host(host: Host, payload: bytes) -> None:
    prefix = "ansible_collections.rosey.nats.plugins."
    names = [prefix + ".".join(path.relative_to(PLUGINS).with_suffix("").parts) for path in files()]
    assert names
    name = host.backend.get_hostname()
    command = ["docker", "exec", "-i", name, "python3", "-c", IMPORT, *names]
    said = subprocess.run(command, input=payload, stdout=subprocess.PIPE, check=True).stdout
    version, faults = json.loads(said)
    assert "\n".join(faults) == ""
    assert tuple(version) == VERSIONS[name]
