# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries that describe a part of what is there: a section, some variables, the files on a manifest."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._host import yaml_section
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import apply, compare, show, spec

SECTION = "nats:\n  prefix: rosey.dev\n"


def section(path: Path, content: str = SECTION, **more: Any) -> dict[str, Any]:
    return {"path": str(path), "state": "section", "key": "nats", "content": content, **more}


def variables(path: Path, given: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"path": str(path), "state": "variables", "variables": given, **more}


def file(path: Path, **more: Any) -> dict[str, Any]:
    return {"path": str(path), "state": "file", "content": "text\n", **more}


def tree(directory: Path, *names: str, **more: Any) -> list[dict[str, Any]]:
    top = {"path": str(directory), "state": "directory", "manifest": ".manifest", **more}
    return [top, *(file(directory / name) for name in names)]


def put(*entries: dict[str, Any]) -> list[compare.Change]:
    changes = compare.compare(entries)
    apply.apply(changes, label=lambda new, place: None)
    return changes


def refusal(*entries: dict[str, Any]) -> str:
    with pytest.raises(spec.StateError) as caught:
        put(*entries)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Description


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"state": "section", "key": "nats"}, "/d/f: key or content is missing. A section needs both"),
        ({"state": "section", "content": ""}, "/d/f: key or content is missing"),
        ({"state": "section", "key": "", "content": ""}, "/d/f: key '' is empty"),
        (
            {"state": "section", "key": "a", "secret_content": "a: 1\n"},
            "secret_content has no meaning for state section",
        ),
        ({"state": "variables"}, "/d/f: variables is missing. Give names with their values; null removes a variable."),
        ({"state": "variables", "variables": {"A": "x\ny"}}, "/d/f: variables: A: character 2 of its value is a line"),
        ({"state": "variables", "variables": {"A": 5}}, "/d/f: variables: A: its value is no text"),
        ({"state": "variables", "variables": {}, "content": ""}, "content has no meaning for state variables"),
        ({"state": "file", "content": "", "manifest": "m"}, "manifest has no meaning for state file"),
        ({"state": "file", "content": "", "key": "m"}, "key has no meaning for state file"),
        ({"state": "file", "content": "", "reader": ""}, "/d/f: reader '' is empty"),
        (
            {"state": "directory", "manifest": "../m"},
            "/d/f: manifest '../m' is no name of a file in the directory itself",
        ),
        ({"state": "directory", "manifest": ".."}, "manifest '..' is no name"),
        ({"state": "directory", "manifest": ""}, "manifest '' is no name"),
        ({"state": "directory", "manifest": "a\0"}, "manifest 'a\\x00' is no name"),
    ],
)
def test_a_description_that_cannot_be_meant_is_refused(entry: dict[str, Any], told: str) -> None:
    with pytest.raises(spec.StateError) as caught:
        compare.compare([{"path": "/d/f", **entry}])
    assert told in str(caught.value)


# Sections


def test_a_section_is_put_into_the_file_and_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"# c\r\na: 1\r\n")
    path.chmod(0o640)
    (change,) = put(section(path, reader="bot"))
    assert (change.what, change.entry.reader) == (("content",), "bot")
    assert path.read_bytes() == b"# c\r\na: 1\r\nnats:\r\n  prefix: rosey.dev\r\n"
    assert mode(path) == 0o640
    assert put(section(path)) == []
    assert put(section(path, mode="0600"))[0].reasons == ("mode: 0640 -> 0600",)
    assert put(section(path, ""))[0].what == ("content",)
    assert path.read_bytes() == b"# c\r\na: 1\r\n"
    assert put(section(path, "")) == []


def test_a_missing_file_is_made_for_a_section_alone(tmp_path: Path) -> None:
    path = tmp_path / "d" / "config.yaml"
    directory = {"path": str(path.parent), "state": "directory"}
    assert [change.path for change in put(directory, section(path, ""))] == [str(path.parent)]
    assert put(section(path))[0].reasons == ("created: absent -> file", "content")
    assert path.read_text() == SECTION
    assert mode(path) == mode_of_new_files()


