# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of a deployment on a host: which parts a release may have, and how a way back is told."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence

SERVER, BOT, PLUGINS = "server", "bot", "plugins"
_MOST_PATHS = 8


def drops(plans: Mapping[str, Mapping[str, t.Any]], applied: Sequence[str], proven: Sequence[str]) -> list[str]:
    """Name the parts of the current release that one to be recorded does not have.

    plans: what was observed of them, by server and bot, as nats_plan and bot_plan return it as release. applied: the
    parts of this run. proven: those whose gate has passed. What the host has otherwise than its release, and what was
    not proven with the server as it is now, would not be what anybody has proven.
    """
    server, bot = (plans.get(name) or {} for name in (SERVER, BOT))
    found = {*server.get("drops", ()), *bot.get("drops", ())}
    if SERVER in applied and not server.get("recorded"):
        found.add(SERVER)
    of_bot = [part for part in applied if part in (BOT, PLUGINS)]
    if of_bot and not bot.get("recorded"):
        found.update(of_bot)
    if of_bot and server.get("access"):
        found.update((BOT, PLUGINS))
    return sorted(found - set(proven))


def way_back(found: Mapping[str, t.Any]) -> str:
    """Tell of a host that has taken the steps back to its release, to follow its name.

    found: release, its id; has, its parts; back, those of them that went back; server and bot, each with its gate as
    the release has it, and whether it passed; of the bot also installed, serves, home and service as they were found
    last; left, the names of the roles whose part the release does not have; stands, the paths that were deployed and
    are none of the release; store, what became of the store, empty for nothing.
    """
    said = _parts_back(found) if found["back"] else "could NOT go back"
    if found["left"]:
        said += f"; release {found['release']} has nothing of {' and '.join(found['left'])}, left as deployed"
    if found["back"] and BOT in found["has"] and not {BOT, PLUGINS} & {*found["back"]}:
        said += "; its bot was left out of this run, and was not asked"
    if found["stands"]:
        more = len(found["stands"]) - _MOST_PATHS
        shown = [*found["stands"][:_MOST_PATHS], *([f"{more} more"] if more > 0 else [])]
        said += f"; left behind, and not of that release: {', '.join(shown)}"
    return said + (f"; store: {found['store']}" if found["store"] else "")


def _parts_back(found: Mapping[str, t.Any]) -> str:
    parts = dict(_proofs(found))
    said = f"is back at release {found['release']}"
    if all(proof == _PROVEN for proof in parts.values()):
        return f"{said}, {_PROVEN}"
    if len(set(parts.values())) == 1 and _UNASKED in parts.values():
        return f"{said}, {_UNASKED}"
    each = "; ".join(f"the {name}, {proof}" for name, proof in parts.items())
    return f"{said}{'' if {*parts.values()} <= {_PROVEN, _UNASKED} else ' ONLY IN PART'}: {each}"


_PROVEN = "as its gate has proven"
_UNASKED = "without proof, since no gate was asked for"


def _proofs(found: Mapping[str, t.Any]) -> Iterator[tuple[str, str]]:
    """Give what is known of each part that went back; a gate that did not pass has ended the way back before."""
    if SERVER in found["back"]:
        yield SERVER, _PROVEN if found[SERVER]["passed"] else _UNASKED
    if {BOT, PLUGINS} & {*found["back"]}:
        bot = found[BOT]
        if bot["passed"]:
            proof = _PROVEN
        elif not bot["installed"]:
            proof = f"which does NOT run, since {bot['home']} is not there"
        elif not bot["serves"]:
            proof = f"which does NOT run, since {bot['service']}.service is not there"
        else:
            proof = _UNASKED
        yield BOT, proof


def proof(applied: Sequence[str], proven: Sequence[str]) -> str:
    """Say what proves that a host runs what was asked for, to follow that; one gate proves nothing of another part."""
    parts = [SERVER] if SERVER in applied else []
    parts += [BOT] if {BOT, PLUGINS} & {*applied} else []
    are_proven = {SERVER: SERVER in proven, BOT: bool({BOT, PLUGINS} & {*proven})}
    if all(are_proven[part] for part in parts):
        return _PROVEN
    if not any(are_proven[part] for part in parts):
        return _UNASKED
    return "; ".join(f"the {part}, {_PROVEN if are_proven[part] else _UNASKED}" for part in parts)
