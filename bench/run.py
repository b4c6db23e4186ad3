# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the role beside what else one could do, all in one run on one machine: make bench.

Each contestant has fresh Debian 12 containers with systemd, and gets nats-server from the same local HTTP mirror.
A round trip is one call of `docker exec` or `docker cp` that ansible-playbook makes. CPU is what ansible-playbook and
its children used on the controller; what the modules use in the containers does not count.

Figures are medians. Nothing here fails for being slow: the goals stand beside the figures.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.rosey.nats.bench import containers
from ansible_collections.rosey.nats.bench.measuring import (
    PLAYS,
    ROOT,
    VERSION,
    Run,
    Variables,
    in_turns,
    median,
    mirror,
    per_further_host,
    play,
    run,
    tell_changes,
    tell_machine,
)
from ansible_collections.rosey.nats.plugins.module_utils._server import archive

PRODUCTION = (ROOT / "inventories" / "production" / "group_vars" / "production" / "nats.yml",)
SITE = (
    *PRODUCTION,
    ROOT / "inventories" / "production" / "group_vars" / "production" / "bot.yml",
    ROOT / "inventories" / "common" / "plugins.yml",
)
HOSTS = 8
FIRST_RUNS = 3
UNCHANGED_RUNS = 3
GATE_RUNS = 5
NUMBERS = (10, 100, 1000)
# So many items of a loop are measured; more would take most of an hour.
LOOPED = 50
SERVER_START_DELAY = 3.0
LEAST_HEAD_START = 0.2
COLUMNS = f"{'first':>9}{'CPU':>8}{'trips':>7}{'unchanged':>12}{'CPU':>8}{'trips':>7}"

Apply = Callable[[Sequence[str]], Run]
"""Brings hosts (their containers' names) into the wanted state."""


@dataclass
class Contestant:
    """What is measured, on the first of its hosts unless more is asked for."""

    name: str
    apply: Apply
    hosts: list[str]
    first: list[Run] = field(default_factory=list)
    unchanged: list[Run] = field(default_factory=list)

    def begin(self, number: int = 0) -> None:
        """Measure the first run on one of the hosts."""
        self.first.append(self.apply([self.hosts[number]]))

    def again(self) -> Run:
        """Measure a run on the first host."""
        return self.apply(self.hosts[:1])

    def on_all(self) -> Run:
        """Measure a run on all hosts."""
        return self.apply(self.hosts)


def on_containers(playbook: Path, variables: Variables, values: Sequence[Path] = PRODUCTION) -> Apply:
    """Give what runs a playbook. values: files of variables."""
    wanted = {**containers.CONNECTION, **variables}
    return lambda targets: play(playbook, dict.fromkeys(targets, wanted), values)


def script(url: str) -> Apply:
    """Give what runs the guide's steps as a shell script on the host."""
    steps = ROOT / "bench" / "guide.sh"
    return lambda targets: run(["docker", "exec", "--interactive", targets[0], "sh", "-s", url], given=steps)


@dataclass(frozen=True)
class Many:
    """What several hosts cost: a run on one and a run on HOSTS of them, measured by turns."""

    name: str
    one: Run
    all: Run

    @property
    def further(self) -> Run:
        """What each host beyond the first costs."""
        return per_further_host(self.one, self.all, HOSTS)


def report(contestants: Sequence[Contestant], naive: Contestant) -> None:
    """Print the table of one host. Ratios are to the naive role."""
    least = median(naive.unchanged)
    print(f"{'':34}{COLUMNS}{'of (c)':>9}{'CPU of (c)':>12}")
    for contestant in contestants:
        first, again = median(contestant.first), median(contestant.unchanged)
        trips = ["-" if each.round_trips is None else str(each.round_trips) for each in (first, again)]
        print(
            f"{contestant.name:34}{first.seconds:8.2f}s{first.processor:7.2f}s{trips[0]:>7}"
            f"{again.seconds:11.2f}s{again.processor:7.2f}s{trips[1]:>7}"
            f"{again.seconds / least.seconds:9.0%}{again.processor / least.processor:12.0%}"
        )
        tell_changes(contestant.name, contestant.unchanged)


def report_many(found: Sequence[Many]) -> None:
    """Print what further hosts cost."""
    print(f"\n{'unchanged':34}{'1 host':>9}{'CPU':>8}{f'{HOSTS} hosts':>12}{'CPU':>8}{'each further':>15}{'CPU':>8}")
    for many in found:
        print(
            f"{many.name:34}{many.one.seconds:8.2f}s{many.one.processor:7.2f}s{many.all.seconds:11.2f}s"
            f"{many.all.processor:7.2f}s{many.further.seconds:14.2f}s{many.further.processor:7.2f}s"
        )
        tell_changes(many.name, [many.one, many.all])