def mode_of_new_files() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def test_the_diff_of_a_section_shows_nothing_else_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("token: hidden-one\nnats: # old\n  x: 1\n# hidden-two\n")
    (item,) = show.diff(compare.compare([section(path)]))
    assert (item["before"], item["after"]) == ("nats: # old\n  x: 1\n", SECTION)
    (item,) = show.diff(compare.compare([section(path, "")]))
    assert (item["before"], item["after"]) == ("nats: # old\n  x: 1\n", "")


def test_a_file_that_cannot_be_spliced_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a: hidden\nnats: 1\nnats: 2\n")
    told = refusal(section(path), file(tmp_path / "innocent"))
    assert told == f"{path}: line 3: nats is there a second time. Remove one of the two."
    assert names(tmp_path) == ["config.yaml"]


def test_without_the_library_only_a_section_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_section, "HAS_YAML", False)
    assert f"{tmp_path}/config.yaml: Failed to import the required Python library (PyYAML)" in refusal(
        section(tmp_path / "config.yaml")
    )
    put(*tree(tmp_path / "d", "a"), variables(tmp_path / "v", {"A": "1"}))


def test_what_stands_in_the_way_of_a_section_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.symlink_to("else.yaml")
    assert f"{path}: a link to else.yaml stands where the description has a file. " in refusal(section(path))


# Variables


def test_variables_are_put_into_the_file_and_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    path.write_bytes(b"# c\r\nOTHER=1\nNATS_TOKEN=x\n")
    path.chmod(0o644)
    (change,) = put(variables(path, {"NATS_USER": "a b", "NATS_TOKEN": None}))
    assert change.what == ("content",)
    assert path.read_bytes() == b'# c\r\nOTHER=1\nNATS_USER="a b"\n'
    assert mode(path) == 0o644
    assert put(variables(path, {"NATS_USER": "a b", "NATS_TOKEN": None})) == []
    assert put(variables(path, {"OTHER": None}, mode="0600"))[0].what == ("content", "mode")


