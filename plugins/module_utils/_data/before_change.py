# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known before a change: what the server has, holds, and will be told."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.rosey.nats.plugins.module_utils._data.assets import (
    GLOBAL,
    INTEREST,
    MEMORY,
    Assets,
    Consumer,
    Limits,
    Stream,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action
from ansible_collections.rosey.nats.plugins.module_utils._server import health, plan
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading

_SHOWN = 5


@dataclass(frozen=True)
class Situation:
    """All that is known before a change. Configurations are canonical ones, without references where these are known.

    before: what the server runs, or ran, with; None where that is not known. action: what the change asks for. held:
    what JetStream holds, None where that is not known. stored: what stands where the server to come will look for its
    streams, None where that is not known. proven: what there was when it was last proven; unread: why that can't be
    told, empty where it can. varz: of a server that answers. limits: what /jsz shows of its configuration. ran: the
    versions of which one ran last; version: the one to come. peers: the ids of the servers that were in a cluster with
    the one whose store it will take up; empty where it was in none, None where that is not known. members: the names of
    the servers of the cluster to come, where it is known.
    """

    after: Mapping[str, t.Any]
    action: Action
    before: Mapping[str, t.Any] | None = None
    held: Assets | None = None
    stored: Assets | None = None
    proven: Assets | None = None
    unread: str = ""
    varz: Mapping[str, t.Any] = field(default_factory=dict)
    ran: Sequence[str] = ()
    version: str = ""
    peers: frozenset[str] | None = None
    members: tuple[str, ...] = ()

    @property
    def starts(self) -> bool:
        """Whether a server is started, so that it takes its streams up anew."""
        return self.action in (Action.START, Action.RESTART)

    @property
    def lacks_group(self) -> bool:
        """Whether a server finds a store that has nothing of a cluster."""
        return self.peers is not None and not self.peers

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams that are held."""
        return tuple(self.held.in_order()) if self.held else ()

    @property
    def files(self) -> tuple[Stream, ...]:
        """The streams that are kept in files."""
        return tuple(stream for stream in self.streams if stream.storage != MEMORY)


# What a start destroys or hides


def is_in_memory(_config: Mapping[str, t.Any], stream: Stream, consumer: Consumer | None) -> bool:
    """Tell whether a stream or a consumer is kept in memory."""
    return stream.storage == MEMORY or (consumer is not None and consumer.in_memory)


def memory_assets(situation: Situation) -> str:
    """Name what is in memory, and on no other server."""
    after = situation.after
    # in a cluster the other servers have what this one had in memory
    alone = [each for each in situation.streams if not (is_clustered(after) and (each.replicas or 1) > 1)]
    if not situation.starts and health.meant_jetstream(after):
        # without a restart, only an account's turning it off ends what it has
        alone = [each for each in alone if not has_jetstream(after, each.account)] if situation.before else []
    streams = [stream for stream in alone if stream.storage == MEMORY]
    consumers = [
        f"{stream} > {each.name}"
        for stream in alone
        if stream.storage != MEMORY
        for each in stream.consumers
        if each.in_memory and not each.passing
    ]
    if not streams and not consumers:
        return ""
    held = [f"{counted(streams)} in memory"] if streams else []
    held += [f"{_number(len(consumers), 'consumer')} in memory ({listed(consumers)})"] if consumers else []
    what = "a restart" if situation.starts else "jetstream is turned off"
    return f"{what}: the server holds {' and '.join(held)}, which are gone then, definition and all"


def is_clustered(config: Mapping[str, t.Any]) -> bool:
    """Tell whether JetStream is in a cluster with this configuration (server/jetstream.go, enableJetStream)."""
    return any(_listens(config.get(block)) for block in ("cluster", "gateway")) or _extends(config)


def _listens(block: t.Any) -> bool:
    return any(mapping(block).get(name) for name in ("port", "listen"))


def _extends(config: Mapping[str, t.Any]) -> bool:
    """Tell whether the server joins JetStream of another one, by a leafnode (server/jetstream.go)."""
    remotes = mapping(config.get("leafnodes")).get("remotes")
    accounts = [mapping(each).get("account") for each in remotes] if isinstance(remotes, list) else []
    hint = plan.jetstream_block(config).get("extension_hint")
    return hint == "will_extend" and system_account(config) in accounts


def beyond_limits(config: Mapping[str, t.Any], streams: Sequence[Stream]) -> list[str]:
    """Say which streams and consumers the server does not take up, for what their own configuration asks for."""
    sentences = []
    files = [stream for stream in streams if stream.storage != MEMORY]
    own = mapping(plan.jetstream_block(config).get("limits"))
    scopes = [("jetstream.limits", own, files)]
    scopes += [
        (f"accounts.{account}.jetstream", block, [each for each in files if each.account == account])
        for account, block in account_limits(config)
    ]
    for scope, block, concerned in scopes:
        for option, exceeds in _EXCEEDING.items():
            value = block.get(option)
            limit = reading.effective(found, value) if (found := reading.find(_path(scope, option))) else value
            if isinstance(limit, int) and limit > 0 and (names := sorted(exceeds(concerned, limit))):
                shown = value if not isinstance(value, bool) else "true"
                sentences.append(
                    f"{scope}.{option}: {shown}, and {listed(names)} {'has' if len(names) == 1 else 'have'} more, or "
                    "none; expected as much as they have, else the server does not take them up again"
                )
    return sentences


def _path(scope: str, option: str) -> tuple[str, ...]:
    return (*scope.split("."), option)


def _consumers_beyond(name: str) -> Callable[[Sequence[Stream], int], list[str]]:
    def beyond(streams: Sequence[Stream], limit: int) -> list[str]:
        return [f"{each} > {one.name}" for each in streams for one in each.consumers if getattr(one, name) > limit]

    return beyond


def _streams_beyond(take: Callable[[Stream, Limits, int], bool]) -> Callable[[Sequence[Stream], int], list[str]]:
    def beyond(streams: Sequence[Stream], limit: int) -> list[str]:
        return [str(each) for each in streams if each.limits and take(each, each.limits, limit)]

    return beyond


# What is not taken up, by the limit (server/stream.go, checkStreamCfg; server/consumer.go, checkConsumerCfg).
_EXCEEDING: dict[str, Callable[[Sequence[Stream], int], list[str]]] = {
    "duplicate_window": _streams_beyond(lambda _stream, limits, limit: limits.duplicate_window > limit),
    "max_ack_pending": _consumers_beyond("max_ack_pending"),
    "max_request_batch": _consumers_beyond("max_batch"),
    "max_consumers": _streams_beyond(
        lambda stream, limits, limit: limits.max_consumers > limit or len(stream.consumers) > limit
    ),
    "max_bytes_required": _streams_beyond(lambda _stream, limits, _limit: limits.max_bytes <= 0),
    "disk_max_stream_bytes": _streams_beyond(lambda _stream, limits, limit: limits.max_bytes > limit),
}


def account_limits(config: Mapping[str, t.Any]) -> Iterator[tuple[str, Mapping[str, t.Any]]]:
    """Give each account with its limits of JetStream."""
    for account, block in mapping(config.get("accounts")).items():
        yield str(account), mapping(mapping(block).get("jetstream"))


def size_of(path: tuple[str, ...], value: t.Any) -> int | None:
    """Give a limit of the configuration as a number; None for none."""
    option = reading.find(path)
    limit = reading.effective(option, value) if option and value is not None else None
    return limit if isinstance(limit, int) else None


def limited(situation: Situation, find_in: Callable[[Mapping[str, t.Any], Sequence[Stream]], list[str]]) -> str:
    """Say what is beyond limits. A reload takes effect on it with the next start; what was so before is no news."""
    found = find_in(situation.after, situation.streams)
    if not situation.starts and situation.before is not None:
        known = find_in(situation.before, situation.streams)
        found = [each for each in found if each not in known]
    return "; ".join(found) if health.meant_jetstream(situation.after) else ""


# Accounts

_ENABLED = ("enabled", "enable")


def named(users: t.Any) -> Iterator[str]:
    """Give the names of users, and the keys of those that have none."""
    for each in users if isinstance(users, list) else ():
        name = mapping(each).get("user") or mapping(each).get("nkey")
        if name:
            yield str(name)


def has_jetstream(config: Mapping[str, t.Any], account: str) -> bool:
    """Tell whether an account has JetStream after a start (server/jetstream.go, enableJetStreamAccounts).

    The global one has it as long as no other account is there, the system's aside.
    """
    accounts, system = mapping(config.get("accounts")), system_account(config)
    if account == GLOBAL:
        return not any(name != system for name in accounts)
    setting = mapping(accounts.get(account)).get("jetstream")
    is_on = setting in _ENABLED if isinstance(setting, str) else setting is True or isinstance(setting, Mapping)
    return is_on and account != system


def system_account(config: Mapping[str, t.Any]) -> str:
    """Give the name of the system account."""
    return str(config.get("system_account") or "$SYS")


def mapping(value: t.Any) -> Mapping[str, t.Any]:
    """Give a value that is a mapping, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def has_interest(stream: Stream) -> bool:
    """Tell whether a stream may keep messages for its consumers alone."""
    return stream.limits is None or stream.limits.retention == INTEREST


# In words


def counted(streams: Collection[Stream]) -> str:
    """Say how many streams and messages these are, and name the first of them."""
    counts = Assets({stream.key: stream for stream in streams}).counts()
    messages = "an unknown number of messages" if counts["messages"] is None else _number(counts["messages"], "message")
    return f"{_number(len(streams), 'stream')} with {messages} ({listed(map(str, streams))})"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def listed(names: Iterable[str]) -> str:
    """Name the first few, and how many more there are."""
    found = list(names)
    return ", ".join([*found[:_SHOWN], *([f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else [])])
