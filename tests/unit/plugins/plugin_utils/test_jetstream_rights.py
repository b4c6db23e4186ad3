# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `uses` grants and what is wrong with it; that a set is the least is for the test against the real server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.rosey.nats.plugins.module_utils._server import subjects
from ansible_collections.rosey.nats.plugins.plugin_utils import jetstream_rights

BUCKET_READ = {"$JS.API.STREAM.INFO.KV_quotes", "$JS.API.DIRECT.GET.KV_quotes.$KV.quotes.>"}
BUCKET_WATCH = {
    *BUCKET_READ,
    "$JS.API.CONSUMER.CREATE.KV_quotes",
    "$JS.API.CONSUMER.INFO.KV_quotes.*",
    "$JS.FC.KV_quotes.>",
}
OBJECTS_READ = {
    "$JS.API.STREAM.INFO.OBJ_clips",
    "$JS.API.STREAM.MSG.GET.OBJ_clips",
    "$JS.API.STREAM.NAMES",
    "$JS.API.CONSUMER.CREATE.OBJ_clips",
    "$JS.FC.OBJ_clips.>",
}


@pytest.mark.parametrize(
    ("uses", "granted"),
    [
        ({}, set()),
        ({"buckets": {}}, set()),
        ({"buckets": {"quotes": "read"}}, BUCKET_READ),
        ({"buckets": {"quotes": ["read"]}}, BUCKET_READ),
        ({"buckets": {"quotes": {"rights": "read"}}}, BUCKET_READ),
        ({"buckets": {"quotes": "write"}}, {*BUCKET_READ, "$KV.quotes.>"}),
        ({"buckets": {"quotes": "watch"}}, BUCKET_WATCH),
        ({"buckets": {"quotes": ["write", "watch", "write"]}}, {*BUCKET_WATCH, "$KV.quotes.>"}),
        ({"buckets": {"quotes": {"rights": ["write", "watch"]}}}, {*BUCKET_WATCH, "$KV.quotes.>"}),
        (
            {"buckets": {"quotes": {"rights": "read", "keys": "trivia.>"}}},
            {"$JS.API.STREAM.INFO.KV_quotes", "$JS.API.DIRECT.GET.KV_quotes.$KV.quotes.trivia.>"},
        ),
        (
            {"buckets": {"quotes": {"rights": ["write"], "keys": "trivia.*"}}},
            {
                "$JS.API.STREAM.INFO.KV_quotes",
                "$JS.API.DIRECT.GET.KV_quotes.$KV.quotes.trivia.*",
                "$KV.quotes.trivia.*",
            },
        ),
        ({"streams": {"chat_history": "publish"}}, set()),
        ({"streams": {"chat_history": "read"}}, {"$JS.API.STREAM.MSG.GET.chat_history"}),
        (
            {"consumers": {"chat_history.answers": "pull"}},
            {"$JS.API.CONSUMER.MSG.NEXT.chat_history.answers", "$JS.ACK.chat_history.answers.>"},
        ),
        ({"consumers": {"answers": "pull"}}, {"$JS.API.CONSUMER.MSG.NEXT.*.answers", "$JS.ACK.*.answers.>"}),
        ({"objects": {"clips": "read"}}, OBJECTS_READ),
        (
            {"objects": {"clips": "write"}},
            {*OBJECTS_READ, "$O.clips.C.*", "$O.clips.M.*", "$JS.API.STREAM.PURGE.OBJ_clips"},
        ),
        (
            {"buckets": {"quotes": "read"}, "objects": {"clips": "read"}, "streams": {"a": "read", "b": "read"}},
            {*BUCKET_READ, *OBJECTS_READ, "$JS.API.STREAM.MSG.GET.a", "$JS.API.STREAM.MSG.GET.b"},
        ),
    ],
)
def test_what_is_used_is_granted(uses: dict[str, Any], granted: set[str]) -> None:
    assert jetstream_rights.problems(uses) == []
    assert jetstream_rights.rights(uses) == jetstream_rights.Rights(frozenset(granted), frozenset())


