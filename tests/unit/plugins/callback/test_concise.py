# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of a run, by running it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ansible_collections.rosey.nats.plugins.callback import concise

ROOT = Path(__file__).parents[4]
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Well
      ansible.builtin.assert:
        that: true
        quiet: true
    - name: Told
      ansible.builtin.debug:
        msg: seen
    - name: A loop
      ansible.builtin.command: echo {{ item }}
      changed_when: item == 2
      loop: [1, 2]
    - name: Not seen
      ansible.builtin.include_tasks: more.yml
    - name: A copy that is not needed
      rosey.nats.nats_store_copy:
        copies: "{{ playbook_dir }}/stores"
        state: reported
      when: false
    - name: Failed
      ansible.builtin.command: "false"
      ignore_errors: true
    - name: Refused
      ansible.builtin.assert:
        that: false
        fail_msg: the reason
"""
MORE = """
- name: A copy takes its time
  rosey.nats.nats_store_copy:
    copies: "{{ playbook_dir }}/stores"
    state: reported
"""


def start(directory: Path, *options: str, playbook: str = PLAYBOOK) -> subprocess.Popen[str]:
    (directory / "play.yml").write_text(playbook)
    (directory / "more.yml").write_text(MORE)
    environment = {
        # as a pipe is written to where nothing else is asked for
        **{name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        "ANSIBLE_STDOUT_CALLBACK": "rosey.nats.concise",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    }
    words = ["ansible-playbook", str(directory / "play.yml"), "-i", "localhost,", "-c", "local"]
    words += ["-e", f"ansible_python_interpreter={sys.executable}", *options]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)


def run(directory: Path, *options: str, playbook: str = PLAYBOOK) -> str:
    return start(directory, *options, playbook=playbook).communicate()[0]


def test_what_is_as_it_shall_be_is_not_shown(tmp_path: Path) -> None:
    said = run(tmp_path)
    shown = re.findall(r"^TASK \[(.+)\] \*", said, re.MULTILINE)
    assert shown == ["Told", "A loop", "A copy takes its time", "Failed", "Refused"]
    assert "item=2" in said
    assert "item=1" not in said
    assert "included:" not in said
    # once: neither Ansible's own [ERROR] above it nor what the task was given
    assert said.count("the reason") == 1
    assert "assertion" not in said
    assert "...ignoring" in said
    # what a program has written stays
    assert "rc: 1" in said
    again = run(tmp_path)
    assert "ok: [localhost]" in again.partition("A copy takes its time")[2].partition("TASK")[0]


def test_what_takes_its_time_is_shown_while_it_is_at_work(tmp_path: Path) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    (tmp_path / "file").write_text(".")
    # of those whom what other tests run may send to its port, nobody keeps another one waiting
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        download = {"url": f"http://127.0.0.1:{server.server_port}/file", "dest": str(tmp_path / "got"), "timeout": 20}
        task = f"    - name: Slow\n      ansible.builtin.get_url: {json.dumps(download)}\n"
        with start(tmp_path, playbook=f"{PLAYBOOK.partition('    - name')[0]}{task}") as running:
            assert running.stdout is not None
            while not (line := running.stdout.readline()).startswith("TASK [Slow]"):
                assert line, "it was never shown"
            # nothing is answered before it was seen
            threading.Thread(target=server.serve_forever, daemon=True).start()
            ended = running.stdout.read()
            server.shutdown()
    assert "TASK" not in ended
    assert "changed: [localhost]" in ended


def test_all_is_shown_where_it_is_asked_for(tmp_path: Path) -> None:
    said = run(tmp_path, "-v")
    assert "TASK [Well]" in said
    assert "included:" in said
    assert "assertion: false" in said


@pytest.mark.parametrize("options", [(), ("-v",)])
def test_no_value_of_what_a_task_was_given_is_shown_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setenv("ANSIBLE_DISPLAY_ARGS_TO_STDOUT", "1")
    task = """
    - name: Login
      ansible.builtin.uri: {url: "http://127.0.0.1:9", url_password: "{{ ['hunter', 2] | join }}"}
      ignore_errors: true
      notify: Again
    - name: Change
      ansible.builtin.command: "true"
      notify: Again
  handlers:
    - name: Again
      ansible.builtin.uri: {url: "http://127.0.0.1:9", url_password: "{{ ['hunter', 2] | join }}"}
"""
    said = run(tmp_path, *options, playbook=f"{PLAYBOOK.partition('    - name')[0]}{task}")
    assert said.count("url_password={{ ['hunter', 2] | join }}") == 2
    assert "hunter2" not in said


@pytest.mark.parametrize("action", sorted(concise._LONG))
def test_what_takes_its_time_is_used(action: str) -> None:
    texts = [path.read_text() for place in ("roles", "playbooks") for path in (ROOT / place).rglob("*.yml")]
    assert any(f"{action}:" in text for text in texts)


def test_it_is_what_a_clone_shows() -> None:
    dumped = subprocess.run(
        ["ansible-config", "dump", "--format", "json"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (found,) = [each for each in json.loads(dumped.stdout) if each.get("name") == "DEFAULT_STDOUT_CALLBACK"]
    assert found["value"] == "rosey.nats.concise"


@pytest.mark.parametrize("loop", ["", "      loop: [1, 2]\n"])
def test_where_no_module_answered_the_reason_is_shown(tmp_path: Path, loop: str) -> None:
    """Such as sudo that is missing, or a container that is paused: Ansible's own message tells of JSON alone."""
    python = tmp_path / "python"
    # a module comes by standard input
    python.write_text(f'#!/bin/sh\n[ $# -eq 0 ] || exec {sys.executable} "$@"\necho "the host is paused" >&2\nexit 1\n')
    python.chmod(0o755)
    playbook = f"{PLAYBOOK.partition('    - name')[0]}    - ansible.builtin.command: 'true'\n{loop}"
    said = run(tmp_path, "-e", f"ansible_python_interpreter={python}", playbook=playbook)
    assert "no module answered on the host (exit status 1), which says: the host" in said
    assert "msg: 'Module result deserialization failed" not in said
