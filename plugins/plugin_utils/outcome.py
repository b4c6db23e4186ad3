# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of a deployment on a host, as it is recorded and told. What is decided stands in `_bus/decisions`."""

from __future__ import annotations

import platform
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields

from ansible_collections.rosey.nats.plugins.module_utils._bus import decisions, part_arguments
from ansible_collections.rosey.nats.plugins.module_utils._bus.decisions import BOT, OF_BOT, PLUGINS, SERVER
from ansible_collections.rosey.nats.plugins.module_utils._deploy import history
from ansible_collections.rosey.nats.plugins.module_utils._host import command_line
from ansible_collections.rosey.nats.plugins.plugin_utils import failure

Result: t.TypeAlias = Mapping[str, t.Any]

# The role that describes each part.
ROLES = {SERVER: "nats_server", BOT: "bot_config", PLUGINS: "bot_plugins"}
_MOST_PATHS = 8
_USUAL_PROFILE = "standard"
_PROVEN = "as its gate has proven"
_UNASKED = "without proof, since no gate was asked for"


@dataclass(frozen=True)
class Run:
    """A run on a host. plan: what bus_plan decided last, empty where it did not come to that. came: of the steps.

    build, stored, compared, recorded: what came of four of them that decide nothing. origin: who deploys.
    """

    host: str
    is_only_predicted: bool
    plan: Result
    came: decisions.Outcomes
    build: Result = field(default_factory=dict)
    stored: Result = field(default_factory=dict)
    compared: Result = field(default_factory=dict)
    recorded: Result = field(default_factory=dict)
    origin: Result = field(default_factory=dict)

    @property
    def server(self) -> Result:
        """What was planned for the server; empty where it is not applied."""
        return self.plan.get("server") or {}

    @property
    def bot(self) -> Result:
        """What was planned for the bot; likewise."""
        return self.plan.get("bot") or {}

    @property
    def parts(self) -> Sequence[str]:
        """Name the parts that are applied. What is not installed is left out."""
        left_out = OF_BOT if self.bot and not self.bot["installed"] else ()
        return [name for name in self.plan.get("parts", ()) if name not in left_out]

    @property
    def releases(self) -> Result:
        """What the host keeps of releases."""
        return self.plan.get("release") or {"current": None, "lease": None, "sequence": 0}


def run_of(state: Result) -> Run:
    """Read what the role release has of a run, by name."""
    came = {**state["came"], **_proofs_at_once(state)}
    decided = {each.name for each in fields(decisions.Outcomes)}
    rest = {name: came[name] for name in ("build", "stored", "compared", "recorded") if name in came}
    return Run(
        host=state["host"],
        is_only_predicted=bool(state["is_only_predicted"]),
        plan=state["plan"],
        came=decisions.Outcomes(**{name: result for name, result in came.items() if name in decided}),
        origin=state.get("origin", {}),
        **rest,
    )


def _proofs_at_once(state: Result) -> dict[str, Result]:
    """Give what was proven with the look, where the step that would prove it was left out for that."""
    proofs = state["plan"].get("proofs") or {}
    gates = {f"{part}_gate": proof for part, proof in proofs.items() if proof}
    return {name: proof for name, proof in gates.items() if state["came"].get(name, {}).get("skipped")}


# What is recorded


def ending(run: Run) -> dict[str, t.Any]:
    """Give how the lease ends, as nats_release takes it: end, proven, drops, plan, gates and release."""
    end = decisions.end(run.plan, run.came)
    proven = decisions.proven_parts(run.plan["parts"], run.came) if end is decisions.End.RECORDED else []
    return {
        "end": str(end),
        "proven": proven,
        "drops": decisions.drops(run.plan, proven) if end is decisions.End.RECORDED else [],
        "plan": [f"{name}: {_planned(part)}" for name, part in ((SERVER, run.server), (BOT, run.bot)) if part],
        "gates": [
            f"{name}: {gate['summary']}"
            for name, gate in ((SERVER, run.came.server_gate), (BOT, run.came.bot_gate))
            if "summary" in gate
        ],
        "release": run.plan["going_to"],
    }


