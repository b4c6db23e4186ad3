# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoints of nats-server's monitoring, and what each answer has to hold."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.rosey.nats.plugins.module_utils._server import answers, http_reader
from ansible_collections.rosey.nats.plugins.module_utils._server.answers import Answer
from ansible_collections.rosey.nats.plugins.module_utils._server.http_reader import MonitoringError

# One answer then holds everything, as the server was at one moment. It fits into the int of a 32-bit server, twice.
EVERYTHING = 1 << 30


@dataclass(frozen=True)
class Endpoint:
    """What an answer has in it.

    required, optional: names of fields with their types; a list may also be null, which is how the server writes an
    empty one. inside: likewise of what stands deeper, where it is there, by dotted paths. items: the fields that each
    item of a list has. details: the query that asks for the single things behind the numbers as well.
    """

    required: Mapping[str, tuple[type, ...]]
    optional: Mapping[str, tuple[type, ...]] = field(default_factory=dict)
    inside: Mapping[str, tuple[type, ...]] = field(default_factory=dict)
    items: Mapping[str, Mapping[str, tuple[type, ...]]] = field(default_factory=dict)
    details: Mapping[str, str | int] = field(default_factory=dict)


def _all(names: str, kind: tuple[type, ...]) -> dict[str, tuple[type, ...]]:
    return dict.fromkeys(names.split(), kind)


_IDENTITY = _all("server_id now", http_reader.TEXT)
ENDPOINTS: dict[str, Endpoint] = {
    "varz": Endpoint(
        required={
            **_all("server_id server_name version host start now config_load_time", http_reader.TEXT),
            **_all("port max_connections mem connections total_connections in_msgs slow_consumers", http_reader.NUMBER),
        },
        optional={
            **_all("cluster gateway leaf mqtt websocket jetstream", http_reader.OBJECT),
            **_all("cpu cores max_pending", http_reader.NUMBER),
        },
        inside={"jetstream.config": http_reader.OBJECT, "jetstream.config.store_dir": http_reader.TEXT},
    ),
    # No auth=1: it would show the token of a client as its authorized_user.
    "connz": Endpoint(
        required={**_IDENTITY, **_all("total", http_reader.NUMBER), **_all("connections", http_reader.LIST)},
        details={"subs": 1, "limit": EVERYTHING},
    ),
    # The pages of several calls don't fit together: the order changes from call to call.
    "subsz": Endpoint(
        required=_all("num_subscriptions", http_reader.NUMBER),
        optional=_all("subscriptions_list", http_reader.LIST),
        details={"subs": 1, "limit": EVERYTHING},
    ),
    "routez": Endpoint(
        required={**_IDENTITY, **_all("num_routes", http_reader.NUMBER), **_all("routes", http_reader.LIST)},
        items={"routes": {"remote_id": http_reader.TEXT}},
        details={"subs": 1},
    ),
    "leafz": Endpoint(
        required={**_IDENTITY, **_all("leafnodes", http_reader.NUMBER), **_all("leafs", http_reader.LIST)},
        details={"subs": 1},
    ),
    "gatewayz": Endpoint(
        required={**_IDENTITY, **_all("outbound_gateways inbound_gateways", http_reader.OBJECT)}, details={"accs": 1}
    ),
    # The first page is in no order and the next ones are, so that pages would overlap.
    "jsz": Endpoint(
        required={**_IDENTITY, **_all("streams consumers messages bytes", http_reader.NUMBER)},
        optional={
            **_all("config meta_cluster", http_reader.OBJECT),
            **_all("account_details", http_reader.LIST),
            **_all("memory storage", http_reader.NUMBER),
        },
        inside={
            "config.store_dir": http_reader.TEXT,
            "config.max_memory": http_reader.NUMBER,
            "config.max_storage": http_reader.NUMBER,
            "meta_cluster.replicas": http_reader.LIST,
            "meta_cluster.cluster_size": http_reader.NUMBER,
        },
        details={"accounts": 1, "streams": 1, "consumers": 1, "config": 1, "limit": EVERYTHING},
    ),
    "healthz": Endpoint(
        required=_all("status", http_reader.TEXT),
        optional={**_all("error", http_reader.TEXT), **_all("errors", http_reader.LIST)},
    ),
    "accountz": Endpoint(required={**_IDENTITY, **_all("accounts", http_reader.LIST)}),
}


def check_inside(url: str, answer: Answer, path: str, kind: tuple[type, ...]) -> None:
    """Check what stands deeper in an answer; null is as good as nothing there."""
    *above, name = path.split(".")
    for each in above:
        found = answer.get(each)
        if not isinstance(found, dict):
            return
        answer = found
    if answer.get(name) is not None:
        check_field(url, answer, name, kind, path)


def check_field(url: str, answer: Answer, name: str, kind: tuple[type, ...], path: str = "") -> None:
    """Check one field of an object. path: where that stands in the answer, where it is not the answer itself."""
    path = path or name
    if name not in answer:
        raise MonitoringError(url, f"the answer has no {path}; this does not seem to be nats-server")
    if answer[name] is None and kind is http_reader.LIST:
        answer[name] = []
    value: t.Any = answer[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        shown = "" if isinstance(value, (dict, list)) else f", {http_reader.excerpt(json.dumps(value))}"
        raise MonitoringError(
            url,
            f"{path} is {http_reader.noun(value)}{shown}; expected {http_reader.NOUNS[kind]}; "
            "this does not seem to be nats-server",
        )
    if isinstance(value, (int, float)) and not answers.is_number(value):
        raise MonitoringError(url, f"{path} is out of range; expected a number of 64 bits")
