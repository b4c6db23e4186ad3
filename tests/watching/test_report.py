# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real runs write their report, however they end, and a real browser opens it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.plugin_utils import report
from ansible_collections.rosey.nats.tests import browser as browsers
from ansible_collections.rosey.nats.tests.browser import Browser, Look
from ansible_collections.rosey.nats.tests.integration import test_packaging
from ansible_collections.rosey.nats.tests.integration.conftest import QUOTES, ROOT, Deployment, run_playbook
from ansible_collections.rosey.nats.tests.sampling import sampled
from ansible_collections.rosey.nats.tests.unit.example_runs import (
    CHECKED,
    DIAGNOSED,
    LISTED,
    OK,
    deployed,
    make_run,
    returned,
)

LEAST_CONTRAST = 4.5
NARROW = 375
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>"
PASSWORD = "hunter2-is-no-password"
TOKEN = "9f8e7d6c5b4a-of-a-plugin"
LOGIN = {
    "nats_server_credentials": {"user": "rosey", "password": PASSWORD},
    "bot_plugins_declared": [{**QUOTES, "config": {**QUOTES["config"], "api_token": TOKEN}}],
}
# Its plugin can't open its database.
BROKEN = {
    **LOGIN,
    "bot_plugins_declared": [{**QUOTES, "config": {"database": "/proc/quotes.db", "api_token": TOKEN}}],
    "bot_config_gate_wait": 4,
}
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
# The port of the discard service, on which nothing listens.
UNREACHABLE = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
PATIENCE = 30

archive, installation = test_packaging.archive, test_packaging.installation


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsers.started() as started:
        yield started


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "report.html"


def inventory(directory: Path, **hosts: dict[str, Any]) -> Path:
    path = directory / "inventory.yml"
    path.write_text(json.dumps({"rosey": {"hosts": hosts}}))
    return path


def examined(browser: Browser, page: Path) -> Look:
    """Open a page in every way, and hold what has to hold of each report."""
    for scheme in ("light", "dark"):
        for width in (1200, NARROW):
            seen = browser.look(page, scheme=scheme, width=width)
            assert seen.messages == []
            assert [url for url in seen.requests if not url.startswith("data:")] == [page.as_uri()]
            assert seen.scroll_width <= width
            faint = [(round(ratio, 2), text) for ratio, text in seen.contrasts if ratio < LEAST_CONTRAST]
            assert faint == [], f"{scheme}, {width}"
            assert len(seen.contrasts) > 10
            assert not seen.elements.keys() & {"script", "img", "iframe"}
    text = page.read_text()
    assert PASSWORD not in text
    assert TOKEN not in text
    return seen


def test_a_deployment_that_is_proven(bot_deployment: Deployment, browser: Browser, page: Path) -> None:
    said = bot_deployment.play(LOGIN, "-e", f"rosey_report={page}")
    assert said.startswith("exit 0"), said
    assert f"Report: {page}" in said
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    seen = examined(browser, page)
    assert seen.title.startswith("Changed, and proven: site.yml")
    for told in (
        "here was changed as described, and has proven it.",
        "3 of 3",
        "secrets.env",
        "limit 100 ms",
        "quotes",
    ):
        assert told in seen.text, told
    release = (bot_deployment.directory / "root/var/lib/rosey-nats/current").read_text().strip()
    assert release in seen.text


@pytest.mark.thorough
def test_a_deployment_that_goes_back(bot_deployment: Deployment, browser: Browser, page: Path) -> None:
    release = (bot_deployment.directory / "root/var/lib/rosey-nats/current").read_text().strip()
    said = bot_deployment.play(BROKEN, "-e", f"rosey_report={page}")
    assert said.startswith("exit 2"), said
    seen = examined(browser, page)
    assert seen.title.startswith("Failed, and went back")
    assert f"here is back at release {release}, as its gate has proven." in seen.text
    assert "expected a subscription that covers rosey.dev.commands.quote" in seen.text
    assert "bot not proven" in seen.text


def test_what_names_and_errors_carry_is_text(deployment: Deployment, browser: Browser, page: Path) -> None:
    faulty = {**QUOTES, "name": f"quotes{MARKUP}"}
    hosts = {
        f"a{MARKUP}": {**deployment.variables, **LOCAL, "bot_plugins_declared": [faulty]},
        "b": {**deployment.variables, **LOCAL},
    }
    said = run_playbook("site.yml", inventory(page.parent, **hosts), "-e", f"rosey_report={page}")
    assert said.startswith("exit 2"), said
    seen = examined(browser, page)
    assert seen.title.startswith("Stopped before any change")
    assert f"a{MARKUP} was not changed." in seen.text
    assert f"quotes{MARKUP}" in seen.text


def test_a_host_that_can_not_be_reached(deployment: Deployment, browser: Browser, page: Path) -> None:
    hosts = {"here": {**deployment.variables, **LOCAL}, "gone": {**deployment.variables, **UNREACHABLE}}
    said = run_playbook("site.yml", inventory(page.parent, **hosts), "-e", f"rosey_report={page}")
    assert said.startswith("exit 4"), said
    seen = examined(browser, page)
    assert seen.title.startswith("Could not be reached")
    # one look has proven it, before the other was missed
    assert "here has proven that it is as it shall be." in seen.text
    assert "Connection refused" in seen.text


