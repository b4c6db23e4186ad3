# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change would cut off, destroy, hide or stop: a table of dangers, each with the word that accepts it.

Each was tried on nats-server 2.10.7; tests/assets has the trials, and shows that what is not here is harmless.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ansible_collections.rosey.nats.plugins.module_utils._data import version_line
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_changes import Accepted
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_gate import gone
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

# The word that accepts every danger, as going back does when a deployment failed.
ALL = "all"
_SHOWN = 5


class Kind(StrEnum):
    """What a danger does. Only STOPS_WRITES is no reason to refuse."""

    CUTS_OFF = "cuts clients off"
    DESTROYS = "destroys"
    HIDES = "hides until undone"
    STOPS_WRITES = "stops writes"


@dataclass(frozen=True)
class Danger:
    """One danger of a change. name: the word with which a user accepts it. what: a sentence, with figures.

    copied: whether a copy of the store would bring back what it destroys or hides.
    """

    name: str
    kind: Kind
    what: str
    copied: bool

    @property
    def refusal(self) -> str:
        """What it is, and how to do it all the same."""
        return f"{self.what}. Set nats_server_accept: [{self.name}] to do it all the same{self._then}."

    @property
    def _then(self) -> str:
        if self.copied:
            return "; the store is copied first"
        return "; what is in memory can't be copied" if self.name == "memory_assets" else ""


