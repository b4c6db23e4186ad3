# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from ansible_collections.rosey.nats.plugins.module_utils._server import endpoints, http_reader
from ansible_collections.rosey.nats.plugins.modules import nats_info
from ansible_collections.rosey.nats.tests.unit.fake_monitoring import VARZ, Reply, fake_monitoring

RunModule = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("check_mode", [False, True])
def test_it_asks_for_varz_unless_told_otherwise(run_module: RunModule, check_mode: bool) -> None:
    with fake_monitoring() as server:
        result = run_module("nats_info", check_mode=check_mode, monitoring_url=server.url)
        assert server.asked == [("/varz", {})]
    assert result["varz"] == VARZ
    assert result["changed"] is False


@pytest.mark.parametrize("details", [False, True])
def test_it_asks_for_what_it_is_told_to_over_one_connection(run_module: RunModule, details: bool) -> None:
    gather = [name for name in endpoints.ENDPOINTS if name != "accountz" or not details]
    with fake_monitoring() as server:
        result = run_module("nats_info", monitoring_url=f"{server.url}/", gather=gather, details=details)
        assert [path for path, _query in server.asked] == [f"/{name}" for name in gather]
        assert server.connections == 1
    assert result.keys() >= set(gather)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"monitoring_url": "http://127.0.0.1:1"}, "http://127.0.0.1:1/varz: connection refused"),
        ({"monitoring_url": "127.0.0.1"}, "127.0.0.1: the URL has to begin with http:// or https://"),
        ({}, "missing required arguments: monitoring_url"),
        (
            {"monitoring_url": "http://127.0.0.1:1", "gather": ["varz", "what"]},
            "value of gather must be one or more of",
        ),
        ({"monitoring_url": "http://127.0.0.1:1", "client_key": "/key"}, "client_key"),
        ({"monitoring_url": "http://127.0.0.1:1", "timeout": "soon"}, "timeout"),
    ],
)
def test_a_fault_is_named(run_module: RunModule, arguments: dict[str, Any], message: str) -> None:
    result = run_module("nats_info", **arguments)
    assert result["failed"] is True
    assert message in result["msg"]


def test_a_malformed_answer_is_named(run_module: RunModule) -> None:
    with fake_monitoring({"/jsz": Reply(b"<html>")}) as server:
        result = run_module("nats_info", monitoring_url=server.url, gather=["varz", "jsz"])
    assert result["failed"] is True
    assert result["msg"].startswith(f"{server.url}/jsz: the answer (HTTP status 200) is no JSON, and says: <html>; ")


def test_what_gives_no_answer_keeps_no_other_from_being_returned(run_module: RunModule) -> None:
    asked = ["varz", "jsz", "healthz", "connz"]
    with fake_monitoring({"/jsz": Reply(b"", status=500), "/connz": Reply(b"[]")}) as server:
        result = run_module("nats_info", monitoring_url=server.url, gather=asked)
    assert result["failed"] is True
    assert [line.partition(": ")[0] for line in result["msg"].splitlines()] == [
        f"{server.url}/{name}" for name in ("jsz", "connz")
    ]
    assert (result["varz"], result["healthz"]["status"]) == (VARZ, "ok")
    assert "jsz" not in result


def test_a_server_that_is_gone_is_asked_once(run_module: RunModule) -> None:
    with fake_monitoring({"/varz": Reply(b"", status=500)}) as server:
        result = run_module("nats_info", monitoring_url=server.url, gather=["varz", "jsz"])
        assert [path for path, _query in server.asked] == ["/varz"]
    assert result["msg"].count("/varz: HTTP status 500") == 1
    assert "varz" not in result


def test_a_host_without_requests_is_told_so(run_module: RunModule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_reader, "HAS_REQUESTS", False)
    result = run_module("nats_info", monitoring_url="http://127.0.0.1:1")
    assert result["failed"] is True
    assert result["msg"].startswith("Failed to import the required Python library (requests)")


def test_every_answer_is_documented() -> None:
    documented = yaml.safe_load(nats_info.RETURN)
    assert set(documented) == {*endpoints.ENDPOINTS, "certificates"}
    for name, endpoint in endpoints.ENDPOINTS.items():
        assert documented[name]["contains"].keys() >= endpoint.required.keys() - {
            *("server_id", "now", "total_connections", "in_msgs"),
        }