def ratio(ours: Sequence[Run], theirs: Sequence[Run]) -> tuple[str, str]:
    """Give how much of theirs ours is, in wall clock and in CPU."""
    one, other = median(ours), median(theirs)
    return f"{one.seconds / other.seconds:.0%}", f"{one.processor / other.processor:.0%}"


def cost(found: Run) -> tuple[str, str]:
    """Give wall clock and CPU."""
    return f"{found.seconds:.2f} s", f"{found.processor:.2f} s"


def report_goals(rows: Sequence[tuple[str, tuple[str, str], str]]) -> None:
    """Print what is aimed at beside what was found: a name, wall clock and CPU, the goal."""
    print(f"\n{'goals':54}{'wall clock':>12}{'CPU':>9}   goal")
    for name, (seconds, processor), goal in rows:
        print(f"{name:54}{seconds:>12}{processor:>9}   {goal}".rstrip())


def hosts(variables: Variables, url: str) -> None:
    """Measure first and unchanged runs, on one host and on several, and print the tables."""
    role = on_containers(PLAYS / "role.yml", variables)
    health = on_containers(ROOT / "playbooks" / "health.yml", variables, SITE)
    with ExitStack() as stack:

        def contest(name: str, apply: Apply, place: str, number: int = 1) -> Contestant:
            return Contestant(name, apply, stack.enter_context(containers.hosts(place, number)))

        ours = contest("rosey.nats.nats_server", role, "role", HOSTS)
        empty = contest("(a) an empty play", on_containers(PLAYS / "empty.yml", variables), "empty")
        guide = contest("(b) the guide as a shell script", script(url), "guide")
        naive = contest("(c) a naive role", on_containers(PLAYS / "naive.yml", variables), "naive", HOSTS)
        four = contest("(d) four tasks", on_containers(PLAYS / "four_tasks.yml", variables), "four")
        site = contest("site.yml, with a bot", on_containers(ROOT / "site.yml", variables, SITE), "site")
        soak = {"nats_server_gate_soak": 0}
        no_soak = Contestant("without the soak", on_containers(PLAYS / "role.yml", variables | soak), ours.hosts)
        containers.install_bot(site.hosts)

        contestants = [ours, empty, guide, naive, four, site]
        for number in range(FIRST_RUNS):
            ours.begin(number)
            no_soak.begin(FIRST_RUNS + number)
            naive.begin(number)
        for contestant in (empty, guide, four, site):
            contestant.begin()
        for contestant in (ours, naive):
            contestant.on_all()
        ways = [*(contestant.again for contestant in contestants), ours.on_all, naive.on_all]
        *single, ours_all, naive_all = in_turns(ways, UNCHANGED_RUNS)
        for contestant, runs in zip(contestants, single, strict=True):
            contestant.unchanged = runs

        looked = Contestant("health.yml, with a bot", health, [*site.hosts, *ours.hosts[1:]])
        containers.install_bot(looked.hosts[1:])
        site.apply(looked.hosts)
        looked_one, looked_all = in_turns([looked.again, looked.on_all], UNCHANGED_RUNS)

    many = [
        Many(ours.name, median(ours.unchanged), median(ours_all)),
        Many(naive.name, median(naive.unchanged), median(naive_all)),
        Many(looked.name, median(looked_one), median(looked_all)),
    ]
    report(contestants, naive)
    report_many(many)
    report_goals(
        [
            ("role unchanged, of (c)", ratio(ours.unchanged, naive.unchanged), "<= 45 %"),
            ("site.yml with a bot, unchanged, of (c)", ratio(site.unchanged, naive.unchanged), "<= 60 %"),
            ("trips, role unchanged", (str(median(ours.unchanged).round_trips), ""), "<= 2"),
            ("trips, site.yml with a bot, unchanged", (str(median(site.unchanged).round_trips), ""), "<= 3"),
            ("role first, of (c)", ratio(ours.first, naive.first), ""),
            ("role first, nats_server_gate_soak: 0, of (c)", ratio(no_soak.first, naive.first), "<= 100 %"),
            ("role unchanged, each further host", cost(many[0].further), "CPU <= 0.8 s"),
            ("(c) unchanged, each further host", cost(many[1].further), ""),
            ("health.yml, one host", cost(many[2].one), "<= 2.0 s"),
            ("health.yml, each further host", cost(many[2].further), "<= 0.3 s"),
        ]
    )


def declared(number: int) -> Variables:
    """Declare so many plugins."""
    plugins = [
        {
            "name": f"plugin{each}",
            "subscriptions": [f"commands.word{each}", f"commands.other{each}"],
            "publishes": ["cytube.chat.message"],
            "config": {"cooldown": 5},
        }
        for each in range(number)
    ]
    return {"bot_plugins_declared": plugins}