@dataclass(frozen=True)
class Situation:
    """All that is known before a change. Configurations are canonical ones, without references where these are known.

    before: what the server runs, or ran, with; None where that is not known. action: what the change asks for. held:
    what JetStream holds, None where that is not known. stored: what stands where the server to come will look for its
    streams, None where that is not known. proven: what there was when it was last proven. varz: of a server that
    answers. limits: what /jsz shows of its configuration. ran: the versions of which one ran last; version: the one to
    come.
    """

    after: Mapping[str, t.Any]
    action: Action
    before: Mapping[str, t.Any] | None = None
    held: Assets | None = None
    stored: Assets | None = None
    proven: Assets | None = None
    varz: Mapping[str, t.Any] = field(default_factory=dict)
    ran: Sequence[str] = ()
    version: str = ""

    @property
    def starts(self) -> bool:
        """Whether a server is started, so that it takes its streams up anew."""
        return self.action in (Action.START, Action.RESTART)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams that are held."""
        return tuple(self.held.in_order()) if self.held else ()

    @property
    def files(self) -> tuple[Stream, ...]:
        """The streams that are kept in files."""
        return tuple(stream for stream in self.streams if stream.storage != MEMORY)


@dataclass(frozen=True)
class _Row:
    """A danger. find: says what it is, "" where a change is none. copied: as Danger has it.

    concerns: of which streams and consumers it accepts the loss, by the configuration that the server is given.
    """

    kind: Kind
    find: Callable[[Situation], str]
    copied: bool = True
    concerns: Callable[[Mapping[str, t.Any], Stream, Consumer | None], bool] = lambda _config, _stream, _consumer: True


def find(situation: Situation) -> tuple[Danger, ...]:
    """Name what a change would cut off, lose, hide or stop."""
    found = ((name, row, row.find(situation)) for name, row in DANGERS.items())
    return tuple(Danger(name, row.kind, what, row.copied) for name, row, what in found if what)


def accepting(names: Iterable[str], config: Mapping[str, t.Any]) -> Accepted:
    """Say which losses are accepted with these words; ALL accepts every one. config: that the server is given."""
    words, known = set(names), reading.canonical(config)
    rows = [row for name, row in DANGERS.items() if name in words and row.kind in (Kind.DESTROYS, Kind.HIDES)]

    def accepted(stream: Stream, consumer: Consumer | None) -> bool:
        return ALL in words or any(row.concerns(known, stream, consumer) for row in rows)

    return accepted


# What is cut off


def _fewer_connections(situation: Situation) -> str:
    limit, connected = situation.after.get("max_connections"), situation.varz.get("connections", 0)
    if not isinstance(limit, int) or not 0 < limit < connected:
        return ""
    return (
        f"max_connections: {limit}, and {connected} clients are connected; expected at least {connected}, "
        f"else the server cuts off {connected - limit} of them at random"
    )


# What a start destroys or hides


def _is_in_memory(_config: Mapping[str, t.Any], stream: Stream, consumer: Consumer | None) -> bool:
    return stream.storage == MEMORY or (consumer is not None and consumer.in_memory)


def _memory_assets(situation: Situation) -> str:
    after = situation.after
    # in a cluster the other servers have what this one had in memory
    alone = [each for each in situation.streams if not (is_clustered(after) and (each.replicas or 1) > 1)]
    if not situation.starts and health.meant_jetstream(after):
        # without a restart, only an account's turning it off ends what it has
        alone = [each for each in alone if not _has_jetstream(after, each.account)] if situation.before else []
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
    said = [f"{_counted(streams)} in memory"] if streams else []
    said += [f"{_number(len(consumers), 'consumer')} in memory ({_listed(consumers)})"] if consumers else []
    what = "a restart" if situation.starts else "jetstream is turned off"
    return f"{what}: the server holds {' and '.join(said)}, which are gone then, definition and all"


def _replicated_streams(situation: Situation) -> str:
    streams = [stream for stream in situation.files if (stream.replicas or 1) > 1]
    if not situation.starts or not streams or is_clustered(situation.after):
        return ""
    return (
        f"a restart without a cluster: {_counted(streams)}, of more than one replica, which a single server does not "
        "take up again; expected num_replicas: 1 of each, which an update sets, or a cluster"
    )


def is_clustered(config: Mapping[str, t.Any]) -> bool:
    """Tell whether JetStream is in a cluster with this configuration (server/jetstream.go, enableJetStream)."""
    return any(_listens(config.get(block)) for block in ("cluster", "gateway")) or _extends(config)


def _listens(block: t.Any) -> bool:
    return any(_mapping(block).get(name) for name in ("port", "listen"))


def _extends(config: Mapping[str, t.Any]) -> bool:
    """Tell whether the server joins JetStream of another one, by a leafnode (server/jetstream.go)."""
    remotes = _mapping(config.get("leafnodes")).get("remotes")
    accounts = [_mapping(each).get("account") for each in remotes] if isinstance(remotes, list) else []
    hint = plan.jetstream_block(config).get("extension_hint")
    return hint == "will_extend" and _system_account(config) in accounts


def _added_cluster(situation: Situation) -> str:
    was_alone = situation.before is None or not is_clustered(situation.before)
    if not (situation.starts and was_alone and is_clustered(situation.after) and situation.files):
        return ""
    return (
        f"cluster: added to a single server that holds {_counted(situation.files)}; expected none, else the cluster, "
        "which knows none of them, deletes them all within seconds"
    )


def _other_server_name(situation: Situation) -> str:
    old, new = _in_cluster(situation, lambda config: config.get("server_name"))
    if old == new:
        return ""
    return (
        f"server_name: {old} -> {new}, in a cluster, and the server holds {_counted(situation.files)}; expected the "
        "same name, else the cluster takes it for a new server, and what it has is deleted"
    )


def _other_cluster(situation: Situation) -> str:
    old, new = _in_cluster(situation, lambda config: _mapping(config.get("cluster")).get("name"))
    if situation.before and is_clustered(situation.before) and not is_clustered(situation.after) and situation.files:
        old, new = "a cluster", "none"
    if old == new:
        return ""
    return (
        f"cluster: {old} -> {new}, and the server holds {_counted(situation.files)}; expected the same cluster, else "
        "its clients reach none of them"
    )


def _in_cluster(situation: Situation, take: Callable[[Mapping[str, t.Any]], t.Any]) -> tuple[t.Any, t.Any]:
    """Give what a server that holds streams, and stays in a cluster, has before and after; else the same twice."""
    before, after = situation.before, situation.after
    if before is None or not (situation.starts and situation.files and is_clustered(before) and is_clustered(after)):
        return None, None
    return take(before), take(after)


def _other_store(situation: Situation) -> str:
    meant = plan.store_directory(situation.after)
    if not (situation.files and takes_up_store(situation.action, situation.before, situation.after)):
        return ""
    if situation.stored is None:
        if situation.before is None or _store_text(situation.before) == _store_text(situation.after):
            return ""
        return (
            f"jetstream.store_dir: only the server's environment gives it, and {_counted(situation.files)} are held; "
            "expected a path, else nobody can tell whether they are there"
        )
    missing = [stream for stream in situation.files if stream.key not in situation.stored.streams]
    if not missing:
        return ""
    return (
        f"jetstream.store_dir: {meant}, and {_counted(missing)} are not there; expected the directory that has them, "
        "else the server begins without them"
    )


def takes_up_store(action: Action, before: Mapping[str, t.Any] | None, after: Mapping[str, t.Any]) -> bool:
    """Tell whether a server takes streams up from a store: at its start, and where a reload has it look elsewhere."""
    if not health.meant_jetstream(after):
        return False
    is_other = before is not None and plan.store_directory(before) != plan.store_directory(after)
    return action in (Action.START, Action.RESTART) or is_other


def _store_text(config: Mapping[str, t.Any]) -> str:
    return str(plan.jetstream_block(config).get("store_dir") or config.get("store_dir"))


def _no_jetstream(situation: Situation) -> str:
    was_off = situation.before is not None and not health.meant_jetstream(situation.before)
    if not situation.streams or was_off or health.meant_jetstream(situation.after):
        return ""
    return f"jetstream: off, and it holds {_counted(situation.streams)}; expected on, else no client reaches them"


def _gone_streams(situation: Situation) -> str:
    if situation.proven is None or situation.held is None:
        return ""
    # what only the present configuration hides is in the store, and a deployment may be the cure
    there = situation.stored.streams if situation.stored else {}
    missing = [stream for stream in gone(situation.proven, situation.held) if stream.key not in there]
    if not missing:
        return ""
    return (
        f"{_counted(missing)}: gone, and the last proven state had them; expected all of them; bring them back, or the "
        "disk on which they are"
    )


# Limits


def _smaller_store(situation: Situation) -> str:
    return _limited(situation, lambda config, streams: [*_unreserved(config, streams), *_overcommitted(config)])


def _overcommitted(config: Mapping[str, t.Any]) -> Iterator[str]:
    """Say where accounts may have more together than the server, which does not start then (sufficientResources)."""
    for name in ("max_file", "max_mem"):
        limit = plan.store_limit(config, name)
        limits = [_bytes(("accounts", of, "jetstream", name), block.get(name)) for of, block in _account_limits(config)]
        together = sum(each for each in limits if each is not None and each > 0)
        if limit is not None and not is_clustered(config) and together > limit >= 0:
            yield (
                f"jetstream.{name}: {limit} bytes, and the accounts may have {together} bytes together; expected that "
                "for the server, else it does not start, and nobody reaches what it holds"
            )


def _unreserved(config: Mapping[str, t.Any], streams: Sequence[Stream]) -> list[str]:
    """Say which limits of files are below what streams reserve, which the server does not take up then.

    Where nothing is left beside that, it takes up none without a max_bytes (server/jetstream.go, checkBytesLimits).
    """
    said = []
    for name, limit, own in _file_limits(config, streams):
        reserved = sum(max(0, each.limits.max_bytes) for each in own if each.limits)
        has_open = any(each.limits is None or each.limits.max_bytes <= 0 for each in own)
        if limit < reserved or (own and limit == reserved and has_open):
            said.append(
                f"{name}: {limit} bytes, and streams reserve {reserved} bytes by their max_bytes; expected more than "
                "that, else the server does not take all of them up again"
            )
    return said


def _full_store(situation: Situation) -> str:
    return _limited(situation, _unwritable)


def _unwritable(config: Mapping[str, t.Any], streams: Sequence[Stream]) -> list[str]:
    return [
        f"{name}: {limit} bytes, and {held} bytes are held, so that no more is stored"
        for name, limit, own in (*_file_limits(config, streams), *_memory_limits(config, streams))
        if limit < (held := sum(each.bytes or 0 for each in own))
    ]


def _memory_limits(
    config: Mapping[str, t.Any], streams: Sequence[Stream]
) -> Iterator[tuple[str, int, Sequence[Stream]]]:
    """Give the accounts' limits of memory, which a reload changes; with a restart nothing is held there."""
    for account, block in _account_limits(config):
        limit = _bytes(("accounts", account, "jetstream", "max_mem"), block.get("max_mem"))
        if limit is not None and limit >= 0:
            own = [each for each in streams if each.storage == MEMORY and each.account == account]
            yield f"accounts.{account}.jetstream.max_mem", limit, own