@pytest.mark.parametrize(
    ("uses", "place", "fault", "expected", "remedy"),
    [
        (
            {"bucket": {}},
            ("", "bucket"),
            "is no kind of asset",
            "buckets, streams, consumers or objects",
            "the nearest is buckets",
        ),
        ({5: {}}, ("", 5), "is no kind of asset", "buckets,", "write it as expected, or leave it out"),
        ({"buckets": None}, ("buckets", None), "is no mapping", "rights by the name of the bucket", "write name: read"),
        ({"consumers": ["a"]}, ("consumers", ["a"]), "is no mapping", "of the consumer", "write name: pull"),
        ({"buckets": {5: "read"}}, ("buckets", 5), "can't name a bucket", "as a text", "put quotes around"),
        ({"buckets": {None: "read"}}, ("buckets", None), "can't name a bucket", "as a text", "put quotes around"),
        (
            {"streams": {"x" * 252: "read"}},
            ("streams", "x" * 252),
            "can't name a stream",
            "at most 251 letters",
            "rename",
        ),
        ({"consumers": {"a.b.c": "pull"}}, ("consumers", "a.b.c"), "can't name a consumer", "the stream and a dot", ""),
        ({"objects": {"a": None}}, ("objects.a", None), "names no right", "read or write", "name one, or a list"),
        ({"objects": {"a": []}}, ("objects.a", []), "names no right", "read or write", "name one, or a list"),
        ({"buckets": {"a": {}}}, ("buckets.a", {}), "names no right", "read, write or watch", "name one"),
        ({"consumers": {"a": "read"}}, ("consumers.a", "read"), "is no right to a consumer", "pull", "or leave it out"),
        (
            {"buckets": {"a": "wirte"}},
            ("buckets.a", "wirte"),
            "is no right to a bucket",
            "read, write or watch",
            "the nearest is write",
        ),
        ({"buckets": {"a": ["read", 1]}}, ("buckets.a", 1), "is no right to a bucket", "read,", "write it"),
        ({"buckets": {"a": [["read"]]}}, ("buckets.a", ["read"]), "is no right to a bucket", "read,", ""),
        (
            {"buckets": {"a": {"rights": "read", "key": "b"}}},
            ("buckets.a", "key"),
            "is no key of a bucket",
            "rights or keys",
            "the nearest is keys",
        ),
        (
            {"objects": {"a": {"rights": "read", "keys": "b"}}},
            ("objects.a", "keys"),
            "is no key of a store of objects",
            "rights",
            "leave it out",
        ),
        (
            {"buckets": {"a": {"rights": ["read", "watch"], "keys": "b.>"}}},
            ("buckets.a", "watch"),
            "can't be had for some keys alone: a client that may watch some keys can make the server send it all",
            "no keys",
            "leave keys out, or give these keys a bucket of their own",
        ),
        *(
            ({"buckets": {"a": {"rights": "read", "keys": keys}}}, ("buckets.a.keys", keys), fault, "one pattern", ">")
            for keys, fault in (
                (None, "is no text"),
                (5, "is no text"),
                (["b"], "is no text"),
                ("", "is empty"),
                ("b..c", "has an empty token"),
                (".b", "has an empty token"),
                ("b.", "has an empty token"),
                ("b c", "has whitespace"),
                ("b\n", "has whitespace"),
                (">.b", "goes on after >"),
                ("b*.c", "has a wildcard within a token"),
                ("b>", "has a wildcard within a token"),
                ("$KV.b", "has a character that no key has"),
                ("ä", "has a character that no key has"),
                ("b\x00", "has a character that no key has"),
                ("{name}", "has a character that no key has"),
            )
        ),
    ],
)
def test_what_is_wrong_is_named(
    uses: dict[Any, Any], place: tuple[str, Any], fault: str, expected: str, remedy: str
) -> None:
    (problem,) = jetstream_rights.problems(uses)
    assert (problem.key, problem.value) == place
    assert problem.fault.startswith(fault)
    assert expected in problem.expected
    assert remedy in problem.remedy
    with pytest.raises(ValueError, match="problems"):
        jetstream_rights.rights(uses)