@pytest.mark.thorough
def test_a_dry_run_and_a_rollback(deployment: Deployment, browser: Browser, page: Path) -> None:
    said = deployment.play({"nats_server_config": {"max_connections": 78}}, "--check", "-e", f"rosey_report={page}")
    assert said.startswith("exit 0"), said
    seen = examined(browser, page)
    assert seen.title.startswith("A dry run")
    assert "max_connections: 77 -> 78 (reload)" in seen.text
    hosts = deployment.directory / "hosts.yml"
    said = run_playbook("playbooks/rollback.yml", hosts, "-e", "rollback_to=list", "-e", f"rosey_report={page}")
    assert said.startswith("exit 0"), said
    seen = examined(browser, page)
    assert seen.title.startswith("Done: rollback.yml")
    assert "was current" in seen.text


@pytest.mark.parametrize(
    "run",
    [
        make_run([("here", "rosey.nats.diagnosis_info", OK, DIAGNOSED)], failed=["here"], playbook="diagnose.yml"),
        make_run([("here", "rosey.nats.bus_health_info", OK, CHECKED)], failed=["here"], playbook="health.yml"),
        make_run([("here", "rosey.nats.nats_release_info", OK, LISTED)], playbook="rollback.yml"),
        make_run([*deployed(), *returned("b" * 200)], failed=["b" * 200]),
    ],
    ids=["diagnosed", "checked", "listed", "a long name"],
)
def test_what_else_a_page_may_have(run: Any, browser: Browser, page: Path) -> None:
    report.write(run, page)
    examined(browser, page)


def ended_by(number: signal.Signals, words: list[str], page: Path) -> bool:
    """Send a run a signal as soon as it has begun its page, and tell whether it has ended by that."""
    page.unlink(missing_ok=True)
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + PATIENCE
        while not page.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        run.send_signal(number)
        try:
            return run.wait(PATIENCE) != 0
        except subprocess.TimeoutExpired:
            run.kill()
            return False


@pytest.mark.parametrize(
    ("number", "title"),
    [(signal.SIGINT, "The run was cut off"), (signal.SIGKILL, "The run has not ended")],
    ids=["interrupted", "killed"],
)
def test_a_run_that_does_not_come_to_its_end(
    deployment: Deployment, browser: Browser, page: Path, number: signal.Signals, title: str
) -> None:
    hosts = inventory(page.parent, here={**deployment.variables, **LOCAL})
    words = ["ansible-playbook", "site.yml", "-i", str(hosts), "-e", f"rosey_report={page}"]
    # Once in many times Ansible goes on as if it were not interrupted, or waits for ever for a worker that was
    # interrupted as it wrote its result.
    assert any(ended_by(number, words, page) for _try in range(3))
    assert examined(browser, page).title.startswith(title)


@pytest.mark.parametrize(
    ("options", "remedy"),
    sampled(
        [
            (["-e", "rosey_report=/nowhere/report.html"], "found no /nowhere. Make it, or name another"),
            (["-e", "rosey_report=/"], "rosey_report is /, which is a directory"),
            (["-e", '{"rosey_report": true}'], "rosey_report is True; expected the path of a file"),
            (["-e", "rosey_report={{ playbook_dir }}/report.html"], "nothing writes it"),
        ],
        1,
    ),
)
def test_a_report_that_can_not_be_written_is_refused(
    deployment: Deployment, tmp_path: Path, options: list[str], remedy: str
) -> None:
    said = run_playbook("site.yml", inventory(tmp_path, here={**deployment.variables, **LOCAL}), *options)
    assert said.startswith("exit 2"), said
    assert remedy in said
    assert "Observe" not in said
    assert not (ROOT / "report.html").exists()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("enabled", "exit_status", "told"),
    [({}, 2, "nothing writes it"), ({"ANSIBLE_CALLBACKS_ENABLED": "rosey.nats.report"}, 0, "Report: ")],
    ids=["found too late", "enabled"],
)
def test_a_second_playbook_is_not_where_it_is_found(
    deployment: Deployment, page: Path, enabled: dict[str, str], exit_status: int, told: str
) -> None:
    first = page.with_name("first.yml")
    first.write_text(json.dumps([{"hosts": "none", "gather_facts": False}]))
    hosts = inventory(page.parent, here={**deployment.variables, **LOCAL})
    words = ["ansible-playbook", str(first), "site.yml", "-i", str(hosts), "--check", "-e", f"rosey_report={page}"]
    done = subprocess.run(words, cwd=ROOT, env={**os.environ, **enabled}, capture_output=True, text=True, check=False)
    assert done.returncode == exit_status, done.stdout
    assert told in done.stdout + done.stderr
    assert not page.exists() or "first.yml, site.yml" in page.read_text()


def test_a_run_that_is_asked_for_none_writes_none(deployment: Deployment, tmp_path: Path) -> None:
    said = run_playbook("playbooks/rollback.yml", deployment.directory / "hosts.yml", "-e", "rollback_to=list")
    assert said.startswith("exit 0"), said
    assert "Report" not in said


@pytest.mark.thorough
def test_an_installed_collection_writes_it(
    installation: test_packaging.Installation, deployment: Deployment, page: Path
) -> None:
    hosts = inventory(page.parent, here={**deployment.variables, **LOCAL})
    options = ("-i", str(hosts), "-e", "rollback_to=list", "-e", f"rosey_report={page}")
    done = installation.run("ansible-playbook", "rosey.nats.rollback", *options)
    assert f"Report: {page}" in done.stderr
    assert "<title>Done: rollback.yml" in page.read_text()
    assert "rosey.nats.report" in installation.documented("callback")
