# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running server says that JetStream holds, at /jsz: one request for each account, read stream by stream."""

from __future__ import annotations

import typing as t

from ansible_collections.rosey.nats.plugins.module_utils._data import assets
from ansible_collections.rosey.nats.plugins.module_utils._host import typed
from ansible_collections.rosey.nats.plugins.module_utils._server import answers, http_reader, monitoring

# Seconds that the answer about one account may take; that of 10,000 streams takes one or two.
SECONDS = 60.0


def ask(monitor: monitoring.Monitor) -> assets.Assets:
    """Ask a server for all that JetStream holds there; nothing where JetStream is off. MonitoringError.

    monitor: its timeout has to be long enough for the answer about one account, see SECONDS.
    """
    found: list[assets.Stream] = []
    calls: dict[str, int] = {}
    for account in monitor.account_ids():
        streams, detail = _ask_account(monitor, account)
        if detail is not None:
            found += streams
            calls[account] = _calls(monitor, account, detail.get("api"))
    return assets.of(found, calls)


def _calls(monitor: monitoring.Monitor, account: str, api: t.Any) -> int:
    found = api.get("total", 0) if isinstance(api, dict) else 0 if api is None else api
    if not isinstance(found, int) or isinstance(found, bool):
        raise _unreadable(monitor, account)
    return found


def _unreadable(monitor: monitoring.Monitor, account: str) -> http_reader.MonitoringError:
    named = http_reader.excerpt(account)
    return http_reader.MonitoringError(
        f"{monitor.url}/jsz", f"a stream of account {named} has no name, state or config"
    )


def _ask_account(monitor: monitoring.Monitor, account: str) -> tuple[list[assets.Stream], answers.Answer | None]:
    streams: list[assets.Stream] = []

    def take(detail: answers.Answer) -> None:
        try:
            streams.append(_stream(account, detail))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise _unreadable(monitor, account) from error

    detail = monitor.account_streams(account, take)
    return streams, detail


def _stream(account: str, detail: answers.Answer) -> assets.Stream:
    config, state = detail["config"], detail["state"]
    storage = _text(config["storage"])
    return typed.make(
        assets.Stream,
        account=account,
        name=_text(detail["name"]),
        created=_text(detail["created"]),
        storage=storage,
        replicas=_number(config["num_replicas"]),
        messages=_number(state["messages"]),
        bytes=_number(state["bytes"]),
        first_seq=_number(state["first_seq"]),
        last_seq=_number(state["last_seq"]),
        limits=assets.limits_of(config),
        first_time=state.get("first_ts"),
        consumers=tuple(
            _consumer(each, in_memory=storage == assets.MEMORY) for each in detail.get("consumer_detail") or ()
        ),
    )


def _consumer(detail: answers.Answer, *, in_memory: bool) -> assets.Consumer:
    config = detail.get("config") or {}
    return typed.make(
        assets.Consumer,
        name=_text(detail["name"]),
        created=_text(detail["created"]),
        ack_floor=_number(detail["ack_floor"]["stream_seq"]),
        passing=assets.is_passing(config),
        in_memory=in_memory or bool(config.get("mem_storage")),
        max_ack_pending=int(config.get("max_ack_pending") or 0),
        max_batch=int(config.get("max_batch") or 0),
    )


def _text(value: t.Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _number(value: t.Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("no number")
    return value
