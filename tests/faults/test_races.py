# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root deploys while the accounts of the bot and of the server put links, pipes and more where it writes.

Neither may gain by that anything that it may not do itself, the server goes on with what was proven, and once nobody
disturbs it, the same command brings the host to what was meant.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from ansible_collections.rosey.nats.plugins.plugin_utils import clients, permissions
from ansible_collections.rosey.nats.tests.faults.conftest import Race, TellRace
from ansible_collections.rosey.nats.tests.integration.conftest import QUOTES, ROOT, Container, Variables

NEXT = count(101)
RUNS = int(os.environ.get("RACE_RUNS", "1"))
HOME = "/opt/rosey-bot"
ENVIRONMENT = f"{HOME}/environments/development"
PLUGINS = f"{ENVIRONMENT}/plugins"
DATA, LOGS = "/var/lib/nats", "/var/log/nats"
PLACES = {"rosey": HOME, "nats": DATA}
ATTACKER = "/usr/local/lib/attacker.py"
SECRET = "one long text that no account of this host can read"
MARK = "canaryonly"
# What looks, by its names, like each place that a link may take.
CANARY = "/srv/canary"
MAKE_CANARY = f"""
set -e
install -d -m 700 {CANARY}/development/plugins {CANARY}/development/jetstream {CANARY}/jetstream
cd {CANARY}
for each in config.yaml secrets.env plugins/quotes.yaml plugins/quotes.env plugins/quotes.nk plugins/.rosey-nats; do
    printf 'MARK={MARK}\\nKEPT=1\\n' > development/$each
done
printf 'MARK={MARK}\\nKEPT=1\\n' > root.env
printf 'mark: {MARK}\\n' > root.yaml
printf '["{MARK}"]\\n' > root.json
cp root.env nats-server.log
chmod 600 *.env *.yaml *.json nats-server.log development/plugins/* development/*.*
install -m 666 /dev/null shared
"""
# All that is of the host and not of its deployment, with owner, mode, time and content.
OUTSIDE = (
    f"{{ find /etc {CANARY} /root /usr/local/lib /opt -xdev \\( -path /etc/nats -o -path {HOME} -o "
    "-path '/etc/systemd/system/*' -o -path /root/.ansible \\) -prune -o -printf '%p %y %u:%g %m %T@ %n %l\\n'; "
    f"find {CANARY} /etc/shadow /etc/passwd -type f -exec sha256sum {{}} +; }} | sort"
)
# What belongs to one of the accounts and is not where it may write.
GIVEN = (
    "find / -xdev \\( -user rosey -o -user nats -o -group rosey -o -group nats \\) "
    f"-not \\( -path '{HOME}*' -o -path '{DATA}*' -o -path '{LOGS}*' -o -path '/etc/nats*' -o -path '/proc/*' "
    "-o -path '/tmp/*' \\) | sort"
)
# The monitoring endpoint, asked all the time.
WATCH = """
import json, sys, time, urllib.request
longest, last = 0.0, time.monotonic()
def ask():
    global longest, last
    while True:
        try:
            json.load(urllib.request.urlopen("http://127.0.0.1:8222/varz", timeout=2))
        except Exception:
            pass
        else:
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        time.sleep(0.05)
import threading
threading.Thread(target=ask, daemon=True).start()
sys.stdin.read()
print(round(max(longest, time.monotonic() - last), 2))
"""
PATIENCE = 15.0  # seconds for which the server may be away, as for a restart on a machine that has much to do

# mode and path of what each attack goes for
FILES = [f"{PLUGINS}/quotes.{suffix}" for suffix in ("yaml", "env", "nk")]
FILES += [f"{ENVIRONMENT}/secrets.env", f"{ENVIRONMENT}/config.yaml", f"{PLUGINS}/.rosey-nats"]
LOG = f"{LOGS}/nats-server.log"
OF_SERVER = [f"{DATA}/nats-server.pid", f"{DATA}/jetstream"]


@dataclass(frozen=True)
class Row:
    """What an account does. pairs: paths with what a link, or another name, leads to. before, after: shell commands."""

    who: str
    what: str
    attack: str
    put: str = "link"
    pairs: tuple[tuple[str, str], ...] = ()
    before: str = "true"
    after: str = "true"


def all_to(target: str, paths: list[str]) -> tuple[tuple[str, str], ...]:
    return tuple((path, target) for path in paths)


def in_turns(paths: list[str], *targets: str) -> tuple[tuple[str, str], ...]:
    return tuple((path, targets[number % len(targets)]) for number, path in enumerate(paths))


