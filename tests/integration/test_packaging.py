# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The built collection, installed into an empty path, does the whole job from any directory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.module_utils._server import subjects
from ansible_collections.rosey.nats.tests.sampling import sampled

ROOT = Path(__file__).resolve().parents[2]
ABOUT_THE_ARCHIVE = {"MANIFEST.json", "FILES.json"}
# Whatever git tracks below these is part of the product, and nothing else is.
PARTS = (
    *("CHANGELOG.rst", "CODE_OF_CONDUCT.md", "COPYING", "README.md", "SECURITY.md"),
    *("changelogs", "docs", "inventories", "meta", "playbooks", "plugins", "roles"),
)


def run(directory: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(words, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done


@dataclass(frozen=True)
class Installation:
    """A path that holds the installed collection alone, and a directory without any configuration to work from."""

    collections: Path
    directory: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment |= {"ANSIBLE_COLLECTIONS_PATH": str(self.collections), "ANSIBLE_NOCOLOR": "1", "COLUMNS": "1000"}
        return run(self.directory, environment, *words)

    def documented(self, kind: str) -> list[str]:
        listed = self.run("ansible-doc", "--type", kind, "--list", "--json", "rosey.nats")
        return list(json.loads(listed.stdout))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    destination = tmp_path_factory.mktemp("built")
    run(ROOT, dict(os.environ), "ansible-galaxy", "collection", "build", "--output-path", str(destination))
    (built,) = destination.iterdir()
    return built


@pytest.fixture(scope="module")
def installation(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Install without a network: the dependency is found among the collections that came with Ansible."""
    installed = Installation(tmp_path_factory.mktemp("collections"), tmp_path_factory.mktemp("elsewhere"))
    where = ("-p", str(installed.collections))
    installed.run("ansible-galaxy", "collection", "install", "--offline", *where, str(archive))
    return installed


@dataclass(frozen=True)
class Server:
    """An inventory with one server that runs as a process of this user."""

    inventory: Path
    monitoring_port: int

    def varz(self) -> dict[str, object]:
        with urlopen(f"http://127.0.0.1:{self.monitoring_port}/varz", timeout=5) as answer:
            return dict(json.load(answer))


@pytest.fixture
def server(tmp_path: Path, free_port: Callable[[], int], installation: Installation) -> Iterator[Server]:
    monitoring_port = free_port()
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "nats_server_runtime": "process",
        "nats_server_install_method": "build",
        "nats_server_prefix": str(tmp_path / "root"),
        "nats_server_config": {"server_name": "packaged", "port": free_port(), "http_port": monitoring_port},
        "bot_config_environment": "development",
        "bot_config_runtime": "process",
        "bot_config_command": ["/nowhere/python", "-m", "rosey_bot"],
    }
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"rosey": {"hosts": {"here": variables}}}))
    yield Server(inventory, monitoring_port)
    installation.run("ansible-playbook", "rosey.nats.stop", "-i", str(inventory))


def test_the_archive_holds_the_product_and_nothing_else(archive: Path) -> None:
    with tarfile.open(archive) as opened:
        packed = {member.name for member in opened if not member.isdir()} - ABOUT_THE_ARCHIVE
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PARTS]
    names = subprocess.check_output(listed, cwd=ROOT, text=True).split("\0")
    assert packed == {name for name in names if (ROOT / name).is_file()}
    assert {name.partition("/")[0] for name in packed} == set(PARTS)
    assert "meta/runtime.yml" in packed


@pytest.mark.parametrize("environment", sampled(subjects.PREFIXES, 1))
def test_an_installed_inventory_is_linked_to_the_shared_plugins(installation: Installation, environment: str) -> None:
    inventories = installation.collections / "ansible_collections" / "rosey" / "nats" / "inventories"
    shared = inventories / environment / "group_vars" / "all" / "plugins.yml"
    assert shared.is_symlink()
    assert shared.resolve() == inventories / "common" / "plugins.yml"
    listed = installation.run("ansible-playbook", "rosey.nats.contract", "-i", str(inventories / environment))
    assert "commands.triviastop" in listed.stdout


@pytest.mark.thorough
def test_the_installed_playbooks_prove_a_server_and_stop_it(installation: Installation, server: Server) -> None:
    words = ("ansible-playbook", "rosey.nats.site", "-i", str(server.inventory))
    first = installation.run(*words)
    assert re.search(r"proven: [1-9]\d* of \d+ proven", first.stdout), first.stdout
    assert (server.varz()["server_name"], server.varz()["version"]) == ("packaged", "2.10.7")
    again = installation.run(*words)
    assert "changed=0" in again.stdout
    for said in (first, again):
        assert not said.stderr

    stopped = installation.run("ansible-playbook", "rosey.nats.stop", "-i", str(server.inventory))
    assert "changed=1" in stopped.stdout
    with pytest.raises(OSError, match="refused"):
        server.varz()


@pytest.mark.parametrize(("kind", "place"), [("module", "modules/*.py"), ("filter", "filter/*.yml"), ("role", None)])
def test_the_installed_pages_show_without_a_warning(installation: Installation, kind: str, place: str | None) -> None:
    files = ROOT.glob(f"plugins/{place}" if place else "roles/*")
    names = installation.documented(kind)
    assert sorted(names) == sorted(f"rosey.nats.{path.stem}" for path in files)
    shown = installation.run("ansible-doc", "--type", kind, *names)
    assert not shown.stderr
    assert "WARNING" not in shown.stdout
