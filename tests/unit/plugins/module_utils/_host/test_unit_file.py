# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._host import system, unit_file
from ansible_collections.rosey.nats.plugins.module_utils._host.unit_file import Setting

UNIT = """\
# what is deployed
[Unit]
Description=NATS server

[Service]
User=nats
ExecStart=/usr/local/bin/nats-server \\
  # in between
  -c /etc/nats/nats-server.conf
ReadWritePaths=/var/lib/nats
ReadWritePaths=/var/log/nats
"""
COMMAND = "/usr/local/bin/nats-server  -c /etc/nats/nats-server.conf"


def service(text: str) -> tuple[Setting, ...]:
    return unit_file.parse(f"[Service]\n{text}", "x.conf")


def test_a_unit_is_read_as_systemd_reads_it() -> None:
    assert [(each.section, str(each)) for each in unit_file.parse(UNIT)] == [
        ("Unit", "Description=NATS server"),
        ("Service", "User=nats"),
        ("Service", f"ExecStart={COMMAND}"),
        ("Service", "ReadWritePaths=/var/lib/nats"),
        ("Service", "ReadWritePaths=/var/log/nats"),
    ]


@pytest.mark.parametrize("text", ["", "User", "; User=root", "[Service", "\\", "User=nats\\"])
def test_what_is_no_setting_is_left_out(text: str) -> None:
    assert not unit_file.parse(text)


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("User=a\nUser=b", "User", "b"),
        ("User=a\nUser=", "User", ""),
        ("ExecStart=a\nExecStart=b", "ExecStart", "a b"),
        ("ExecStart=a\nExecStart=\nExecStart=b", "ExecStart", "b"),
        ("[Install]\nUser=a", "User", ""),
    ],
)
def test_lists_add_up_and_of_anything_else_the_last_counts(text: str, name: str, expected: str) -> None:
    assert unit_file.value(service(text), name) == expected


@pytest.mark.parametrize(
    ("drop_in", "expected"),
    [
        ("", []),
        ("LimitNOFILE=9\nEnvironment=A=b\nReadWritePaths=/srv", []),
        ("User=nats", []),
        (f"ExecStart=\nExecStart={COMMAND.replace('  ', ' ')}", []),
        ("User=root", [("User", "nats", "root", ["User=root"])]),
        ("User=root\nUser=nats", []),
        ("DynamicUser=yes", [("DynamicUser", "", "yes", ["DynamicUser=yes"])]),
        ("ExecStart=\nExecStart=/x", [("ExecStart", COMMAND, "/x", ["ExecStart=/x"])]),
        # systemd refuses a second one
        ("ExecStart=/x", [("ExecStart", COMMAND, f"{COMMAND} /x", ["ExecStart=/x"])]),
        ("ExecStart=", [("ExecStart", COMMAND, "", ["ExecStart="])]),
    ],
)
def test_a_drop_in_that_changes_what_counts_is_found(
    drop_in: str, expected: list[tuple[str, str, str, list[str]]]
) -> None:
    found = unit_file.overrides(unit_file.parse(UNIT), service(drop_in), ["ExecStart", "User", "DynamicUser"])
    assert [(each.name, each.meant, each.found, [str(one) for one in each.by]) for each in found] == expected


def put(root: Path, path: str, text: str = "[Service]\nUser=x\n") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_a_service_without_files_has_nothing(tmp_path: Path) -> None:
    assert unit_file.look("nats", tmp_path) == unit_file.Files()


def test_the_unit_of_the_administrator_counts(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/systemd/system/nats.service", "[Service]\nUser=packaged\n")
    mine = put(tmp_path, "etc/systemd/system/nats.service")
    assert unit_file.look("nats", tmp_path).unit == (Setting("Service", "User", "x", str(mine)),)


def test_drop_ins_are_laid_over_each_other_by_their_names(tmp_path: Path) -> None:
    names = [
        "usr/lib/systemd/system/service.d/50-all.conf",
        "run/systemd/system/my-nats.service.d/40-run.conf",
        "etc/systemd/system/my-.service.d/30-like.conf",
        "etc/systemd/system.control/my-nats.service.d/20-property.conf",
    ]
    for name in names:
        put(tmp_path, name)
    put(tmp_path, "usr/lib/systemd/system/my-nats.service.d/40-run.conf")  # one of that name counts already
    put(tmp_path, "etc/systemd/system/my-nats.service.d/notes.txt")
    put(tmp_path, "etc/systemd/system/your-nats.service.d/60-other.conf")
    found = unit_file.look("my-nats", tmp_path).drop_ins
    assert [each.file for each in found] == [str(tmp_path / name) for name in reversed(names)]


def test_a_drop_in_that_is_masked_takes_away_its_namesake(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/systemd/system/nats.service.d/a.conf")
    mask = put(tmp_path, "etc/systemd/system/nats.service.d/a.conf")
    mask.unlink()
    mask.symlink_to("/dev/null")
    assert unit_file.look("nats", tmp_path).drop_ins == ()


def test_a_drop_in_that_root_alone_may_read_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = put(tmp_path, "etc/systemd/system/nats.service.d/a.conf")
    other = put(tmp_path, "etc/systemd/system/nats.service.d/b.conf")
    read = system.read_text

    def forbidden(path: Path, errors: str = "strict") -> str:
        if path == secret:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, errors)

    monkeypatch.setattr(system, "read_text", forbidden)
    assert [each.file for each in unit_file.look("nats", tmp_path).drop_ins] == [str(other)]


@pytest.mark.parametrize("is_link", [True, False], ids=["a link to /dev/null", "an empty file"])
def test_a_masked_unit_is_told(tmp_path: Path, is_link: bool) -> None:
    unit = put(tmp_path, "etc/systemd/system/nats.service", "")
    if is_link:
        unit.unlink()
        unit.symlink_to("/dev/null")
    assert unit_file.look("nats", tmp_path) == unit_file.Files(masked=str(unit))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("/var/lib/nats", "/var/lib/nats"),
        ("/var/my lib", '"/var/my lib"'),
        ("/var/100%", '"/var/100%%"'),
        ('/a"b', '"/a\\"b"'),
        ("/a'b", '"/a\'b"'),
        ("/a\\b", '"/a\\\\b"'),
    ],
)
def test_a_word_is_quoted_where_systemd_would_read_it_in_another_way(word: str, expected: str) -> None:
    assert unit_file.quoted(word) == expected


def test_a_dollar_is_one_of_a_command_line_alone() -> None:
    assert unit_file.quoted("/a$b") == "/a$b"
    assert unit_file.argument("/a$b") == "/a$$b"


@given(st.lists(st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1)))
def test_what_is_quoted_is_read_back(words: list[str]) -> None:
    assert unit_file.unquoted(" ".join(map(unit_file.quoted, words))) == tuple(words)


def test_quotes_that_do_not_match_are_no_end() -> None:
    assert unit_file.unquoted('/a "/b') == ("/a", '"/b')
