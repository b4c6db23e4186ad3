# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The locks are what the tools say they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOCKS = sorted(ROOT.glob("requirements*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_locked_package_has_a_hash(lock: Path) -> None:
    entries = re.split(r"^(?=[a-z])", lock.read_text(), flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_pin_is_in_its_lock(lock: Path) -> None:
    pins = re.findall(r"^[A-Za-z].*==\S+$", lock.with_suffix(".in").read_text(), flags=re.MULTILINE)
    locked = lock.read_text().lower()
    assert pins
    assert [pin for pin in pins if f"\n{pin.lower()} " not in locked] == []


def test_both_environments_have_the_same_ansible() -> None:
    lines = {lock.name: lock.read_text().splitlines() for lock in LOCKS}
    core = {name: [line for line in found if line.startswith("ansible-core==")] for name, found in lines.items()}
    assert core["requirements.txt"] == core["requirements-test.txt"]


@pytest.mark.parametrize(
    "file",
    [ROOT / "meta" / "runtime.yml", *sorted(ROOT.glob("roles/*/meta/main.yml"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_oldest_ansible_that_is_promised_is_the_one_that_is_tested(file: Path) -> None:
    tested = re.search(r"^ansible-core==(\d+\.\d+)\.", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    promised = re.search(r'(?:requires_ansible: ">=|min_ansible_version: ")(\d+\.\d+)', file.read_text())
    assert tested
    assert promised
    assert promised[1] == tested[1]
