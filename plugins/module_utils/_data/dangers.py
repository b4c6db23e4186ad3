# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change would cut off, destroy, hide or stop: a table of dangers, each with the word that accepts it.

Each was tried on nats-server 2.10.7; tests/assets has the trials, and shows that what is not here is harmless."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._data import lost_streams, version_line
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_changes import Accepted
from ansible_collections.rosey.nats.plugins.module_utils._data.asset_gate import gone
from ansible_collections.rosey.nats.plugins.module_utils._data.assets import (
    GLOBAL,
    INTEREST,
    MEMORY,
    Consumer,
    Stream,
)
from ansible_collections.rosey.nats.plugins.module_utils._data.before_change import (
    Situation,
    beyond_limits,
    counted,
    has_interest,
    has_jetstream,
    is_in_memory,
    listed,
    mapping,
    memory_assets,
    named,
    system_account,
)
from ansible_collections.rosey.nats.plugins.module_utils._data.lost_by_clusters import (
    added_cluster,
    foreign_store,
    other_cluster,
    other_server_name,
    replicated_streams,
)
from ansible_collections.rosey.nats.plugins.module_utils._data.lost_by_limits import (
    full_store,
    smaller_limits,
    smaller_store,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action
from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum
from ansible_collections.rosey.nats.plugins.module_utils._server import health, plan
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading

# The word that accepts every danger, as going back does when a deployment failed.
ALL = "all"


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
    rows = ((name, row, row.find(situation)) for name, row in DANGERS.items())
    return tuple(Danger(name, row.kind, what, row.copied) for name, row, what in rows if what)


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


def _other_store(situation: Situation) -> str:
    meant = plan.store_directory(situation.after)
    if not (situation.files and takes_up_store(situation.action, situation.before, situation.after)):
        return ""
    if situation.stored is None:
        if situation.before is None or _store_text(situation.before) == _store_text(situation.after):
            return ""
        return (
            f"jetstream.store_dir: only the server's environment gives it, and {counted(situation.files)} are held; "
            "expected a path, else nobody can tell whether they are there"
        )
    missing = [stream for stream in situation.files if stream.key not in situation.stored.streams]
    if not missing:
        return ""
    return (
        f"jetstream.store_dir: {meant}, and {counted(missing)} are not there; expected the directory that has them, "
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
    return f"jetstream: off, and it holds {counted(situation.streams)}; expected on, else no client reaches them"


def _gone_streams(situation: Situation) -> str:
    if situation.unread:
        return (
            f"{situation.unread}, so that it can't be told whether a stream of the last proven state is gone; "
            f"{lost_streams.LOOK}; what is there now is what was proven then, and a damaged file is kept aside"
        )
    if situation.proven is None or situation.held is None:
        return ""
    # what only the present configuration hides is in the store, and a deployment may be the cure
    there = situation.stored.streams if situation.stored else {}
    missing = [stream for stream in gone(situation.proven, situation.held) if stream.key not in there]
    if not missing:
        return ""
    return (
        f"{counted(missing)}: gone, and the last proven state had them; expected all of them; bring them back, or the "
        "disk on which they are"
    )


# Keys


def _other_key(situation: Situation) -> str:
    old, new, previous = _keys(situation)
    if old is None or old == new or (new is not None and previous == old):
        return ""
    lacks = "has no key any more" if new is None else "has another key"
    return (
        f"jetstream.key: {counted(situation.files)}, encrypted, and the server {lacks}; expected the key that they "
        "are encrypted with, else it takes none of them up again"
    )


def _rotated_key(situation: Situation) -> str:
    old, new, previous = _keys(situation)
    lost = [each for each in situation.files if each.consumers or not each.limits or each.limits.retention == INTEREST]
    if old is None or old == new or new is None or previous != old or not lost:
        return ""
    return (
        f"jetstream.key: another one, with prev_encryption_key, and the server holds {counted(lost)}; it loses the "
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
        f"jetstream.key: the server encrypts {counted(lost)} anew, and of a compressed stream of several blocks it "
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


_ANYBODY = "whoever shows no credentials"


def _other_account(situation: Situation) -> str:
    """Say which accounts' streams are out of reach: of the account itself, or of users that come to another one."""
    if situation.before is None or not situation.streams or not health.meant_jetstream(situation.after):
        return ""
    sentences = []
    before, after = _users(situation.before), _users(situation.after)
    for account in sorted({stream.account for stream in situation.streams}):
        held = [stream for stream in situation.streams if stream.account == account]
        # what is out of reach already stays as it is; of a reload it comes with the next start
        if has_jetstream(situation.before, account) and not has_jetstream(situation.after, account):
            sentences.append(f"accounts: {account} has no JetStream any more, and holds {counted(held)}")
            continue
        if before is None or after is None:
            if before is not after:
                sentences.append(f"operator: it brings other accounts, and {account} holds {counted(held)}")
            continue
        had = [user for user, of in before.items() if of == account]
        moved = [user for user in had if after.get(user, account) != account]
        lost = bool(had) and account not in after.values()
        if moved or lost:
            who = f"{listed(moved)} come to another account" if moved else "no user comes to it any more"
            sentences.append(f"accounts: {account} holds {counted(held)}, and {who}")
    return (
        f"{'; '.join(sentences)}; expected the account that holds them, else clients don't see them"
        if sentences
        else ""
    )


def _users(config: Mapping[str, t.Any]) -> dict[str, str] | None:
    """Give the account that each user comes to (server/auth.go); None where an operator says."""
    if any(config.get(name) for name in ("operator", "trusted_keys", "resolver")):
        return None
    authorization, accounts = mapping(config.get("authorization")), mapping(config.get("accounts"))
    account_of = dict.fromkeys(named(authorization.get("users")), GLOBAL)
    if authorization.get("user"):
        account_of[str(authorization["user"])] = GLOBAL
    if authorization.get("token"):
        account_of["whoever has the token"] = GLOBAL
    for account, block in accounts.items():
        account_of |= {user: str(account) for user in named(mapping(block).get("users"))}
    default = config.get("no_auth_user")
    if default is not None:
        account_of[_ANYBODY] = account_of.get(str(default), GLOBAL)
    elif all(account == system_account(config) for account in account_of.values()):
        account_of[_ANYBODY] = GLOBAL
    return account_of


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
        f"nats_server_version: {situation.version}, and {newer[0]} wrote {counted(lost)}, which an older minor "
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
        stream
        for stream in situation.files
        if stream.limits
        and stream.limits.first_seq > 0
        and (stream.first_seq or 0) <= stream.limits.first_seq
        and stream.messages
    ]
    if not lost:
        return ""
    return (
        f"a restart: nats-server {situation.version} empties {counted(lost)}, whose first_seq is not below the first "
        "sequence that it has; expected that the first message of each is deleted before, or a later version"
    )


def _is_compressed(stream: Stream) -> bool:
    return stream.limits is None or stream.limits.compressed


def _has_first_sequence(stream: Stream) -> bool:
    return stream.limits is None or stream.limits.first_seq > 0


DANGERS: dict[str, _Row] = {
    "fewer_connections": _Row(Kind.CUTS_OFF, _fewer_connections, copied=False),
    "memory_assets": _Row(Kind.DESTROYS, memory_assets, copied=False, concerns=is_in_memory),
    "added_cluster": _Row(Kind.DESTROYS, added_cluster),
    "other_server_name": _Row(Kind.DESTROYS, other_server_name),
    "foreign_store": _Row(
        # whatever the cluster loses by it is no loss that was meant
        Kind.DESTROYS,
        foreign_store,
        copied=False,
        concerns=lambda _config, _stream, _consumer: False,
    ),
    "older_version": _Row(
        Kind.DESTROYS,
        _older_version,
        concerns=lambda _config, stream, _consumer: _is_compressed(stream) or _has_first_sequence(stream),
    ),
    "rotated_key": _Row(
        Kind.DESTROYS,
        _rotated_key,
        concerns=lambda _config, stream, consumer: consumer is not None or has_interest(stream),
    ),
    "converted_streams": _Row(
        Kind.DESTROYS, _converted_streams, concerns=lambda _config, stream, _consumer: _is_compressed(stream)
    ),
    "first_sequence": _Row(
        Kind.DESTROYS, _first_sequence, concerns=lambda _config, stream, _consumer: _has_first_sequence(stream)
    ),
    "replicated_streams": _Row(
        Kind.DESTROYS, replicated_streams, concerns=lambda _config, stream, _consumer: (stream.replicas or 1) > 1
    ),
    "other_cluster": _Row(Kind.HIDES, other_cluster),
    "other_store": _Row(Kind.HIDES, _other_store),
    "other_key": _Row(Kind.HIDES, _other_key),
    "other_account": _Row(
        Kind.HIDES,
        _other_account,
        concerns=lambda config, stream, _consumer: not has_jetstream(config, stream.account),
    ),
    "smaller_store": _Row(
        Kind.HIDES, smaller_store, concerns=lambda _config, stream, _consumer: stream.storage != MEMORY
    ),
    "smaller_limits": _Row(
        Kind.HIDES,
        smaller_limits,
        concerns=lambda config, stream, _consumer: bool(beyond_limits(config, [stream])),
    ),
    "no_jetstream": _Row(Kind.HIDES, _no_jetstream),
    # what is gone already is no loss of the change
    "gone_streams": _Row(Kind.HIDES, _gone_streams, copied=False, concerns=lambda _config, _stream, _consumer: False),
    "full_store": _Row(Kind.STOPS_WRITES, full_store),
}
"""All dangers, by the word that accepts them, in the order in which they are told."""
# Those that a user can accept.
WORDS = tuple(name for name, row in DANGERS.items() if row.kind is not Kind.STOPS_WRITES)