def _planned(part: Result) -> str:
    return "; ".join([part["action"], *part["reasons"]])


# What failed, and what is done about it


def failed(run: Run, task: str, result: Result | None, *, keep_proven: bool = False) -> dict[str, t.Any]:
    """Give what a run that failed leaves: failure, switched, whether it stays, and how it goes back, if it does.

    task, result: of the step that failed; None where it was another host's. keep_proven: whether a host then stays on
    which all is proven. goes_back, release, source: whether the
    host goes back, to which release, and what of it, as bus_plan takes it. paths: what was, or was to be, written.
    ran_last, own_copy: what bus_plan has to know of a store on the way back. applied: the parts of the run. kept: how a
    host is told that stays as it is. made: what stays of a run that changed nothing.
    """
    switched = decisions.has_switched(run.came, run.server.get("action", ""), stops_bot=bool(run.plan.get("stops_bot")))
    stays = switched and keep_proven and result is None and _is_proven(run)
    release = "" if run.releases.get("no_way_back") else run.releases["current"] or ""
    changes = [*run.server.get("changes", ()), *run.bot.get("changes", ())]
    left: dict[str, t.Any] = {
        "failure": _failure(task, result),
        "switched": switched,
        "stays": stays,
        "goes_back": switched and bool(release) and not stays,
        "release": release,
        "source": {"release": release, "names": list(run.plan.get("parts", ()))},
        "paths": list(dict.fromkeys([*(each["path"] for each in changes), *run.plan.get("paths", ())])),
        "applied": list(run.parts),
        "own_copy": (run.came.copied.get("copy") or {}).get("path", ""),
        "kept": _kept(run, was_recording=result is not None),
        "made": list(_made(run)),
    }
    if run.server and not decisions.was_run(run.came, run.server["action"]):
        # of a server that was not started since, it is known what ran on its store
        left["ran_last"] = run.server["store"]["before"] or None
    return left


def _is_proven(run: Run) -> bool:
    return bool(run.parts) and decisions.proven_parts(run.parts, run.came) == list(run.parts)


def _failure(task: str, result: Result | None) -> str:
    if result is None:
        return "another host of this batch failed"
    summary = f"{task}: {failure.reason(result) or result}"
    return f"{summary.removesuffix('.')}. {_WAYS_TO_A_SERVER}" if failure.is_of_download(result) else summary


_WAYS_TO_A_SERVER = (
    "Where this host can't get it from there: name a mirror in nats_server_archive_url, or set "
    "nats_server_install_method to file (an archive on the controller), build (from the Go module, on the controller) "
    "or download_or_build."
)


def _kept(run: Run, *, was_recording: bool) -> str:
    summary = f"{run.host} runs what was asked for, {proof(run.parts, decisions.proven_parts(run.parts, run.came))}"
    if not was_recording:
        return f"{summary}."
    return (
        f"{summary}, and goes on with it; only the record of it is missing, so that going back would lead to "
        f"{run.releases['current'] or 'nothing'}. Mend the cause and run again."
    )


def _made(run: Run) -> Iterator[str]:
    """Name what only makes a host ready, and is never taken back."""
    settings = run.plan.get("settings", {}).get(SERVER, {})
    if run.came.packages.get("changed"):
        yield f"the packages {', '.join(run.came.packages['names'])}"
    if run.came.group.get("changed"):
        yield f"the group {settings['group']}"
    if run.came.user.get("changed"):
        yield f"the user {settings['user']}"


# What is told