@pytest.mark.parametrize("kind", jetstream_rights.KINDS)
@pytest.mark.parametrize(
    "name",
    ["*", ">", "a.*", "*.a", "a.>", "", ".", "a.", ".a", "a b", "a\t", "a\n", "a/b", "a\\b", "{name}", "$KV", "ä"],
)
def test_a_name_that_would_widen_a_right_is_refused(kind: str, name: str) -> None:
    right = next(iter(jetstream_rights.KINDS[kind].rights))
    (problem,) = jetstream_rights.problems({kind: {name: right}})
    assert (problem.key, problem.value) == (kind, name)


def test_all_problems_are_told() -> None:
    uses = {
        "bukets": {},
        "buckets": {"a.b": "read", "a": {"rights": ["reed", "watch"], "keys": "$", "x": 1}, "b": "write"},
        "streams": 5,
    }
    told = [(problem.key, problem.value) for problem in jetstream_rights.problems(uses)]
    assert told == [
        ("", "bukets"),
        ("buckets", "a.b"),
        ("buckets.a", "x"),
        ("buckets.a", "reed"),
        ("buckets.a.keys", "$"),
        ("buckets.a", "watch"),
        ("streams", 5),
    ]


def own(kind: str, name: str, keys: str) -> list[str]:
    """Give all subjects that are the asset's own, from the names that the server gives them."""
    stream, _dot, last = name.rpartition(".")
    stream = {"buckets": f"KV_{last}", "objects": f"OBJ_{last}", "streams": last}.get(kind, stream or "*")
    return {
        "buckets": [
            f"$KV.{last}.{keys}",
            f"$JS.API.DIRECT.GET.{stream}.$KV.{last}.{keys}",
            f"$JS.API.STREAM.INFO.{stream}",
            *([f"$JS.API.CONSUMER.*.{stream}", f"$JS.API.CONSUMER.INFO.{stream}.*"] if keys == ">" else []),
            f"$JS.FC.{stream}.>",
        ],
        "objects": [
            f"$O.{last}.>",
            f"$JS.API.STREAM.*.{stream}",
            f"$JS.API.STREAM.MSG.GET.{stream}",
            f"$JS.API.CONSUMER.CREATE.{stream}",
            f"$JS.FC.{stream}.>",
            "$JS.API.STREAM.NAMES",
        ],
        "streams": [f"$JS.API.STREAM.MSG.GET.{stream}"],
        "consumers": [f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{last}", f"$JS.ACK.{stream}.{last}.>"],
    }[kind]


pieces = st.text(st.sampled_from("aB1_-.*>$ \n/={}é"), max_size=6)


@given(st.sampled_from(sorted(jetstream_rights.KINDS)), pieces, st.none() | pieces, st.data())
@example("buckets", "a", "b.>", None)
@example("consumers", "a.b", None, None)
def test_what_is_granted_stays_with_the_asset(
    kind: str, name: str, keys: str | None, data: st.DataObject | None
) -> None:
    known = sorted(jetstream_rights.KINDS[kind].rights)
    given_rights = data.draw(st.lists(st.sampled_from(known), min_size=1)) if data else [known[0]]
    uses = {kind: {name: given_rights if keys is None else {"rights": given_rights, "keys": keys}}}
    if jetstream_rights.problems(uses):
        return
    territory = own(kind, name, keys or ">")
    for subject in jetstream_rights.rights(uses).publish:
        assert any(subjects.covers(pattern, subject) for pattern in territory), subject
        # another's, of which the name begins alike
        others = own(kind, f"{name}x", ">")
        assert not any(subjects.overlaps(other, subject) for other in others if other not in territory), subject