def _file_limits(config: Mapping[str, t.Any], streams: Sequence[Stream]) -> Iterator[tuple[str, int, Sequence[Stream]]]:
    """Give each limit of what is kept in files, with the streams to which it applies."""
    files = [stream for stream in streams if stream.storage != MEMORY]
    limit = plan.store_limit(config, "max_file")
    if limit is not None and limit >= 0:
        yield "jetstream.max_file", limit, files
    for account, block in _account_limits(config):
        limit = _bytes(("accounts", account, "jetstream", "max_file"), block.get("max_file"))
        if limit is not None and limit >= 0:
            yield f"accounts.{account}.jetstream.max_file", limit, [each for each in files if each.account == account]


def _smaller_limits(situation: Situation) -> str:
    return _limited(situation, _beyond_limits)


def _beyond_limits(config: Mapping[str, t.Any], streams: Sequence[Stream]) -> list[str]:
    """Say which streams and consumers the server does not take up, for what their own configuration asks for."""
    said = []
    files = [stream for stream in streams if stream.storage != MEMORY]
    own = _mapping(plan.jetstream_block(config).get("limits"))
    scopes = [("jetstream.limits", own, files)]
    scopes += [
        (f"accounts.{account}.jetstream", block, [each for each in files if each.account == account])
        for account, block in _account_limits(config)
    ]
    for scope, block, concerned in scopes:
        for option, exceeds in _EXCEEDING.items():
            value = block.get(option)
            limit = reading.effective(found, value) if (found := reading.find(_path(scope, option))) else value
            if isinstance(limit, int) and limit > 0 and (names := sorted(exceeds(concerned, limit))):
                shown = value if not isinstance(value, bool) else "true"
                said.append(
                    f"{scope}.{option}: {shown}, and {_listed(names)} {'has' if len(names) == 1 else 'have'} more, or "
                    "none; expected as much as they have, else the server does not take them up again"
                )
    return said


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


