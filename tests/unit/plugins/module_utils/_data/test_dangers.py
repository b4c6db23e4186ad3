# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.module_utils._data import assets, before_change, cluster_store, dangers
from ansible_collections.rosey.nats.plugins.module_utils._data.assets import Consumer, Limits, Stream
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading

Config = dict[str, Any]

STORE = {"store_dir": "/s", "max_mem": 512_000_000, "max_file": 5_000_000_000}
ON: Config = {"server_name": "one", "jetstream": STORE}
ONE = cluster_store.peer_id("one")
N1 = frozenset({cluster_store.peer_id("n1")})
GROUPLESS = {"added_cluster": "the store has nothing of the cluster's group, and 1 stream with 400 messages (CHAT) of"}
FOREIGN = {"foreign_store": "jetstream.store_dir: /s/jetstream is the store of a server that was in a cluster, and not"}
CLUSTER: Config = {"cluster": {"name": "c", "port": 6222, "routes": ["nats://h:6222"]}}
OTHER_NAME: Config = {**ON, "cluster": {**CLUSTER["cluster"], "name": "d"}}
MOVED = {"foreign_store": "cluster: c -> d, and /s/jetstream is the store of a member of c, with servers that d does"}
CHAT = Stream("$G", "CHAT", None, assets.FILE, 1, 400, 1000, 1, 400, Limits(), (Consumer("reader"),))
RESERVED = Stream("$G", "RESERVED", None, assets.FILE, 1, 0, 0, 0, 0, Limits(max_bytes=2000))
CACHE = Stream("$G", "CACHE", None, assets.MEMORY, 1, 3, 30, 1, 3, Limits())
LEFT = Stream("$G", "LEFT", None, assets.FILE, 1, 1, 1, 1, 1, Limits(), (Consumer("remembers", in_memory=True),))
PASSING = Stream(
    "$G", "PASSING", None, assets.FILE, 1, 1, 1, 1, 1, Limits(), (Consumer("comes", passing=True, in_memory=True),)
)
THREE = Stream("$G", "THREE", None, assets.FILE, 3, 7, 70, 1, 7, Limits())
APP = Stream("APP", "ORDERS", None, assets.FILE, 1, 5, 50, 1, 5, Limits(max_bytes=100, duplicate_window=60))
SMALL = Stream("$G", "SMALL", None, assets.FILE, 1, 6, 60, 1, 6, Limits(compressed=True))
FROM_1000 = Stream("$G", "FROM", None, assets.FILE, 1, 5, 50, 1000, 1004, Limits(first_seq=1000))
BUSY = Stream(
    "$G",
    "BUSY",
    None,
    assets.FILE,
    1,
    1,
    1,
    1,
    1,
    Limits(max_consumers=5, duplicate_window=120_000_000_000),
    (Consumer("eager", max_ack_pending=1000, max_batch=50),),
)


def users(account: str, *names: str, **more: Any) -> Config:
    return {account: {"users": [{"user": name, "password": "p"} for name in names], **more}}


def find(
    after: Config,
    *streams: Stream,
    before: Config | str | None = "on",
    action: Action = Action.RESTART,
    stored: tuple[Stream, ...] | None = (),
    proven: tuple[Stream, ...] | None = None,
    **others: Any,
) -> dict[str, dangers.Danger]:
    ran_with = ON if isinstance(before, str) else before
    situation = before_change.Situation(
        after=reading.canonical(after),
        action=action,
        before=None if ran_with is None else reading.canonical(ran_with),
        held=assets.of(streams),
        stored=None if stored is None else assets.of(stored or streams),
        proven=None if proven is None else assets.of(proven),
        **others,
    )
    return {danger.name: danger for danger in dangers.find(situation)}


