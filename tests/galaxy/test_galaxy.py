# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Galaxy, the documentation's site and an execution environment say of the collection: their tools say nothing."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.plugin_utils import variables
from ansible_collections.rosey.nats.tests import run, sanity

# What the collection depends on is there with the package ansible, beside which pytest runs.
SHIPPED = sysconfig.get_paths()["purelib"]
IMPORTER = """[galaxy-importer]
CHECK_REQUIRED_TAGS = True
# tests.sanity runs it, without the container that this would start.
RUN_ANSIBLE_TEST = False
"""


def said(directory: Path, *words: str, **more: str) -> str:
    """Run a tool of the environment for these; give what it says where it ends well."""
    names = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "GALAXY_"))}
    path = f"{run.GALAXY / 'bin'}:{sanity.SYSTEM_PATH}"
    names |= {"PATH": path, "ANSIBLE_COLLECTIONS_PATH": SHIPPED, "ANSIBLE_NOCOLOR": "1", **more}
    done = subprocess.run(words, cwd=directory, env=names, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a copy of what git would commit, where Ansible finds it as a collection."""
    copied = tmp_path_factory.mktemp("tree") / "ansible_collections" / "rosey" / "nats"
    sanity.copy_tree(copied)
    return copied


@pytest.fixture(scope="module")
def archive(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    destination = tmp_path_factory.mktemp("built")
    said(tree, "ansible-galaxy", "collection", "build", "--output-path", str(destination))
    (built,) = destination.iterdir()
    return built


def test_galaxy_imports_it_without_a_word_of_blame(archive: Path, tmp_path: Path) -> None:
    settings = tmp_path / "galaxy-importer.cfg"
    settings.write_text(IMPORTER)
    words = ("python", "-m", "galaxy_importer.main", str(archive))
    told = said(tmp_path, *words, GALAXY_IMPORTER_CONFIG=str(settings), HOME=str(tmp_path))
    print(told)
    assert "Importer processing completed successfully" in told
    assert "ansible-lint run complete" in told
    assert [line for line in told.splitlines() if line.startswith(("WARNING", "ERROR", "CRITICAL"))] == []


def test_the_site_of_the_documentation_takes_all_pages(tree: Path) -> None:
    words = ("--plugin-docs", "--check-extra-docs-refs", "--validate-collection-refs", "dependent")
    found = said(tree, "antsibull-docs", "lint-collection-docs", *words, "--disallow-unknown-collection-refs", ".")
    assert found == ""


def test_the_changelog_is_what_its_releases_say(tree: Path) -> None:
    assert said(tree, "antsibull-changelog", "lint") == ""
    said(tree, "antsibull-changelog", "generate")
    assert (tree / "CHANGELOG.rst").read_text() == (run.ROOT / "CHANGELOG.rst").read_text()


def test_the_changelog_names_each_public_name_that_changed() -> None:
    written = (run.ROOT / "CHANGELOG.rst").read_text()
    routing = yaml.safe_load((run.ROOT / "meta" / "runtime.yml").read_text())["plugin_routing"]
    moved = {
        old: entry["tombstone"]["warning_text"].split("rosey.nats.")[1].split()[0]
        for kind in routing.values()
        for old, entry in kind.items()
    }
    pairs = {**variables.RENAMED, **variables.RENAMED_EXTRA, **moved}
    lines = written.splitlines()
    lacking = [
        f"{old} -> {new}"
        for old, new in pairs.items()
        if not any(f" ``{old}`` " in line and f"is called ``{new}``" in line for line in lines)
    ]
    assert lacking == []


def test_an_execution_environment_gets_the_libraries_of_the_controller(archive: Path, tmp_path: Path) -> None:
    said(
        tmp_path, "ansible-galaxy", "collection", "install", "--offline", "--no-deps", "-p", str(tmp_path), str(archive)
    )
    needed = yaml.safe_load(said(tmp_path, "ansible-builder", "introspect", str(tmp_path)))
    print(needed)
    assert needed["system"] == []
    assert sorted(each.split(">=")[0] for each in needed["python"]) == ["bcrypt", "requests"]