def _account_limits(config: Mapping[str, t.Any]) -> Iterator[tuple[str, Mapping[str, t.Any]]]:
    for account, block in _mapping(config.get("accounts")).items():
        yield str(account), _mapping(_mapping(block).get("jetstream"))


def _bytes(path: tuple[str, ...], value: t.Any) -> int | None:
    option = reading.find(path)
    limit = reading.effective(option, value) if option and value is not None else None
    return limit if isinstance(limit, int) else None


def _limited(situation: Situation, find_in: Callable[[Mapping[str, t.Any], Sequence[Stream]], list[str]]) -> str:
    """Say what is beyond limits. A reload takes effect on it with the next start; what was so before is no news."""
    found = find_in(situation.after, situation.streams)
    if not situation.starts and situation.before is not None:
        known = find_in(situation.before, situation.streams)
        found = [each for each in found if each not in known]
    return "; ".join(found) if health.meant_jetstream(situation.after) else ""


# Keys


def _other_key(situation: Situation) -> str:
    old, new, previous = _keys(situation)
    if old is None or old == new or (new is not None and previous == old):
        return ""
    lacks = "has no key any more" if new is None else "has another key"
    return (
        f"jetstream.key: {_counted(situation.files)}, encrypted, and the server {lacks}; expected the key that they "
        "are encrypted with, else it takes none of them up again"
    )


def _rotated_key(situation: Situation) -> str:
    old, new, previous = _keys(situation)
    lost = [each for each in situation.files if each.consumers or not each.limits or each.limits.retention == INTEREST]
    if old is None or old == new or new is None or previous != old or not lost:
        return ""
    return (
        f"jetstream.key: another one, with prev_encryption_key, and the server holds {_counted(lost)}; it loses the "
        "consumers of streams that it encrypts anew, and messages of those with interest"
    )


def _converted_streams(situation: Situation) -> str:
    """Name the streams of which an encryption loses messages (server/filestore.go, convertToEncrypted)."""
    old, new, _previous = _keys(situation)
    is_other_cipher = old == new and _cipher(situation.before or {}) != _cipher(situation.after)
    lost = [each for each in situation.files if each.limits is None or _has_compressed_blocks(situation, each)]
    if new is None or (old is not None and old == new and not is_other_cipher) or not lost:
        return ""
    return (
        f"jetstream.key: the server encrypts {_counted(lost)} anew, and of a compressed stream of several blocks it "
        "loses most messages, though it goes on counting them; expected none that is compressed"
    )


def _has_compressed_blocks(situation: Situation, stream: Stream) -> bool:
    """Tell whether a stream has a block that is full, and so compressed: of the last one nothing is."""
    kept = situation.stored.streams.get(stream.key) if situation.stored else None
    is_compressed = stream.limits is not None and stream.limits.compressed
    return is_compressed and (kept is None or kept.blocks is None or kept.blocks > 1)


def _cipher(config: Mapping[str, t.Any]) -> t.Any:
    return plan.jetstream_block(config).get("cipher")