FULL = """
set -e
mkdir -p /mnt/small && mount -t tmpfs -o size=256k,mode=755 tmpfs /mnt/small
cp -a {place}/. /mnt/small/ && chown --reference={place} /mnt/small && mount --bind /mnt/small {place}
"""
NOT_FULL = "umount {place} /mnt/small"
ROWS = [
    Row(
        "rosey",
        "links to files of root's take the place of its files",
        "flashed",
        pairs=in_turns(FILES, f"{CANARY}/root.env", f"{CANARY}/root.yaml", "/etc/shadow", f"{CANARY}/root.json"),
    ),
    Row(
        "rosey",
        "a link to a directory of root's takes the place of environments/",
        "exchanged",
        pairs=((f"{HOME}/environments", CANARY),),
    ),
    Row(
        "rosey",
        "links take the place of the environment and of plugins/",
        "flashed",
        pairs=((PLUGINS, f"{CANARY}/development/plugins"), (ENVIRONMENT, f"{CANARY}/development")),
    ),
    Row(
        "rosey",
        "a link takes the place of plugins/ once root writes in it",
        "triggered",
        pairs=((PLUGINS, f"{CANARY}/development/plugins"),),
    ),
    Row(
        "rosey",
        "links take the place of what root has just written",
        "replaced",
        pairs=((PLUGINS, "/etc/shadow"), (ENVIRONMENT, f"{CANARY}/root.env")),
    ),
    Row(
        "rosey",
        "pipes take the place of what root has just written",
        "replaced",
        "pipe",
        all_to("", [PLUGINS, ENVIRONMENT]),
    ),
    Row("rosey", "pipes take the place of its files", "flashed", "pipe", all_to("", FILES)),
    Row("rosey", "directories take the place of its files", "flashed", "directory", all_to("", FILES)),
    Row(
        "rosey",
        "other names of a file of root's take the place of its files",
        "flashed",
        "name",
        all_to(f"{CANARY}/shared", FILES),
    ),
    Row(
        "rosey",
        "modes of its directories change",
        "modes",
        pairs=all_to("", [f"{HOME}/environments", ENVIRONMENT, PLUGINS]),
    ),
    Row(
        "rosey",
        "the disk under environments/ is full, and not, and full",
        "filled",
        pairs=all_to("", [ENVIRONMENT]),
        before=FULL.format(place=f"{HOME}/environments"),
        after=NOT_FULL.format(place=f"{HOME}/environments"),
    ),
    Row(
        "nats",
        "links take the place of its store and its pid file",
        "flashed",
        pairs=in_turns(OF_SERVER, f"{CANARY}/root.env", CANARY),
    ),
    Row("nats", "links take the place of its log", "flashed", pairs=((LOG, f"{CANARY}/nats-server.log"),)),
    Row(
        "nats",
        "another name of a file of root's stands in its store",
        "flashed",
        "name",
        ((f"{DATA}/theirs", f"{CANARY}/shared"),),
        before=f"install -o nats -g nats -m 600 /dev/null {DATA}/theirs",
        after=f"rm {DATA}/theirs",
    ),
]


@pytest.fixture(scope="module")
def host(start_container: Callable[..., Container], tmp_path_factory: pytest.TempPathFactory) -> Container:
    always = {
        "nats_server_config": {"server_name": "races", "jetstream": {"max_mem": "64M", "max_file": "1G"}},
        "nats_server_gate_wait": 6,
        "nats_server_gate_soak": 0,
        "bot_config_gate_wait": 10,
        "bot_config_nats": {"name": "rosey-bot-development"},
        "bot_plugins_credentials": "each",
        "bot_plugins_credentials_secret": SECRET,
        "bot_plugins_credentials_kind": "nkey",
    }
    container = start_container("faults-races", f"--tmpfs={LOGS}:size=512k", **always)
    pack = tmp_path_factory.mktemp("pack") / "rosey-bot.pyz"
    subprocess.run([sys.executable, ROOT / "tests" / "bot" / "pack.py", pack], check=True)
    here = ROOT / "tests" / "faults" / "attacker.py"
    for source, place in ((pack, "/root/rosey-bot.pyz"), (here, ATTACKER)):
        subprocess.run(["docker", "cp", source, f"{container.name}:{place}"], check=True, stdout=subprocess.DEVNULL)
    container.run(
        f"chmod 644 {ATTACKER}; python3 /root/rosey-bot.pyz --environment development --owner rosey --port 8000 "
        f"--systemd --home {HOME} && chown rosey:rosey {HOME}"
    )
    container.run(MAKE_CANARY)
    number = next(NEXT)
    said = container.play(changes_of(number))
    assert said.startswith("exit 0"), said
    PROVEN[:] = [number]
    return container


