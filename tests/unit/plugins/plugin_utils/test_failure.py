# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a task failed, where a module answered and where none did."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.plugin_utils import failure, health_output, run_record

DOWNLOAD = {"failed": True, "url": "http://u:p@mirror/x.tar.gz", "dest": "/tmp/x"}
NO_JSON = "Module result deserialization failed: No start of json char found"


def unanswered(stderr: str = "", stdout: str = "", rc: int | None = 127) -> dict[str, Any]:
    return {"failed": True, "msg": NO_JSON, "module_stderr": stderr, "module_stdout": stdout, "rc": rc}


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"msg": "no room"}, "no room"),
        ({"censored": "hidden by no_log", "msg": "a"}, "hidden by no_log"),
        ({}, ""),
        (
            {**DOWNLOAD, "msg": "Request failed", "response": "HTTP Error 404: Not Found", "status_code": 404},
            "http://********@mirror/x.tar.gz: HTTP status 404, Not Found",
        ),
        (
            {**DOWNLOAD, "msg": "Request failed: <urlopen error [Errno 111] Connection refused>"},
            "http://********@mirror/x.tar.gz: Connection refused",
        ),
        (
            {**DOWNLOAD, "msg": "Request failed: <urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] verify failed>"},
            "http://********@mirror/x.tar.gz: [SSL: CERTIFICATE_VERIFY_FAILED] verify failed",
        ),
        (
            {**DOWNLOAD, "msg": "The checksum for /tmp/x did not match a; it was b."},
            "http://********@mirror/x.tar.gz: The checksum for /tmp/x did not match a; it was b.",
        ),
        (
            unanswered("\n/bin/sh: 1: sudo: not found\n"),
            "no module answered on the host (exit status 127), which says: /bin/sh: 1: sudo: not found",
        ),
        (
            unanswered("", "Error response from daemon: container nats is paused\n", None),
            "no module answered on the host, which says: Error response from daemon: container nats is paused",
        ),
        (
            unanswered("a\nb\nc\npassword: hunter2\n", rc=1),
            "no module answered on the host (exit status 1), which says: b / c / password: ********",
        ),
        (
            unanswered(rc=-9),
            "no module answered on the host (exit status -9), which says: nothing; look whether the host and its "
            "connection are there",
        ),
    ],
)
def test_the_reason_is_told(result: dict[str, Any], said: str) -> None:
    assert failure.reason(result) == said


def test_health_and_the_report_tell_it() -> None:
    result = unanswered("sudo: a password is required")
    table = health_output.render({"here": result}, health_output.TABLE)
    assert "sudo: a password is required" in table
    assert NO_JSON not in table
    assert "sudo: a password is required" in run_record._message(result)


def test_a_host_without_an_answer_is_told_as_ansible_has_it(tmp_path: Path) -> None:
    interpreter = tmp_path / "python3"
    interpreter.write_text("#!/bin/sh\necho 'sudo: not found' >&2\nexit 127\n")
    interpreter.chmod(0o755)
    failed = {"ping": None, "vars": {"ansible_python_interpreter": str(interpreter)}}
    said = {"debug": {"msg": "said {{ ansible_failed_result | rosey.nats.failure_reason }}"}}
    tasks = [{"block": [failed], "rescue": [said]}]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        ["ansible-playbook", tmp_path / "play.yml"],
        cwd=Path(__file__).parents[4],
        env={**os.environ, "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "said no module answered on the host (exit status 127), which says: sudo: not found" in " ".join(
        done.stdout.split()
    )


def test_whoever_tells_of_a_failure_gives_its_reason() -> None:
    """The message of a failure is Ansible's own where no module answered, and is not there at all for some."""
    root = Path(__file__).parents[4]
    files = [*root.glob("roles/*/tasks/**/*.yml"), *root.glob("roles/*/vars/*.yml"), *root.glob("playbooks/**/*.yml")]
    assert files
    assert [str(path) for path in files if "ansible_failed_result.msg" in path.read_text()] == []
