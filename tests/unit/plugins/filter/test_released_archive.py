# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import tarfile
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.rosey.nats.plugins.filter.released_archive import FilterModule
from ansible_collections.rosey.nats.plugins.module_utils._host import architecture
from ansible_collections.rosey.nats.plugins.module_utils._server import archive

released_archive = FilterModule().filters()["released_archive"]


def test_the_example_gives_what_it_says(run_example: t.Callable[[str], tuple[t.Any, str]]) -> None:
    found, promised = run_example("released_archive")
    assert found == yaml.safe_load(promised)


@pytest.fixture
def exporter(tmp_path: Path) -> Path:
    binary = tmp_path / "prometheus-nats-exporter"
    binary.write_text("#!/bin/sh\n")
    with tarfile.open(tmp_path / "exporter.tar.gz", "w:gz") as tar:
        tar.add(binary, binary.name)
    return tmp_path / "exporter.tar.gz"


def test_one_checksum_is_enough_for_one_archive(exporter: Path) -> None:
    found = released_archive(exporter, "0.20.1", f"sha256:{archive.sha256(exporter)}", "prometheus-nats-exporter")
    assert found == {"problems": [], "architectures": [each.name for each in architecture.ARCHITECTURES]}


def test_another_program_is_no_server(exporter: Path) -> None:
    found = released_archive(exporter, "2.10.7", {"2.10.7": {386: archive.sha256(exporter)}})
    assert found["architectures"] == []
    assert "is no release of nats-server" in found["problems"][0]


@pytest.mark.parametrize("arguments", [(["a"],), ({"2.10.7": "ab"},), ("ab", "nginx")])
def test_what_is_no_description_is_refused(arguments: tuple[t.Any, ...]) -> None:
    with pytest.raises(AnsibleFilterError, match="released_archive: "):
        released_archive("/nowhere", "2.10.7", *arguments)