# The numbers of the configurations that were proven
PROVEN: list[int] = []


def changes_of(number: int) -> Variables:
    """Give a deployment that writes every file anew."""
    quotes = {**QUOTES, "config": {**QUOTES["config"], "max_quote_length": number}}
    return {
        "nats_server_config": {"max_connections": number},
        "bot_plugins_declared": [quotes],
        "bot_plugins_credentials_numbers": dict.fromkeys(("bot", "quotes"), number),
    }


@contextmanager
def going_on(container: Container, user: str, *words: str) -> Iterator[list[str]]:
    """Run a program as a user meanwhile, and give what it says once nobody disturbs it any more."""
    command = ["docker", "exec", "--interactive", "--user", user, container.name, "python3", *words]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    said: list[str] = []
    try:
        yield said
    finally:
        output, errors = process.communicate(timeout=60)
        said += [*output.split("\n"), errors]
        assert process.returncode == 0, errors


def secrets_read(container: Container, who: str, number: int) -> int:
    """Count the seeds of other clients that an account can read."""
    names = [*permissions.OWN, QUOTES["name"]]
    asked = clients.Asked("nkey", SECRET, {"bot": number, "quotes": number}, given={}, owners={})
    every = clients.with_credentials(
        [permissions.Permissions(name, "inbox") for name in names], asked, prefix="rosey.dev"
    )
    own = {"bot", QUOTES["name"]} if who == "rosey" else set[str]()
    seeds = [each.seed for each in every if each.name not in own]
    assert all(seeds)
    words = ["docker", "exec", "--interactive", "--user", who, container.name]
    words += ["sh", "-c", "grep -rlsFf - /etc /opt /root /srv /tmp /var /run /home | wc -l"]
    return int(subprocess.run(words, input="\n".join(seeds), capture_output=True, text=True, check=True).stdout)


def gained(container: Container, who: str) -> Callable[[], dict[str, Any]]:
    """Look at all that is not the account's; the function that this gives tells what changed since."""
    before = container.run(OUTSIDE), container.run(GIVEN)

    def since() -> dict[str, Any]:
        after = container.run(OUTSIDE), container.run(GIVEN)
        read = f"grep -rlsF {MARK} {HOME} {DATA} {LOGS} /etc/nats /tmp /var/tmp"
        found = {
            "outside": sorted({*before[0].split("\n")} ^ {*after[0].split("\n")}),
            "given": sorted({*after[1].split("\n")} - {*before[1].split("\n")}),
            "read": container.attempt(read).stdout.split(),
            "secrets": ["seeds"] * secrets_read(container, who, PROVEN[-1]),
        }
        return {name: what for name, what in found.items() if what}

    return since


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.who}: {row.what}") for row in ROWS])
def test_a_race(host: Container, tell_race: TellRace, row: Row) -> None:
    since = gained(host, row.who)
    host.run(row.before)
    # on the same file system
    beside = f"{LOGS if row.pairs[0][0] == LOG else PLACES[row.who]}/.theirs"
    pairs = [word for pair in row.pairs for word in pair]
    ended: list[str] = []
    with ExitStack() as meanwhile:
        meanwhile.callback(host.run, f"{row.after}; rm -rf {beside}")
        watched = meanwhile.enter_context(going_on(host, "root", "-c", WATCH))
        attacked = meanwhile.enter_context(going_on(host, row.who, ATTACKER, row.attack, row.put, beside, *pairs))
        for _run in range(RUNS):
            number = next(NEXT)
            said = host.play(changes_of(number))
            assert "Traceback" not in said, said
            assert SECRET not in said
            assert MARK not in said
            ended.append(how(said))
            if said.startswith("exit 0"):
                PROVEN.append(number)
            assert host.varz()["max_connections"] in PROVEN, said
    done, longest = int(attacked[1]), float(watched[0])
    number = next(NEXT)
    said = host.play(changes_of(number))
    assert said.startswith("exit 0"), said
    PROVEN.append(number)
    assert host.varz()["max_connections"] == number
    changed = since()
    tell_race(Race(row.who, row.what, RUNS, done, ended, longest, sum(map(len, changed.values()))))
    assert changed == {}
    assert done
    assert longest < PATIENCE


def how(said: str) -> str:
    """Say how a run ended: well, or with whose words."""
    if said.startswith("exit 0"):
        return "well"
    assert said.startswith("exit 2"), said
    told = re.search(r"^fatal: .*?=>\s+(.*?)\n\n", said, re.DOTALL | re.MULTILINE)
    assert told, said
    return " ".join(told[1].split())