def _keys(situation: Situation) -> tuple[t.Any, t.Any, t.Any]:
    """Give the old key, the new one and the one that it names as previous; None where nothing is encrypted by then."""
    if not (situation.starts and situation.files and situation.before):
        return None, None, None
    after = plan.jetstream_block(situation.after)
    old = plan.jetstream_block(situation.before).get("encryption_key") or None
    return old, after.get("encryption_key") or None, after.get("prev_encryption_key")


def converts(situation: Situation) -> bool:
    """Tell whether the server encrypts its store anew, which is harmless until it is to go back without the key."""
    old, new, _previous = _keys(situation)
    return old is None and new is not None


# Accounts

_ENABLED = ("enabled", "enable")
_ANYBODY = "whoever shows no credentials"


def _other_account(situation: Situation) -> str:
    """Say which accounts' streams are out of reach: of the account itself, or of users that come to another one."""
    if situation.before is None or not situation.streams or not health.meant_jetstream(situation.after):
        return ""
    said = []
    before, after = _users(situation.before), _users(situation.after)
    for account in sorted({stream.account for stream in situation.streams}):
        held = [stream for stream in situation.streams if stream.account == account]
        # what is out of reach already stays as it is; of a reload it comes with the next start
        if _has_jetstream(situation.before, account) and not _has_jetstream(situation.after, account):
            said.append(f"accounts: {account} has no JetStream any more, and holds {_counted(held)}")
            continue
        if before is None or after is None:
            if before is not after:
                said.append(f"operator: it brings other accounts, and {account} holds {_counted(held)}")
            continue
        had = [user for user, of in before.items() if of == account]
        moved = [user for user in had if after.get(user, account) != account]
        lost = bool(had) and account not in after.values()
        if moved or lost:
            who = f"{_listed(moved)} come to another account" if moved else "no user comes to it any more"
            said.append(f"accounts: {account} holds {_counted(held)}, and {who}")
    return f"{'; '.join(said)}; expected the account that holds them, else clients don't see them" if said else ""


def _users(config: Mapping[str, t.Any]) -> dict[str, str] | None:
    """Give the account that each user comes to (server/auth.go); None where an operator says."""
    if any(config.get(name) for name in ("operator", "trusted_keys", "resolver")):
        return None
    authorization, accounts = _mapping(config.get("authorization")), _mapping(config.get("accounts"))
    found = dict.fromkeys(_named(authorization.get("users")), GLOBAL)
    if authorization.get("user"):
        found[str(authorization["user"])] = GLOBAL
    if authorization.get("token"):
        found["whoever has the token"] = GLOBAL
    for account, block in accounts.items():
        found |= {user: str(account) for user in _named(_mapping(block).get("users"))}
    default = config.get("no_auth_user")
    if default is not None:
        found[_ANYBODY] = found.get(str(default), GLOBAL)
    elif all(account == _system_account(config) for account in found.values()):
        found[_ANYBODY] = GLOBAL
    return found


def _named(users: t.Any) -> Iterator[str]:
    for each in users if isinstance(users, list) else ():
        name = _mapping(each).get("user") or _mapping(each).get("nkey")
        if name:
            yield str(name)


def _has_jetstream(config: Mapping[str, t.Any], account: str) -> bool:
    """Tell whether an account has JetStream after a start (server/jetstream.go, enableJetStreamAccounts).

    The global one has it as long as no other account is there, the system's aside.
    """
    accounts, system = _mapping(config.get("accounts")), _system_account(config)
    if account == GLOBAL:
        return not any(name != system for name in accounts)
    given = _mapping(accounts.get(account)).get("jetstream")
    is_on = given in _ENABLED if isinstance(given, str) else given is True or isinstance(given, Mapping)
    return is_on and account != system


def _system_account(config: Mapping[str, t.Any]) -> str:
    return str(config.get("system_account") or "$SYS")


def _mapping(value: t.Any) -> Mapping[str, t.Any]:
    return value if isinstance(value, Mapping) else {}


# Versions

# The line that brought compressed blocks and a first sequence other than 1; an older one loses what has these.
_COMPRESSION_SINCE = (2, 10)
# From here on a stream survives a restart while its first sequence is the one that it was to begin with.
_FIRST_SEQUENCE_MENDED = (2, 10, 29)


def _older_version(situation: Situation) -> str:
    newer = (
        [each for each in situation.ran if version_line.is_downgrade(each, situation.version)]
        if situation.version
        else []
    )
    if not (situation.starts and newer) or version_line.minor(situation.version) >= _COMPRESSION_SINCE:
        return ""
    # what is not known of a stream may be what an older version loses
    lost = [
        each
        for each in situation.files
        if not each.limits or each.limits.first_seq or _has_compressed_blocks(situation, each)
    ]
    if not lost:
        return ""
    return (
        f"nats_server_version: {situation.version}, and {newer[0]} wrote {_counted(lost)}, which an older minor "
        "version can silently lose (2.10 to 2.9 lost 554 of 560 messages of a compressed stream)"
    )


