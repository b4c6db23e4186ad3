# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment files under the systemd of a real host: it hands on to a service what was meant, and what we read."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import environment_file

if TYPE_CHECKING:
    from .conftest import Container

NASTY = (
    "",
    " ",
    " both ends ",
    '"',
    "'",
    'it\'s "quoted"',
    "$HOME ${HOME} $(id) $$",
    "`id`",
    "a #b",
    ";c",
    "\\",
    "\\\\",
    "ends in \\",
    "\\n\\$x\\",
    "!!ls",
    "a;b&c|d<e>f(g)*?[h]~",
    "%h%%",
    "ünï 日本 🤖",
    "a\u0301\u200d\u00a0\u2028",
    "x" * 5000,
)
MEANT = {f"V{number}": value for number, value in enumerate(NASTY)}
# What others may have written, in all the ways that the two read differently.
FOREIGN = r"""# comment
 ; comment
A0=it's
A1=a  b
A2="a"b"c"
A3='a' "b"
A4=a\
b
A5="a\
b\x\$"
A6='several
A7=lines'
A7=a # b
A8 = "a"  # b
A9=a\ \
export B0=1
B1=$HOME
B2
B3=	"a
b"
B4=1
B4=2
B5=
B6='it'\''s'
B7=a\
\ b
B8=last"""


@pytest.fixture(scope="module")
def host(start_container: Callable[..., Container]) -> Container:
    return start_container("rosey-test-environment-file")


def put_file(host: Container, text: bytes) -> None:
    host.run(f"echo {base64.b64encode(text).decode()} | base64 -d > /root/secrets.env")


def seen(said: str) -> dict[str, str]:
    pairs = base64.b64decode(said).decode().split("\0")[:-1]
    return {
        name: value for name, value in (pair.split("=", 1) for pair in pairs) if name[0] in "ABV" and name[1:].isdigit()
    }


def by_systemd(host: Container) -> dict[str, str]:
    run = "systemd-run --quiet --wait --pipe --property=EnvironmentFile=/root/secrets.env env --null"
    return seen(host.run(f"{run} | base64 --wrap=0"))


def by_shell(host: Container) -> dict[str, str]:
    return seen(host.run("env -i sh -c 'set -a; . /root/secrets.env; env --null' | base64 --wrap=0"))


def test_systemd_and_a_shell_hand_on_what_was_meant(host: Container) -> None:
    put_file(host, environment_file.put(b"", MEANT))
    assert by_systemd(host) == MEANT
    assert by_shell(host) == MEANT


def test_the_two_agree_on_what_is_put_among_other_lines(host: Container) -> None:
    text = b"# it's\nexport V1=old\nV2=$HOME\r\n V3 = old # why\nV4='old' # why\nV5=\"old\nlines\"\nV5=1\nOTHER=1"
    put_file(host, environment_file.put(text, MEANT))
    assert by_systemd(host) == MEANT
    assert by_shell(host) == MEANT


def test_a_foreign_file_is_read_as_systemd_reads_it(host: Container) -> None:
    put_file(host, FOREIGN.encode())
    assert environment_file.get(FOREIGN.encode()) == by_systemd(host)