def plugins(variables: Variables) -> None:
    """Measure the plugins' files beside a template that is looped over them, and print the table.

    The loop does what the call does; the role checks subjects, observes and records besides.
    """
    directory = "/opt/rosey-bot/environments/production/plugins"
    bot = {"bot_config_environment": "production", "bot_config_home": "/opt/rosey-bot", "bot_config_gate": "never"}
    no_owner = {"bot_config_owner": "", "bot_config_group": ""}
    print(f"\n{'plugins':34}{COLUMNS}")
    with containers.hosts("plugins", 1) as targets:

        def contest(name: str, playbook: str, number: int, runs: int) -> Contestant:
            wanted = {**variables, **bot, **no_owner, **declared(number)}
            contestant = Contestant(name, on_containers(PLAYS / playbook, wanted, ()), targets)
            containers.execute(targets[0], f"rm -rf {directory} && mkdir -p {directory}")
            contestant.begin()
            contestant.unchanged = [contestant.again() for _run in range(runs)]
            first, again = median(contestant.first), median(contestant.unchanged)
            print(
                f"{name:34}{first.seconds:8.2f}s{first.processor:7.2f}s{first.round_trips:>7}"
                f"{again.seconds:11.2f}s{again.processor:7.2f}s{again.round_trips:>7}"
            )
            tell_changes(name, contestant.unchanged)
            return contestant

        for number in NUMBERS:
            contest(f"role bot_plugins, {number}", "plugins.yml", number, 3)
        ours = {number: contest(f"one config_tree, {number}", "plugins_call.yml", number, 3) for number in NUMBERS}
        loop = contest(f"a looped template, {LOOPED}", "plugins_looped.yml", LOOPED, 1)
    most, least = ours[NUMBERS[-1]], ours[NUMBERS[0]]
    for what, (of_loop, of_most, of_least) in (
        ("first", [median(each.first).seconds for each in (loop, most, least)]),
        ("unchanged", [median(each.unchanged).seconds for each in (loop, most, least)]),
    ):
        scaled = of_loop * NUMBERS[-1] / LOOPED
        print(
            f"{what}: {NUMBERS[-1]} plugins take {of_most / of_least:.1f} times as long as {NUMBERS[0]}; the loop, "
            f"scaled from {LOOPED}, takes {scaled:.0f} s, {scaled / of_most:.0f} times as long"
        )


def gate(server: Path) -> list[float]:
    """Measure, inside the module, the seconds from the server's first answer to the gate's passing.

    The module runs before the server does.
    """
    found = []
    for _run in range(GATE_RUNS):
        with tempfile.TemporaryDirectory() as temporary:
            config = Path(temporary) / "nats-server.conf"
            config.write_text(
                "server_name: bench\nhost: 127.0.0.1\nport: 14222\nhttp_port: 18222\nmax_connections: 200\n"
                f'ping_interval: "2m"\nlog_file: "{temporary}/log"\n'
                f'jetstream {{ store_dir: "{temporary}/store", max_mem: 64M, max_file: 64M }}\n'
            )
            asked = {
                "monitoring_url": "http://127.0.0.1:18222",
                "version": VERSION,
                "config_file": str(config),
                "wait": 30,
            }
            module = subprocess.Popen(
                ["ansible", "localhost", "-m", "rosey.nats.nats_gate", "-a", json.dumps(asked)],
                cwd=ROOT,
                env={
                    **os.environ,
                    "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
                    "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
                },
                stdout=subprocess.PIPE,
                text=True,
            )
            time.sleep(SERVER_START_DELAY)
            with subprocess.Popen([server, "-c", config], stderr=subprocess.DEVNULL) as process:
                said = json.loads(module.communicate(timeout=60)[0])
                process.terminate()
            result = said["plays"][0]["tasks"][0]["hosts"]["localhost"]
            if not result.get("passed") or result["first_answer_seconds"] < LEAST_HEAD_START:
                raise SystemExit(f"the gate failed, or it started after the server: {result}")
            found.append(float(result["gate_passed_seconds"]))
    return found


def main() -> None:
    """Measure and print."""
    tell_machine()
    containers.prepare_image()
    with mirror(containers.bridge_address()) as source:
        hosts({**source.variables, "vault_nats_password": "no secret"}, f"{source.url}/{source.built.path.name}")
    plugins({"vault_nats_password": "no secret"})
    with tempfile.TemporaryDirectory() as temporary:
        archive.unpack(source.built.path, Path(temporary) / "nats-server")
        passed = gate(Path(temporary) / "nats-server")
    print(f"\nfirst answer of the server to gate passed: median {statistics.median(passed) * 1000:.0f} ms,", end=" ")
    print(f"worst {max(passed) * 1000:.0f} ms of {GATE_RUNS}")


if __name__ == "__main__":
    main()