def _first_sequence(situation: Situation) -> str:
    """Name the streams that a start empties (server/filestore.go of 2.10.7, newFileStoreWithCreated)."""
    if not situation.starts or not situation.version:
        return ""
    line = version_line.minor(situation.version)
    if line != _FIRST_SEQUENCE_MENDED[:2] or version_line.patch(situation.version) >= _FIRST_SEQUENCE_MENDED[2]:
        return ""
    lost = [
        each
        for each in situation.files
        if each.limits
        and each.limits.first_seq > 0
        and (each.first_seq or 0) <= each.limits.first_seq
        and each.messages
    ]
    if not lost:
        return ""
    return (
        f"a restart: nats-server {situation.version} empties {_counted(lost)}, whose first_seq is not below the first "
        "sequence that it has; expected that the first message of each is deleted before, or a later version"
    )


def _is_compressed(stream: Stream) -> bool:
    return stream.limits is None or stream.limits.compressed


def _has_first_sequence(stream: Stream) -> bool:
    return stream.limits is None or stream.limits.first_seq > 0


def _has_interest(stream: Stream) -> bool:
    return stream.limits is None or stream.limits.retention == INTEREST


# In words


def _counted(streams: Collection[Stream]) -> str:
    counts = Assets({stream.key: stream for stream in streams}).counts()
    messages = "an unknown number of messages" if counts["messages"] is None else _number(counts["messages"], "message")
    return f"{_number(len(streams), 'stream')} with {messages} ({_listed(map(str, streams))})"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join([*found[:_SHOWN], *([f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else [])])


DANGERS: dict[str, _Row] = {
    "fewer_connections": _Row(Kind.CUTS_OFF, _fewer_connections, copied=False),
    "memory_assets": _Row(Kind.DESTROYS, _memory_assets, copied=False, concerns=_is_in_memory),
    "added_cluster": _Row(Kind.DESTROYS, _added_cluster),
    "other_server_name": _Row(Kind.DESTROYS, _other_server_name),
    "older_version": _Row(
        Kind.DESTROYS,
        _older_version,
        concerns=lambda _config, stream, _consumer: _is_compressed(stream) or _has_first_sequence(stream),
    ),
    "rotated_key": _Row(
        Kind.DESTROYS,
        _rotated_key,
        concerns=lambda _config, stream, consumer: consumer is not None or _has_interest(stream),
    ),
    "converted_streams": _Row(
        Kind.DESTROYS, _converted_streams, concerns=lambda _config, stream, _consumer: _is_compressed(stream)
    ),
    "first_sequence": _Row(
        Kind.DESTROYS, _first_sequence, concerns=lambda _config, stream, _consumer: _has_first_sequence(stream)
    ),
    "replicated_streams": _Row(
        Kind.DESTROYS, _replicated_streams, concerns=lambda _config, stream, _consumer: (stream.replicas or 1) > 1
    ),
    "other_cluster": _Row(Kind.HIDES, _other_cluster),
    "other_store": _Row(Kind.HIDES, _other_store),
    "other_key": _Row(Kind.HIDES, _other_key),
    "other_account": _Row(
        Kind.HIDES,
        _other_account,
        concerns=lambda config, stream, _consumer: not _has_jetstream(config, stream.account),
    ),
    "smaller_store": _Row(
        Kind.HIDES, _smaller_store, concerns=lambda _config, stream, _consumer: stream.storage != MEMORY
    ),
    "smaller_limits": _Row(
        Kind.HIDES,
        _smaller_limits,
        concerns=lambda config, stream, _consumer: bool(_beyond_limits(config, [stream])),
    ),
    "no_jetstream": _Row(Kind.HIDES, _no_jetstream),
    # what is gone already is no loss of the change
    "gone_streams": _Row(Kind.HIDES, _gone_streams, copied=False, concerns=lambda _config, _stream, _consumer: False),
    "full_store": _Row(Kind.STOPS_WRITES, _full_store),
}
"""All dangers, by the word that accepts them, in the order in which they are told."""
# Those that a user can accept.
WORDS = tuple(name for name, row in DANGERS.items() if row.kind is not Kind.STOPS_WRITES)
