# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image that can't be made is told in one sentence, and none is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.rosey.nats.tests import images

# An engine that has no image, and takes whatever it is given.
ENGINE = """
echo "$1 $2" >> {calls}
case "$1 $2" in
"image inspect") exit 1 ;;
import*) while read -r line; do :; done ;;
build*) echo "E: The repository 'http://mirror.example bullseye Release' does not have a Release file." >&2; exit 1 ;;
esac
"""
GONE = """
echo "Err:1 http://mirror.example bullseye Release" >&2
echo "E: The repository 'http://mirror.example bullseye Release' does not have a Release file." >&2
exit 1
"""
BROKEN = "echo 'E: unable to fork' >&2; exit 1"
NOT_CARRIED = "The package mirrors that are used here don't carry Debian bullseye: nothing is tested on it."


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the list of what the engine is asked; the directory has the only programs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    told = tmp_path / "calls"
    put(tmp_path / "docker", ENGINE.format(calls=told))
    return told


def put(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [(GONE, NOT_CARRIED), (BROKEN, "Debian bullseye could not be made; what is said above is the reason.")],
)
def test_a_debian_that_can_not_be_made_of_packages_is_told(
    script: str, sentence: str, calls: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(calls.parent / "mmdebstrap", script)
    with pytest.raises(SystemExit) as ended:
        images.main(["bullseye"])
    assert str(ended.value) == sentence
    assert "E: " in capsys.readouterr().err
    assert calls.read_text().splitlines()[-1] == "image rm"


def test_a_debian_that_can_not_be_pulled_is_told(calls: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        images.main(["bullseye"])
    assert str(ended.value) == NOT_CARRIED


def test_a_debian_that_was_made_stays(calls: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(calls.parent / "mmdebstrap", "echo the system")
    images.main(["bullseye"])
    assert capsys.readouterr().out == "rosey-nats-test:bullseye made\n"
    assert "image rm" not in calls.read_text()