def story(run: Run, left: Result, left_behind: Result, stuck: Result) -> str:
    """Tell where a host is whose run failed.

    left: as `failed` gave it. run: as it is now, after the way back, if there was one. left_behind: what
    nats_release_info found of the release and beside it. stuck: the task and the result that ended the way back.
    """
    if stuck:
        why = str(failure.reason(stuck["result"]) or stuck["result"] or "").removesuffix(".")
        back = command_line.run("playbooks/rollback.yml", f"-e rollback_to={left['release']}", f"--limit {run.host}")
        return (
            f"{run.host} could NOT go back to release {left['release']}. The step that failed: {stuck['task']}: {why}. "
            f"Look at the host, mend that step, then: {back}"
        )
    if left["goes_back"]:
        return f"{run.host} {way_back(_way_back(run, left, left_behind))}."
    if left["stays"]:
        proven = proof(run.parts, decisions.proven_parts(run.parts, run.came))
        return f"{run.host} runs what was asked for, {proven}, and stays as it is; the next run records it."
    if left["switched"]:
        return (
            f"{run.host} was changed, and has no release to go back to{_damaged(run)}{_obstacle(run)}; it is left as "
            "it is, to be looked at."
        )
    made = f", but for what stays: {', '.join(left['made'])}" if left["made"] else ""
    return f"{run.host} was not changed{made}."


def _damaged(run: Run) -> str:
    damaged = run.releases.get("damaged")
    return f" (damaged: {', '.join(damaged)})" if damaged else ""


def _obstacle(run: Run) -> str:
    why = run.releases.get("no_way_back")
    return f" ({why})" if why and run.releases["current"] else ""


def _way_back(run: Run, left: Result, left_behind: Result) -> dict[str, t.Any]:
    settings = left_behind["selected"]["settings"]
    back = list(run.plan["parts"])
    bot = settings.get(BOT, {"home": "", "service": ""})
    touched = run.came.copied.get("copy") or run.came.brought_back.get("changed")
    return {
        "release": left["release"],
        "has": list(settings),
        "back": back,
        SERVER: {"passed": run.came.proves(SERVER)},
        BOT: {
            "passed": run.came.proves(BOT),
            "installed": run.bot.get("installed", True),
            "serves": run.bot.get("service", {}).get("exists", True),
            "home": bot["home"],
            "service": bot["service"],
        },
        "left": sorted(ROLES[name] for name in left["applied"] if name not in back),
        "left_behind": left_behind["left_behind"],
        "store": _store(run) if touched else "",
    }


def way_back(outcome: Result) -> str:
    """Tell of a host that has taken the steps back to its release, to follow its name.

    outcome: release, its id; has, its parts; back, those of them that went back; server and bot, each with its gate as
    the release has it, and whether it passed; of the bot also installed, serves, home and service as they were found
    last; left, the names of the roles whose part the release does not have; left_behind, the paths that were deployed
    and are none of the release; store, what became of the store, empty for nothing.
    """
    summary = _parts_back(outcome) if outcome["back"] else "could NOT go back"
    if outcome["left"]:
        summary += f"; release {outcome['release']} has nothing of {' and '.join(outcome['left'])}, left as deployed"
    if outcome["back"] and BOT in outcome["has"] and not {BOT, PLUGINS} & {*outcome["back"]}:
        summary += "; its bot was left out of this run, and was not asked"
    if outcome["left_behind"]:
        summary += f"; {_left_behind(outcome['left_behind'])}"
    return summary + (f"; store: {outcome['store']}" if outcome["store"] else "")


def _left_behind(paths: Sequence[str]) -> str:
    more = len(paths) - _MOST_PATHS
    shown = [*paths[:_MOST_PATHS], *([f"{more} more"] if more > 0 else [])]
    return f"left behind, and not of that release: {', '.join(shown)}"


def _parts_back(outcome: Result) -> str:
    parts = dict(_proofs(outcome))
    summary = f"is back at release {outcome['release']}"
    if all(proof == _PROVEN for proof in parts.values()):
        return f"{summary}, {_PROVEN}"
    if len(set(parts.values())) == 1 and _UNASKED in parts.values():
        return f"{summary}, {_UNASKED}"
    proofs = "; ".join(f"the {name}, {proof}" for name, proof in parts.items())
    return f"{summary}{'' if {*parts.values()} <= {_PROVEN, _UNASKED} else ' ONLY IN PART'}: {proofs}"


