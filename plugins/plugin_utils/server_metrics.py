# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a nats-server says of itself, as metrics for Prometheus. On the controller alone."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._server import answers
from ansible_collections.rosey.nats.plugins.module_utils._watch.exposition import Kind, Metric, Sample

# The unit in which the server gives its use of the processor: hundredths of a core.
_PERCENT = 100
# The label that prometheus-nats-exporter has too, so that one rule fits both.
_LABEL = "server_id"

Answers = Mapping[str, t.Any]
Read = Callable[[answers.Answer], float | None]


@dataclass(frozen=True)
class Reading:
    """How a metric is read from the answer of one endpoint; what the answer doesn't have gives None."""

    name: str
    endpoint: str
    read: Read
    help: str
    kind: Kind = Kind.GAUGE


def _at(path: str, divisor: int = 1) -> Read:
    def read(answer: answers.Answer) -> float | None:
        value: t.Any = answer
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value / divisor if isinstance(value, int | float) else None

    return read


def _time(name: str) -> Read:
    return lambda answer: _moment(answer[name])


def _moment(text: str) -> float | None:
    moment = answers.moment(text)
    return moment.timestamp() if moment else None


READINGS = (
    Reading(
        "healthy", "healthz", lambda healthz: healthz["status"] == "ok", "Whether the server says that it is well."
    ),
    Reading("start_time_seconds", "varz", _time("start"), "When the server was started."),
    Reading("config_load_time_seconds", "varz", _time("config_load_time"), "When it loaded its configuration."),
    Reading("cpu_ratio", "varz", _at("cpu", _PERCENT), "Its use of the processor; 1 is a whole core."),
    Reading("memory_bytes", "varz", _at("mem"), "The memory that it uses."),
    Reading("connections", "varz", _at("connections"), "The clients that are connected."),
    Reading("connections_limit", "varz", _at("max_connections"), "The most clients that it takes."),
    Reading("connections_total", "varz", _at("total_connections"), "The clients that have connected.", Kind.COUNTER),
    Reading("subscriptions", "varz", _at("subscriptions"), "The subscriptions that it has."),
    Reading("received_messages_total", "varz", _at("in_msgs"), "The messages that it received.", Kind.COUNTER),
    Reading("received_bytes_total", "varz", _at("in_bytes"), "The bytes of these messages.", Kind.COUNTER),
    Reading("sent_messages_total", "varz", _at("out_msgs"), "The messages that it sent.", Kind.COUNTER),
    Reading("sent_bytes_total", "varz", _at("out_bytes"), "The bytes of these messages.", Kind.COUNTER),
    Reading("slow_consumers_total", "varz", _at("slow_consumers"), "The clients that were too slow.", Kind.COUNTER),
    Reading(
        "pending_bytes",
        "connz",
        lambda connz: sum(connection["pending_bytes"] for connection in connz["connections"]),
        "What waits to be sent to its clients.",
    ),
    Reading("pending_limit_bytes", "varz", _at("max_pending"), "The most of it for one client."),
    Reading(
        "routed_servers",
        "routez",
        lambda routez: len(answers.routed_servers(routez)),
        "The other servers of the cluster that it has a route to.",
    ),
    Reading(
        "jetstream_meta_leader",
        "jsz",
        lambda jsz: bool(jsz["meta_cluster"].get("leader")) if jsz.get("meta_cluster") else None,
        "Whether the group that leads JetStream in its cluster has a leader.",
    ),
    Reading("jetstream_meta_servers", "jsz", _at("meta_cluster.cluster_size"), "The servers of this group."),
    Reading("jetstream_memory_bytes", "jsz", _at("memory"), "The messages that JetStream holds in memory."),
    Reading("jetstream_memory_limit_bytes", "jsz", _at("config.max_memory"), "The most of them; max_mem."),
    Reading("jetstream_storage_bytes", "jsz", _at("storage"), "The messages that JetStream holds on disk."),
    Reading("jetstream_storage_limit_bytes", "jsz", _at("config.max_storage"), "The most of them; max_file."),
    Reading("jetstream_streams", "jsz", _at("streams"), "The streams of JetStream."),
    Reading("jetstream_consumers", "jsz", _at("consumers"), "The consumers of JetStream."),
    Reading("jetstream_messages", "jsz", _at("messages"), "The messages in these streams."),
)


def _cluster_of(varz: answers.Answer) -> dict[str, str]:
    """Name the cluster that a server is in; one that stands alone has no such label."""
    name = (varz.get("cluster") or {}).get("name")
    return {"cluster": name} if isinstance(name, str) else {}


# When each certificate expires, of what a look at a listener says, and the time of that.
_EXPIRIES: tuple[tuple[str, Callable[[float, float], float], str], ...] = (
    ("not_after_time_seconds", lambda end, _now: end, "When the certificate expires that the listener shows."),
    ("expires_in_seconds", lambda end, now: end - now, "What it had left when this was written."),
)


def of_server(name: str, answers: Answers, time: float) -> tuple[Metric, ...]:
    """Give the metrics of the server that is called so.

    answers: by the names of the endpoints, as the module nats_info returns them; none of a server that does not answer.
    Those of its certificates have metrics of their own, for each listener that shows one.
    time: when it was asked, in seconds since 1970.
    """
    labels = {_LABEL: name}

    def metric(end: str, text: str, value: float | None, kind: Kind = Kind.GAUGE, **more: str) -> Metric:
        samples = () if value is None else (Sample(value, labels | more),)
        return Metric(f"rosey_nats_{end}", kind, text, samples)

    varz = answers.get("varz")
    metrics = [
        metric("textfile_time_seconds", "When this was written.", time),
        metric("up", "Whether the server answers.", varz is not None),
    ]
    if varz:
        metrics.append(
            metric("info", "The version of the server.", 1, Kind.GAUGE, version=varz["version"], **_cluster_of(varz))
        )
    for reading in READINGS:
        answer = answers.get(reading.endpoint, {})
        usable = answer and not answer.get("disabled")  # as /jsz says where JetStream is off
        metrics.append(metric(reading.name, reading.help, reading.read(answer) if usable else None, reading.kind))
    seen = {
        each["purpose"]: end
        for each in answers.get("certificates", ())
        if (end := _moment(each.get("not_after", ""))) is not None
    }
    for ending, value, text in _EXPIRIES:
        samples = tuple(Sample(value(end, time), labels | {"listener": purpose}) for purpose, end in seen.items())
        metrics.append(Metric(f"rosey_nats_certificate_{ending}", Kind.GAUGE, text, samples))
    return tuple(metrics)
