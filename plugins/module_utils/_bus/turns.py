# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who of a cluster is disturbed after whom: a bus goes on while one of its members at a time is restarted.

What a reload brings into effect, and what does not run yet, is done on all of them in the first turn.
"""

from __future__ import annotations

import typing as t
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action

Result: t.TypeAlias = "Mapping[str, t.Any]"

# In the first turn are those that need no other's end; the next ones have one host each.
FIRST = 0


@dataclass(frozen=True)
class Turns:
    """The turns of a part of a release: that of the host, and all that its cluster takes, in their order."""

    own: int = FIRST
    every: tuple[int, ...] = (FIRST,)

    def as_result(self) -> dict[str, t.Any]:
        """Give them as the role release takes them."""
        return {"own": self.own, "every": list(self.every)}


def members(plans: Mapping[str, Result], host: str) -> dict[str, Result]:
    """Give the plans of those hosts that are one bus with this one, in the order of the inventory."""
    cluster = _settings(plans[host]).get("cluster") or {}
    return {each: plans[each] for each in cluster.get("members", ()) if each in plans and plans[each].get("server")}


def of_server(cluster: Mapping[str, Result], host: str) -> Turns:
    """Give the turns of the servers: who takes no part first, then followers, and who leads the meta group last."""
    return _one_by_one(_restarted(cluster), host)


def of_bot(cluster: Mapping[str, Result], host: str) -> Turns:
    """Give the turns of the bots that are started anew."""
    return _one_by_one([each for each, plan in cluster.items() if plan["steps"].get("run_bot")], host)


def _one_by_one(disturbed: Sequence[str], host: str) -> Turns:
    every = (FIRST, *range(1, len(disturbed) + 1))
    return Turns(disturbed.index(host) + 1 if host in disturbed else FIRST, every)


def _restarted(cluster: Mapping[str, Result]) -> list[str]:
    found = [
        each
        for each, plan in cluster.items()
        if plan["steps"].get("run_server")
        and plan["server"]["action"] == Action.RESTART
        # one that was no member until now is of no use to the others
        and plan["server"].get("cluster")
    ]
    return sorted(
        found, key=lambda each: (not _is_off(cluster[each]), _standing(cluster[each]).get("is_leader", False))
    )


def monitoring_urls(cluster: Mapping[str, Result], host: str) -> dict[str, str]:
    """Give where each other member answers in a host's turn: one whose turn comes later runs with what it had.

    One that is not in this run has the same as this one, for all that is known here.
    """
    if host not in cluster:
        return {}
    order = _restarted(cluster)
    later = order[order.index(host) + 1 :] if host in order else []
    found = {each: cluster.get(each, cluster[host]) for each in _all_of(cluster[host]) if each != host}
    return {
        each: (plan["server"].get("monitoring_url") if each in later else None) or _settings(plan)["monitoring_url"]
        for each, plan in found.items()
    }


def told(cluster: Mapping[str, Result], host: str) -> list[str]:
    """Say in which order servers are restarted, a line each, to the first of them; nothing to the others."""
    order = _restarted(cluster)
    if not order or host != order[0]:
        return []
    name = _settings(cluster[host])["cluster"]["name"]
    lines = [f"cluster {name}: {len(order)} of {len(_all_of(cluster[host]))} servers are restarted, one after another"]
    if any(plan["server"].get("reload_first") for plan in cluster.values()):
        lines.append(
            "first, all of them are reloaded: what they show each other counts for the routes that are made anew"
        )
    for place, each in enumerate(order, start=1):
        leads = ", which leads the meta group" if _standing(cluster[each]).get("is_leader") else ""
        lines.append(f"{place}. {each}{leads}")
    return lines


def problem(cluster: Mapping[str, Result], host: str, accepted: Iterable[str]) -> str:
    """Say why no member may be started or restarted now; empty where one may. accepted: the words that were given."""
    words = {*accepted}
    if _ALL in words:
        return ""
    return (
        _of_another_cluster(cluster, host, words)
        or _runs_foreign(cluster, host, words)
        or _outvoted(cluster, host)
        or _not_told(cluster, host, words)
        or _not_whole(cluster, host, words)
    )


def _of_another_cluster(cluster: Mapping[str, Result], host: str, accepted: Collection[str]) -> str:
    """Say that a server has the store of another cluster, whose servers have the same names.

    Streams with replicas go by names of chance: two members of a cluster that has some have some of them in common.
    """
    is_told = all(plan["server"].get("stream_groups", ()) is not None for plan in cluster.values())
    known = {each: {*(plan["server"].get("stream_groups") or ())} for each, plan in cluster.items()}
    own, others = known.get(host) or set(), {name for each, found in known.items() if each != host for name in found}
    disturbs = any(plan["server"]["action"] in (Action.START, Action.RESTART) for plan in cluster.values())
    # another one, which this run leaves out, may have what this one has
    is_whole = host in cluster and {*_all_of(cluster[host])} <= cluster.keys()
    if not (disturbs and own and others and is_told and is_whole) or own & others or FOREIGN in accepted:
        return ""
    return (
        "the store of its server has streams with replicas, and none of those that the other servers of the cluster "
        "have; expected its own store, else what another cluster had can take the place of all streams of this one. "
        "Nothing was touched. Bring its own disk back, or move the store away, so that the server is given what the "
        f"others have, or accept it: nats_server_accept: [{FOREIGN}]"
    )


def _runs_foreign(cluster: Mapping[str, Result], host: str, accepted: Collection[str]) -> str:
    """Say that a member runs on the store of another cluster, which counts as soon as another server leads."""
    found = [f"{each}: {text}" for each, plan in cluster.items() if (text := plan["server"].get("foreign"))]
    if not found or host not in _restarted(cluster) or FOREIGN in accepted:
        return ""
    return f"{'; '.join(found)}. Nothing was touched. Or accept it: nats_server_accept: [{FOREIGN}]"


def _outvoted(cluster: Mapping[str, Result], host: str) -> str:
    """Say that servers without a store are so many that they could agree on a cluster without streams."""
    empty = [
        each
        for each, plan in cluster.items()
        if plan["server"]["action"] == Action.START and plan["server"].get("lacks_group")
    ]
    kept = [each for each, plan in cluster.items() if each not in empty and _streams(plan)]
    if host not in empty or len(empty) == 1 or not kept or 2 * len(empty) < len(_all_of(cluster[host])):
        return ""
    return (
        f"{', '.join(empty)} have no store, and {', '.join(kept)} streams; expected fewer without one, since half of "
        "the servers could agree on a cluster without streams, and what the others have would be deleted. Nothing was "
        "touched. Start one of them by itself, with --limit and nats_server_accept: [quorum], wait until "
        "playbooks/health.yml finds the replicas in step, and then the next one"
    )


def _streams(plan: Result) -> int:
    return int((plan["server"].get("assets") or {}).get("streams") or 0)


def _not_told(cluster: Mapping[str, Result], host: str, accepted: Collection[str]) -> str:
    """Say that routes are to be made anew, and not all members are told beforehand."""
    absent = [each for each in _all_of(cluster[host]) if each not in cluster] if host in cluster else []
    if not absent or not cluster[host]["server"].get("tells_all_first") or accepts_quorum(accepted):
        return ""
    return (
        f"what the routes of the cluster are made with changes, and {', '.join(absent)} would not be told; expected "
        "all servers of the cluster in one run and one batch, since those that have not read it would let this one in "
        "no more. Nothing was touched. Run it without --limit, and with a rosey_serial that takes all of them at a "
        f"time, or accept it: nats_server_accept: [{QUORUM}]"
    )


def _not_whole(cluster: Mapping[str, Result], host: str, accepted: Collection[str]) -> str:
    """Say that another member is gone, so that the bus would stop.

    One that is started by this run, or takes part again by it, has to prove itself before the others are restarted.
    """
    order = _restarted(cluster)
    started = {
        _all_of(plan)[each]
        for each, plan in cluster.items()
        if plan["server"]["action"] == Action.START or (each in order and _is_off(plan))
    }
    gone = sorted({each for plan in cluster.values() for each in _standing(plan).get("gone", ())} - started)
    if not order or host not in order or not gone or accepts_quorum(accepted):
        return ""
    every = _all_of(cluster[host])
    return (
        f"{', '.join(gone)}: expected every server of the cluster there before one of the {len(every)} is restarted, "
        f"found that {'it is' if len(gone) == 1 else 'they are'} gone, so that the bus would stop with the next one. "
        f"Nothing was touched. Bring {'it' if len(gone) == 1 else 'them'} back first, or accept it: "
        f"nats_server_accept: [{QUORUM}]"
    )


QUORUM, FOREIGN, _ALL = "quorum", "foreign_store", "all"


def accepts_quorum(words: Iterable[str]) -> bool:
    """Tell whether one of these words accepts a cluster that is not whole, as a way back does."""
    return not {QUORUM, _ALL}.isdisjoint(words)


def _settings(plan: Result) -> Result:
    found: Result = plan.get("settings", {}).get("server") or {}
    return found


def _standing(plan: Result) -> Result:
    found: Result = plan["server"].get("cluster") or {}
    return found


def _is_off(plan: Result) -> bool:
    return bool(_standing(plan).get("is_off"))


def _all_of(plan: Result) -> Result:
    found: Result = _settings(plan)["cluster"]["members"]
    return found