def _proofs(outcome: Result) -> Iterator[tuple[str, str]]:
    """Give what is known of each part that went back; a gate that did not pass has ended the way back before."""
    if SERVER in outcome["back"]:
        yield SERVER, _PROVEN if outcome[SERVER]["passed"] else _UNASKED
    if {BOT, PLUGINS} & {*outcome["back"]}:
        bot = outcome[BOT]
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


def _store(run: Run) -> str:
    """Say what became of JetStream's store."""
    copied, back = run.came.copied.get("copy"), run.came.brought_back
    sentences = []
    if copied:
        since = run.stored.get("since")
        more = f"; written since the copy at {since['path']}: {'; '.join(since['lines']) or 'nothing'}" if since else ""
        sentences.append(f"copied to {copied['path']}{more}")
    if back.get("changed"):
        missed = ", ".join(each["found"] for each in run.compared["missed"])
        aside = f"; what stood in their place is in {back['aside']}" if back["aside"] else ""
        lines = "; ".join((back["since"] or {"lines": []})["lines"]) or "nothing"
        sentences.append(
            f"brought back from {run.server['store']['back']}: {missed}{aside}; written since the copy: {lines}"
        )
    return "; ".join(sentences) or "as it was; nothing had to be copied or brought back"


def unpredicted(run: Run, archive_url: str) -> list[str]:
    """Say what only a deployment can find out, a line each. archive_url: of what it would fetch, empty for nothing."""
    lines = list(run.plan["unpredicted"])
    if archive_url:
        lines.append(f"the archive: {archive_url} is fetched and verified by the deployment alone")
    if run.build.get("built"):
        lines.append("the archive: the Go module of nats-server is fetched, verified and built by the deployment alone")
    lines += [
        f"{change['path']}: nats-server has not tried it: {change['not_validated_because']}"
        for change in run.came.tree.get("changes", ())
        if change.get("not_validated_because") is not None
    ]
    return lines


# What a run ends with


def report(run: Run, described: Result) -> list[str]:
    """Give what a deployment ends with, a line each: what counts, then where everything is, of what was touched.

    described: what the server's role tells of it; empty for none.
    """
    return [
        *_server_report(run, described),
        *bot_report(run),
        *([f"release: {_release_report(run)}"] if run.plan else []),
        *_origin_report(run),
        *_places(run, described),
    ]


def _origin_report(run: Run) -> list[str]:
    """Give who deployed, by a name that can be gone back to; a run that recorded nothing has none."""
    if not (run.origin and run.recorded.get("changed") and run.recorded.get("release")):
        return []
    return [f"run: {history.told(history.origin_of(run.origin), platform.node())}"]


def _server_report(run: Run, described: Result) -> Iterator[str]:
    if not run.server:
        return
    settings = run.plan["settings"][SERVER]
    profile = "" if described["profile"] == _USUAL_PROFILE else f", profile {described['profile']}"
    yield f"server: {described['name'] or '(no name)'}, nats-server {settings['version']}{profile}"
    yield f"plan: {'; '.join(dict.fromkeys([run.server['action'], *run.server['reasons']]))}"
    yield f"proven: {run.came.server_gate.get('summary', 'nothing, since the gate did not run')}"
    if run.server["drop_ins"]:
        yield f"drop-ins: {'; '.join(run.server['drop_ins'])}"


def _places(run: Run, described: Result) -> Iterator[str]:
    """Say where the server has everything, where it was touched."""
    if not run.server or (run.server["action"] == "nothing" and run.server["binary"]["installed"]):
        return
    settings = run.plan["settings"][SERVER]
    yield f"binary: {_origin(run, described)}"
    yield f"listens: {', '.join(described['listens'])}"
    yield f"configuration: {settings['config_file']}"
    yield f"log: {described['log_file'] or 'standard output'}"
    yield f"data: {settings['data_dir']}"
    if described["hardening"]:
        yield f"hardening: {described['hardening']}"
    yield f"stop it: {described['stop']}"