@pytest.mark.parametrize(
    ("after", "streams", "given", "expected"),
    [
        ({**ON, "max_connections": 4}, (), {"varz": {"connections": 5}}, {"fewer_connections": "and 5 clients"}),
        ({**ON, "max_connections": 5}, (), {"varz": {"connections": 5}}, {}),
        ({**ON, "max_connections": -1}, (), {"varz": {"connections": 5}}, {}),
        (ON, (CHAT,), {}, {}),
        # in memory
        (ON, (CACHE,), {}, {"memory_assets": "a restart: the server holds 1 stream with 3 messages (CACHE) in memory"}),
        (ON, (LEFT,), {}, {"memory_assets": "1 consumer in memory (LEFT > remembers), which are gone then"}),
        (ON, (PASSING,), {}, {}),
        (ON, (CACHE,), {"action": Action.RELOAD}, {}),
        ({}, (CACHE,), {"action": Action.RELOAD}, {"memory_assets": "jetstream is turned off", "no_jetstream": "off"}),
        ({**ON, **CLUSTER}, (Stream("$G", "M", None, assets.MEMORY, 3),), {"before": {**ON, **CLUSTER}}, {}),
        ({**ON, **CLUSTER}, (CACHE,), {"before": {**ON, **CLUSTER}}, {"memory_assets": "CACHE"}),
        # replicas without a cluster
        (ON, (THREE, CHAT), {}, {"replicated_streams": "1 stream with 7 messages (THREE), of more than one replica"}),
        (ON, (THREE,), {"action": Action.RELOAD}, {}),
        ({**ON, **CLUSTER}, (THREE,), {"before": {**ON, **CLUSTER}}, {}),
        # clusters
        ({**ON, **CLUSTER}, (CHAT,), {}, {"added_cluster": "added to a single server that holds 1 stream with 400"}),
        ({**ON, "cluster": {"listen": "h:1", "name": "c"}}, (CHAT,), {}, {"added_cluster": ""}),
        ({**ON, "gateway": {"name": "g", "port": 7222}}, (CHAT,), {}, {"added_cluster": ""}),
        ({**ON, "cluster": {"name": "c"}}, (CHAT,), {}, {}),
        ({**ON, **CLUSTER}, (CHAT,), {"before": None}, {"added_cluster": ""}),
        ({**ON, **CLUSTER}, (), {}, {}),
        ({**ON, **CLUSTER}, (CHAT,), {"before": {**ON, **CLUSTER}}, {}),
        (
            {"jetstream": {**STORE, "extension_hint": "will_extend"}, "leafnodes": {"remotes": [{"account": "$SYS"}]}},
            (CHAT,),
            {},
            {"added_cluster": ""},
        ),
        ({**ON, "leafnodes": {"remotes": [{"account": "$SYS"}]}}, (CHAT,), {}, {}),
        (ON, (CHAT,), {"before": {**ON, **CLUSTER}}, {"other_cluster": "cluster: a cluster -> none"}),
        (OTHER_NAME, (CHAT,), {"before": {**ON, **CLUSTER}}, {"other_cluster": "c -> d"}),
        (
            {**ON, **CLUSTER, "server_name": "two"},
            (CHAT,),
            {"before": {**ON, **CLUSTER}},
            {"other_server_name": "server_name: one -> two"},
        ),
        ({**ON, "server_name": "two"}, (CHAT,), {}, {}),
        # a group that is not there, as after a full disk
        ({**ON, **CLUSTER}, (CHAT, THREE), {"before": {**ON, **CLUSTER}, "peers": frozenset()}, GROUPLESS),
        ({**ON, **CLUSTER}, (THREE,), {"before": {**ON, **CLUSTER}, "peers": frozenset()}, {}),
        ({**ON, **CLUSTER}, (CHAT,), {"before": {**ON, **CLUSTER}, "peers": None}, {}),
        ({**ON, **CLUSTER}, (CHAT,), {"before": {**ON, **CLUSTER}, "peers": frozenset({ONE})}, {}),
        # whose store it is, by the ids of one and two, and of another
        ({**ON, **CLUSTER}, (), {"before": None, "peers": N1}, FOREIGN),
        ({**ON, **CLUSTER}, (), {"before": None, "peers": N1 | {ONE}}, {}),
        (
            {**ON, **CLUSTER},
            (),
            {"before": {**ON, **CLUSTER, "server_name": "n1"}, "peers": N1},
            {},
        ),
        ({**ON, **CLUSTER}, (), {"before": None, "peers": N1, "action": Action.RELOAD}, {}),
        # a member moves, or all of them take another name
        (OTHER_NAME, (), {"before": {**ON, **CLUSTER}, "peers": N1 | {ONE}, "members": ("one", "n2")}, MOVED),
        (OTHER_NAME, (), {"before": {**ON, **CLUSTER}, "peers": N1 | {ONE}, "members": ("one", "n1", "n2")}, {}),
        ({**ON, **CLUSTER}, (), {"before": {**ON, **CLUSTER}, "peers": N1 | {ONE}, "members": ("one", "n2")}, {}),
        (ON, (), {"before": None, "peers": N1}, {}),
        ({"jetstream": STORE, **CLUSTER}, (), {"before": None, "peers": N1}, {}),
        ({"jetstream": {**STORE, "domain": "d"}}, (CHAT,), {}, {}),
        # the store
        (ON, (CHAT,), {"stored": (RESERVED,)}, {"other_store": "/s/jetstream, and 1 stream with 400 messages (CHAT)"}),
        (ON, (CHAT,), {"stored": (RESERVED,), "action": Action.RELOAD}, {}),
        (ON, (CACHE,), {"stored": (RESERVED,)}, {"memory_assets": ""}),
        (
            {"jetstream": {"store_dir": {"$variable": "S"}}},
            (CHAT,),
            {"stored": None},
            {"other_store": "only the server's environment gives it"},
        ),
        (
            {"jetstream": {"store_dir": {"$variable": "S"}}},
            (CHAT,),
            {"stored": None, "before": {"jetstream": {"store_dir": {"$variable": "S"}}}},
            {},
        ),
        (ON, (), {"proven": (CHAT,)}, {"gone_streams": "1 stream with 400 messages (CHAT): gone"}),
        (ON, (), {"proven": (CHAT,), "stored": (CHAT,)}, {}),
        (ON, (), {"proven": (CACHE,)}, {}),
        (ON, (CHAT,), {"proven": (CHAT,), "action": Action.NOTHING}, {}),
        # JetStream off
        ({}, (CHAT,), {}, {"no_jetstream": "jetstream: off, and it holds 1 stream with 400 messages (CHAT)"}),
        ({"jetstream": {**STORE, "enabled": False}}, (CHAT,), {"action": Action.RELOAD}, {"no_jetstream": ""}),
        ({}, (), {}, {}),
        ({}, (CHAT,), {"before": {}}, {}),
        # limits
        ({"jetstream": {**STORE, "max_file": 999}}, (CHAT,), {}, {"full_store": "max_file: 999 bytes, and 1000 bytes"}),
        ({"jetstream": {**STORE, "max_file": 1000}}, (CHAT,), {}, {}),
        ({"jetstream": {**STORE, "max_file": 1999}}, (RESERVED,), {}, {"smaller_store": "reserve 2000 bytes"}),
        ({"jetstream": {**STORE, "max_file": 2000}}, (RESERVED,), {}, {}),
        ({"jetstream": {**STORE, "max_file": 2000}}, (RESERVED, CHAT), {}, {"smaller_store": ""}),
        ({"jetstream": {**STORE, "max_file": 0}}, (CHAT,), {}, {"smaller_store": "", "full_store": ""}),
        ({"jetstream": {**STORE, "max_mem": 0}}, (CHAT,), {}, {}),
        (
            {**ON, "accounts": users("APP", "u", jetstream={"max_file": 99})},
            (APP,),
            {"action": Action.RELOAD, "before": {**ON, "accounts": users("APP", "u", jetstream="enabled")}},
            {"smaller_store": "accounts.APP.jetstream.max_file: 99 bytes"},
        ),
        (
            {**ON, "accounts": users("APP", "u", jetstream={"max_file": 99})},
            (APP,),
            {"action": Action.RELOAD, "before": {**ON, "accounts": users("APP", "u", jetstream={"max_file": 99})}},
            {},
        ),
        (
            {"jetstream": {**STORE, "limits": {"duplicate_window": "100s"}}},
            (BUSY, CHAT),
            {},
            {"smaller_limits": "jetstream.limits.duplicate_window: 100s, and BUSY has more"},
        ),
        ({"jetstream": {**STORE, "limits": {"duplicate_window": "2m"}}}, (BUSY,), {}, {}),
        (
            {"jetstream": {**STORE, "limits": {"max_ack_pending": 999, "max_request_batch": 49}}},
            (BUSY,),
            {},
            {"smaller_limits": "max_ack_pending: 999, and BUSY > eager has more"},
        ),
        (
            {**ON, "accounts": users("APP", "u", jetstream={"max_bytes_required": True, "disk_max_stream_bytes": 99})},
            (APP,),
            {"before": {**ON, "accounts": users("APP", "u", jetstream="enabled")}},
            {"smaller_limits": "disk_max_stream_bytes: 99, and APP/ORDERS has more"},
        ),
        # keys
        ({"jetstream": {**STORE, "key": "k"}}, (CHAT,), {}, {}),
        (
            ON,
            (CHAT,),
            {"before": {"jetstream": {**STORE, "key": "k"}}},
            {"other_key": "has no key any more"},
        ),
        (
            {"jetstream": {**STORE, "encryption_key": "l"}},
            (CHAT,),
            {"before": {"jetstream": {**STORE, "key": "k"}}},
            {"other_key": "another key"},
        ),
        (
            {"jetstream": {**STORE, "key": "l", "prev_encryption_key": "k"}},
            (CHAT,),
            {"before": {"jetstream": {**STORE, "key": "k"}}},
            {"rotated_key": "loses the consumers"},
        ),
        (
            {"jetstream": {**STORE, "key": "k", "cipher": "aes"}},
            (CHAT,),
            {"before": {"jetstream": {**STORE, "key": "k"}}},
            {},
        ),
        (
            {"jetstream": {**STORE, "key": "k"}},
            (SMALL, CHAT),
            {},
            {"converted_streams": "encrypts 1 stream with 6 messages (SMALL) anew"},
        ),
        (
            {"jetstream": {**STORE, "key": "k", "cipher": "aes"}},
            (SMALL,),
            {"before": {"jetstream": {**STORE, "key": "k"}}},
            {"converted_streams": ""},
        ),
        ({"jetstream": {**STORE, "key": "k"}}, (SMALL,), {"before": {"jetstream": {**STORE, "key": "k"}}}, {}),
        # accounts
        ({**ON, "authorization": {"user": "u", "password": "p"}}, (CHAT,), {"action": Action.RELOAD}, {}),
        ({**ON, "authorization": {"token": "t"}}, (CHAT,), {"action": Action.RELOAD}, {}),
        ({**ON, "accounts": users("$SYS", "admin")}, (CHAT,), {"action": Action.RELOAD}, {}),
        (
            {**ON, "accounts": users("APP", "u", jetstream="enabled")},
            (CHAT,),
            {"action": Action.RELOAD},
            {"other_account": "accounts: $G has no JetStream any more, and holds 1 stream with 400 messages (CHAT)"},
        ),
        (
            {**ON, "accounts": {"SYS": {}, **users("SYS", "admin")}, "system_account": "SYS"},
            (CHAT,),
            {},
            {},
        ),
        (
            {**ON, "accounts": users("BACK", "u", jetstream="enabled")},
            (APP,),
            {"before": {**ON, "accounts": users("APP", "u", jetstream="enabled")}},
            {"other_account": "APP has no JetStream any more"},
        ),
        (
            {**ON, "accounts": users("APP", "u", jetstream="disabled")},
            (APP,),
            {"before": {**ON, "accounts": users("APP", "u", jetstream={"max_mem": "1G"})}},
            {"other_account": "APP has no JetStream any more"},
        ),
        (
            {**ON, "accounts": {**users("APP", "v", jetstream=True), **users("BACK", "u", jetstream=True)}},
            (APP,),
            {"before": {**ON, "accounts": users("APP", "u", "v", jetstream=True)}, "action": Action.RELOAD},
            {"other_account": "and u come to another account"},
        ),
        (
            {**ON, "accounts": users("APP", "other", jetstream=True)},
            (APP,),
            {"before": {**ON, "accounts": users("APP", "u", jetstream=True)}, "action": Action.RELOAD},
            {},
        ),
        (
            {**ON, "accounts": {**users("APP", jetstream=True), **users("BACK", "w")}},
            (APP,),
            {"before": {**ON, "accounts": {**users("APP", "u", jetstream=True), **users("BACK", "w")}}},
            {"other_account": "and no user comes to it any more"},
        ),
        (
            {
                **ON,
                "no_auth_user": "w",
                "accounts": {**users("APP", "u", jetstream=True), **users("BACK", "w")},
            },
            (APP,),
            {
                "before": {
                    **ON,
                    "no_auth_user": "u",
                    "accounts": {**users("APP", "u", jetstream=True), **users("BACK", "w")},
                }
            },
            {"other_account": "whoever shows no credentials come to another account"},
        ),
        (
            {**ON, "operator": "op.jwt", "resolver": "MEMORY"},
            (CHAT,),
            {},
            {"other_account": "operator: it brings other accounts"},
        ),
        # versions
        (ON, (SMALL,), {"ran": ("2.10.7",), "version": "2.9.25"}, {"older_version": "2.10.7 wrote 1 stream with 6"}),
        (ON, (CHAT,), {"ran": ("2.10.7",), "version": "2.9.25"}, {}),
        (
            ON,
            (Stream("$G", "UNKNOWN"),),
            {"ran": ("2.10.7",), "version": "2.9.25"},
            {"older_version": "unknown number"},
        ),
        (ON, (SMALL,), {"ran": ("2.11.4",), "version": "2.10.7"}, {}),
        (ON, (SMALL,), {"ran": ("2.9.25",), "version": "2.10.7"}, {}),
        (ON, (FROM_1000,), {"version": "2.10.7"}, {"first_sequence": "2.10.7 empties 1 stream with 5 messages (FROM)"}),
        (ON, (FROM_1000,), {"version": "2.10.29"}, {}),
        (ON, (FROM_1000,), {"version": "2.11.4"}, {}),
        (ON, (FROM_1000,), {"version": "2.10.7", "action": Action.RELOAD}, {}),
        (ON, (replace(FROM_1000, first_seq=1001),), {"version": "2.10.7"}, {}),
        (ON, (replace(FROM_1000, messages=0),), {"version": "2.10.7"}, {}),
    ],
)
def test_a_danger_is_named_with_its_figures(
    after: Config, streams: tuple[Stream, ...], given: dict[str, Any], expected: dict[str, str]
) -> None:
    found = find(after, *streams, **given)
    assert found.keys() == expected.keys()
    for name, danger in found.items():
        assert expected[name] in danger.what
        assert f". Set nats_server_accept: [{name}] to do it all the same" in danger.refusal
        assert danger.refusal.endswith("; the store is copied first.") is danger.copied