def test_a_missing_file_is_made_for_variables_that_nobody_else_can_read(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    assert put(variables(path, {"A": None})) == []
    assert put(variables(path, {"A": "1", "B": None}))[0].what == ("created",)
    assert (path.read_text(), mode(path)) == ('A="1"\n', 0o600)


def test_the_diff_of_variables_shows_names_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    entry = variables(path, {"NEW": "hidden", "KEPT": "hidden", "CHANGED": "hidden", "GONE": None})
    created = show.diff(compare.compare([entry]))[-1]
    assert (created["before"], created["after"]) == ("", "(hidden)\n(what differs: CHANGED, KEPT, NEW)\n")
    path.write_text("OTHER=hidden\nKEPT=hidden\nCHANGED=old-hidden\nGONE=old-hidden\n")
    (item,) = show.diff(compare.compare([entry]))
    assert item["before"] == "(hidden)\n"
    assert item["after"] == "(hidden)\n(what differs is hidden)\n(what differs: CHANGED, GONE, NEW)\n"
    path.write_text("A='it'\n A=it # x\n")
    (item,) = show.diff(compare.compare([variables(path, {"A": "it # x"})]))
    assert item["after"] == "(hidden)\n(what differs is hidden)\n"


def test_no_value_is_in_the_text_of_a_change(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("A=old-hidden\n")
    assert "hidden" not in repr(compare.compare([variables(tmp_path / "f", {"A": "new-hidden"})]))


def test_a_file_of_variables_that_cannot_be_changed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("A='hidden\n")
    told = refusal(variables(tmp_path / "f", {"A": "new-hidden"}), file(tmp_path / "innocent"))
    assert told == f"{tmp_path}/f: line 1: its quote is not closed. Close it."
    assert names(tmp_path) == ["f"]


# Manifests


def test_what_is_no_longer_described_goes_and_nothing_else(tmp_path: Path) -> None:
    plugins = tmp_path / "etc" / "plugins"
    first = put(*tree(plugins, "a.yaml", "b.yaml"))
    assert [(change.path, change.what) for change in first[1:]] == [
        (str(plugins), ("created",)),
        (f"{plugins}/a.yaml", ("created",)),
        (f"{plugins}/b.yaml", ("created",)),
        (f"{plugins}/.manifest", ("created",)),
    ]
    assert json.loads((plugins / ".manifest").read_text()) == ["a.yaml", "b.yaml"]
    (plugins / "by_hand.yaml").write_text("mine")
    (plugins / "below").mkdir()
    (plugins / "below" / "a.yaml").write_text("mine")
    assert put(*tree(plugins, "a.yaml", "b.yaml")) == []
    changes = put(*tree(plugins, "b.yaml", "c.yaml", reader="bot"))
    assert [(Path(change.path).name, change.what, change.entry.reader) for change in changes] == [
        ("c.yaml", ("created",), ""),
        ("a.yaml", ("removed",), "bot"),
        (".manifest", ("content",), ""),
    ]
    assert names(plugins) == [".manifest", "b.yaml", "below", "by_hand.yaml", "c.yaml"]
    put(*tree(plugins))
    assert names(plugins) == [".manifest", "below", "by_hand.yaml"]
    assert json.loads((plugins / ".manifest").read_text()) == []
    assert put(*tree(plugins)) == []


def test_a_comparison_removes_nothing(tmp_path: Path) -> None:
    put(*tree(tmp_path / "p", "a", "b"))
    changes = compare.compare(tree(tmp_path / "p", "a"))
    assert [Path(change.path).name for change in changes] == ["b", ".manifest"]
    assert names(tmp_path / "p") == [".manifest", "a", "b"]


def test_a_directory_without_a_described_file_gets_no_manifest(tmp_path: Path) -> None:
    put(*tree(tmp_path / "p"))
    assert names(tmp_path / "p") == []


def test_what_was_there_becomes_ours_when_it_is_described(tmp_path: Path) -> None:
    file(tmp_path / "a")
    (tmp_path / "a").write_text("text\n")
    assert [change.what for change in put(*tree(tmp_path, "a"))] == [("created",)]
    put(*tree(tmp_path))
    assert names(tmp_path) == [".manifest"]


def test_only_files_that_lie_directly_in_it_are_listed(tmp_path: Path) -> None:
    entries = [
        *tree(tmp_path, "a"),
        {"path": f"{tmp_path}/d", "state": "directory"},
        file(tmp_path / "d" / "below"),
        {"path": f"{tmp_path}/l", "state": "link", "target": "a"},
        section(tmp_path / "config.yaml"),
        variables(tmp_path / "secrets.env", {"A": "1"}),
    ]
    put(*entries)
    assert json.loads((tmp_path / ".manifest").read_text()) == ["a"]
    assert compare.look(entries).unmanaged == []


def test_what_took_the_place_of_a_listed_file_stays(tmp_path: Path) -> None:
    put(*tree(tmp_path, "a", "b", "c"))
    for name in ("a", "b"):
        (tmp_path / name).unlink()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("/etc/passwd")
    put(*tree(tmp_path))
    assert names(tmp_path) == [".manifest", "a", "b"]


def test_a_listed_file_that_is_described_by_another_way_stays(tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to("real")
    put(*tree(tmp_path / "real", "a"))
    entries = [*tree(tmp_path / "real"), file(tmp_path / "way" / "a")]
    assert put(*entries) == []
    assert compare.look(entries).unmanaged == []
    assert names(tmp_path / "real") == [".manifest", "a"]


def test_a_listed_file_can_be_described_otherwise(tmp_path: Path) -> None:
    put(*tree(tmp_path, "a", "b"))
    put(*tree(tmp_path), {"path": f"{tmp_path}/a", "state": "absent"}, variables(tmp_path / "b", {}))
    assert names(tmp_path) == [".manifest", "b"]


@pytest.mark.parametrize(
    "doctored",
    [
        '["../victim"]',
        '["/etc/victim"]',
        '["d/victim"]',
        '[".."]',
        '["."]',
        '[""]',
        '["a\\u0000"]',
        "[1]",
        '{"victim": 1}',
        "victim\n",
        "",
        "\xff",
    ],
)
def test_a_doctored_manifest_is_refused(tmp_path: Path, doctored: str) -> None:
    (tmp_path / "p" / "d").mkdir(parents=True)
    for victim in (tmp_path / "victim", tmp_path / "p" / "d" / "victim"):
        victim.write_text("")
    (tmp_path / "p" / ".manifest").write_text(doctored, encoding="latin-1")
    told = refusal(*tree(tmp_path / "p", "a"))
    assert told.startswith(f"{tmp_path}/p/.manifest: this manifest is no list of names of files")
    with pytest.raises(spec.StateError, match="this manifest is no list"):
        compare.look(tree(tmp_path / "p", "a"))
    assert names(tmp_path / "p") == [".manifest", "d"]
    assert (tmp_path / "victim").exists()


def test_a_manifest_that_lists_itself_is_no_danger(tmp_path: Path) -> None:
    (tmp_path / ".manifest").write_text('[".manifest"]')
    put(*tree(tmp_path, "a"))
    assert json.loads((tmp_path / ".manifest").read_text()) == ["a"]


def test_a_manifest_is_not_described_itself(tmp_path: Path) -> None:
    told = refusal(*tree(tmp_path, ".manifest"))
    assert told == (
        f"{tmp_path}/.manifest: it is described, and is the manifest of its directory. Give it another name."
    )


def test_the_manifest_comes_after_all_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(*tree(tmp_path, "a", "b"))
    remove = apply._remove
    seen = []

    def cut_off(path: Path) -> None:
        seen.append(path.name)
        if len(seen) == 2:
            raise OSError(5, "Input/output error")
        remove(path)

    monkeypatch.setattr(apply, "_remove", cut_off)
    with pytest.raises(spec.StateError, match="removing it failed: Input/output error"):
        put(*tree(tmp_path, "c"))
    monkeypatch.undo()
    assert json.loads((tmp_path / ".manifest").read_text()) == ["a", "b"]
    put(*tree(tmp_path, "c"))
    assert names(tmp_path) == [".manifest", "c"]
    assert json.loads((tmp_path / ".manifest").read_text()) == ["c"]


def test_strangers_are_named(tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    entries = tree(plugins, "a.yaml", "b.yaml")
    assert compare.look(entries).unmanaged == []
    put(*entries)
    for name in ("z.yaml", "by_hand.yaml"):
        (plugins / name).write_text("")
    (plugins / "dangling").symlink_to("nowhere")
    (plugins / "d").mkdir()
    wanted = [f"{plugins}/{name}" for name in ("by_hand.yaml", "dangling", "z.yaml")]
    assert compare.look(entries).unmanaged == wanted
    # What is about to be removed is no stranger, and neither is what is about to become ours.
    assert compare.look(tree(plugins, "a.yaml", "z.yaml")).unmanaged == wanted[:2]
    assert compare.look([{"path": str(plugins), "state": "directory"}]).unmanaged == []


def test_a_thousand_files_with_a_manifest_are_compared_in_milliseconds(tmp_path: Path) -> None:
    entries = tree(tmp_path / "plugins", *(f"{number}.yaml" for number in range(1000)))
    put(*entries)
    started = time.process_time()
    assert put(*entries) == []
    assert compare.look(entries).unmanaged == []
    assert time.process_time() - started < 0.6