def _origin(run: Run, described: Result) -> str:
    settings = run.plan["settings"][SERVER]
    if settings["runtime"] == "docker":
        return f"in the image {settings['image']}"
    if run.server["binary"]["installed"]:
        return "was there, verified"
    if "toolchain" in run.build:
        return f"built from the Go module by {run.build['toolchain']}"
    return f"from {described['origin'].replace('{version}', settings['version'])}"


def bot_report(run: Run) -> list[str]:
    """Give what a deployment ends with for a bot."""
    if not run.bot:
        return []
    settings, bot = run.plan["settings"][BOT], run.bot
    why = unproven(bot, settings["service"])
    # what the bot reads is below it
    below = f"{settings['home']}/environments/{settings['environment']}/"
    planned = "; ".join(dict.fromkeys([bot["action"], *(each.replace(below, "") for each in bot["reasons"])]))
    unmanaged = ", ".join(bot["unmanaged"])
    return [
        f"bot: {settings['home']}, {settings['environment']}, "
        f"{planned if bot['installed'] else 'not installed, so nothing was written for it'}",
        f"bot proven: {run.came.bot_gate.get('summary') or why}",
        *([f"bot files: not described here, and left alone: {unmanaged}"] if bot["installed"] and unmanaged else []),
        *([f"bot drop-ins: {'; '.join(bot['drop_ins'])}"] if bot["drop_ins"] else []),
    ]


def unproven(bot: Result, service: str) -> str:
    """Say why nothing is proven of a bot. bot: what bot_plan found."""
    if not bot["installed"]:
        why = "the bot is not installed"
    elif not bot["service"]["exists"]:
        why = f"{service}.service is not there"
    else:
        why = "the gate did not run"
    return f"nothing, since {why}"


def _release_report(run: Run) -> str:
    if run.recorded.get("release"):
        dropped = " and the ".join(run.recorded.get("dropped") or ())
        more = f", without the {dropped}, which nobody has proven together with it" if dropped else ""
        return f"{run.recorded['release']}{more}{_damaged(run)}"
    is_other = not run.is_only_predicted and (
        (run.server and not run.server["release"]["recorded"])
        or (run.bot and run.bot["installed"] and not run.bot["release"]["recorded"])
    )
    more = ", which is not what was described: that was not proven" if is_other else ", as it was"
    return f"{run.releases['current'] or 'none'}{more}{_damaged(run)}"


def rollback_report(run: Run) -> list[str]:
    """Give what going back to a release ends with, or in check mode what it would do."""
    head = f"release: {run.plan['going_to']}, of {run.plan['going_to_time']}"
    left_behind = [f"files: {_left_behind(run.plan['left_behind'])}"] if run.plan["left_behind"] else []
    if run.is_only_predicted:
        return [head, *ending(run)["plan"], *left_behind]
    server, bot = run.came.server_gate.get("summary"), run.came.bot_gate.get("summary")
    without = unproven(run.bot, run.plan["settings"][BOT]["service"]) if run.bot else "not a part of it"
    return [
        head,
        f"server: {server or 'not a part of it, or not to be proven'}",
        f"bot: {bot or without}",
        f"store: {_store(run)}",
        *left_behind,
        *_origin_report(run),
    ]


# What is watched


def gates(settings: Result, bot: Result) -> dict[str, t.Any]:
    """Give what the gates are asked of a server and a bot that just run. bot: what bot_plan found."""
    seen = decisions.Observed(parts=(SERVER, BOT, PLUGINS), settings=settings, server=None, bot=bot)
    at_rest: dict[str, t.Any] = {"action": "nothing", "mark": None, "store": {"data": None}, "accepted": []}
    return {
        SERVER: part_arguments.server_gate(settings[SERVER], at_rest),
        BOT: part_arguments.bot_gate(settings[BOT], settings[PLUGINS]),
        "asks_bot": seen.is_bot_asked,
        "unproven": unproven(bot, settings[BOT]["service"]),
    }