def test_a_refusal_says_what_becomes_of_the_store() -> None:
    added = find({**ON, **CLUSTER}, CHAT)["added_cluster"]
    assert added.refusal.endswith("to do it all the same; the store is copied first.")
    assert find(ON, CACHE)["memory_assets"].refusal.endswith("; what is in memory can't be copied.")
    fewer = find({**ON, "max_connections": 1}, varz={"connections": 2})["fewer_connections"]
    assert fewer.refusal.endswith("to do it all the same.")


def test_what_is_held_is_listed_and_counted() -> None:
    many = [Stream("$G", f"S{number}", messages=number) for number in range(8)]
    assert "8 streams with 28 messages (S0, S1, S2, S3, S4, and 3 more)" in find({}, *many)["no_jetstream"].what


@pytest.mark.parametrize(
    ("words", "stream", "consumer", "expected"),
    [
        ([], CHAT, None, False),
        (["all"], CHAT, None, True),
        (["added_cluster"], CHAT, None, True),
        (["memory_assets"], CHAT, None, False),
        (["memory_assets"], CACHE, None, True),
        (["memory_assets"], LEFT, LEFT.consumers[0], True),
        (["replicated_streams"], CHAT, None, False),
        (["replicated_streams"], THREE, None, True),
        (["first_sequence"], CHAT, None, False),
        (["first_sequence"], FROM_1000, None, True),
        (["older_version", "converted_streams"], CHAT, None, False),
        (["older_version"], SMALL, None, True),
        (["converted_streams"], SMALL, None, True),
        (["rotated_key"], CHAT, None, False),
        (["rotated_key"], CHAT, CHAT.consumers[0], True),
        (["smaller_store"], CHAT, None, True),
        (["smaller_store"], CACHE, None, False),
        (["smaller_limits"], CHAT, None, False),
        (["smaller_limits"], BUSY, None, True),
        (["other_account"], CHAT, None, False),
        (["other_account"], APP, None, True),
        # what was gone before is no loss of a change
        (["gone_streams"], CHAT, None, False),
        # it is no loss that was meant
        (["foreign_store"], CHAT, None, False),
        (["fewer_connections", "full_store", "uncopied_store", "unknown"], CHAT, None, False),
    ],
)
def test_a_word_accepts_the_loss_of_what_it_is_about(
    words: list[str], stream: Stream, consumer: Consumer | None, *, expected: bool
) -> None:
    config = {"jetstream": {**STORE, "limits": {"duplicate_window": "1m"}}}
    assert dangers.accepting(words, config)(stream, consumer) is expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (ON, {"jetstream": {**STORE, "key": "k"}}, True),
        ({"jetstream": {**STORE, "key": "k"}}, {"jetstream": {**STORE, "key": "k", "cipher": "aes"}}, False),
        (ON, ON, False),
    ],
)
def test_what_is_encrypted_anew_could_not_be_read_without_the_key(
    before: Config, after: Config, *, expected: bool
) -> None:
    situation = before_change.Situation(
        after=reading.canonical(after),
        action=Action.RESTART,
        before=reading.canonical(before),
        held=assets.of([CHAT]),
        stored=assets.of([CHAT]),
    )
    assert dangers.converts(situation) is expected
    assert dangers.find(situation) == ()
