# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of a writer that died; test_release.py has the files that it wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file


@pytest.mark.parametrize(
    ("name", "is_swept"),
    [
        (atomic_file.temporary_name(), True),
        (f"{atomic_file.temporary_name()}.quotes.yaml", True),
        (".rosey-00000000.abc_1xyz", True),
        # the manifest of the plugins' directory, and what somebody else may have named
        (".rosey-nats", False),
        (".rosey-00000000x", False),
        (".rosey-settings", False),
        ("x.rosey-00000000", False),
        ("config.yaml", False),
    ],
)
@pytest.mark.parametrize("kind", ["file", "directory", "link to a directory"])
def test_a_sweep_takes_away_what_was_being_written(tmp_path: Path, name: str, is_swept: bool, kind: str) -> None:
    place, elsewhere = tmp_path / "etc", tmp_path / "elsewhere"
    for directory in (place, elsewhere):
        directory.mkdir()
        (directory / "kept").touch()
    if kind == "file":
        (place / name).touch()
    elif kind == "directory":
        (place / name / "below").mkdir(parents=True)
        (place / name / "below" / "file").touch()
    else:
        (place / name).symlink_to(elsewhere)
    atomic_file.sweep(place)
    assert sorted(path.name for path in place.iterdir()) == sorted(["kept"] + ([] if is_swept else [name]))
    assert [path.name for path in elsewhere.iterdir()] == ["kept"]


def test_there_is_nothing_to_sweep_where_nothing_is(tmp_path: Path) -> None:
    atomic_file.sweep(tmp_path / "missing")
