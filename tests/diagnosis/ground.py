# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with systemd, server, bot and the guide's two plugins, which is broken, diagnosed and mended again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.rosey.nats.tests.integration.conftest import ROOT, Container, Variables, run_playbook

HERE = Path(__file__).parent

PREFIX = "rosey.dev"
SERVER, BOT = "nats", "cytube-bot"  # the services; their accounts are nats and rosey
CONFIG = "/etc/nats/nats-server.conf"
LOG = "/var/log/nats/nats-server.log"
STORE = "/var/lib/nats/jetstream"
LINK = "/usr/local/bin/nats-server"
HOME = "/opt/rosey-bot"
PYTHON = f"{HOME}/venv/bin/python"
ENVIRONMENT = f"{HOME}/environments/development"
BOT_CONFIG = f"{ENVIRONMENT}/config.yaml"
SECRETS = f"{ENVIRONMENT}/secrets.env"
PLUGINS = f"{ENVIRONMENT}/plugins"  # quotes.yaml and trivia.yaml
PLUGIN_LOGS = f"{HOME}/logs/plugins"
CLIENT = "rosey-bot-dev"  # the bot's connection; the plugins' are rosey-bot-dev-quotes and rosey-bot-dev-trivia
STREAM = "KEPT"  # which the last deployment has proven
LOGIN = {"user": "rosey", "password": "spoon$and'fork"}

VARIABLES: Variables = {
    "nats_server_config": {"server_name": "diagnosis", "jetstream": {"max_mem": "64M", "max_file": "1G"}},
    "nats_server_credentials": LOGIN,
    "bot_config_nats": {"name": CLIENT},
    "bot_plugins_declared": yaml.safe_load((ROOT / "inventories/common/plugins.yml").read_text())[
        "bot_plugins_declared"
    ],
}

ADD_STREAM = f"""
{PYTHON} - <<'END'
import asyncio, nats
async def main():
    client = await nats.connect("nats://127.0.0.1:4222", **{LOGIN!r})
    stream = client.jetstream()
    await stream.add_stream(name="{STREAM}", subjects=["kept"], max_bytes=1 << 20)
    await stream.publish("kept", b"kept")
    await client.close()
asyncio.run(main())
END
"""

# What a breakage leaves running is a unit whose name begins so: it ends with the breakage.
BACKGROUND = "systemd-run --quiet --collect --unit=breakage-"

SAVED = "/root/healthy"
# Places that are put back as they were, with all that stands in them.
PLACES = (
    "/etc/nats",
    "/etc/systemd/system",
    "/etc/passwd",
    "/etc/group",
    "/var/lib/nats",
    "/usr/local/bin",
    "/usr/local/lib/nats-server",
    f"{HOME}/environments",
    f"{HOME}/data",
)
# Of the logs only owner and mode: what they say of earlier breakages stays, as on any host.
LOGS = f"{LOG} {PLUGIN_LOGS}/quotes.log {PLUGIN_LOGS}/trivia.log"
SAVE = f"""
set -e
mkdir -p {SAVED}
systemctl stop {BOT} {SERVER}
tar -C / -cpf {SAVED}/tree.tar {" ".join(place.lstrip("/") for place in PLACES)}
cp /etc/hosts {SAVED}/hosts
awk '{{print $5}}' /proc/self/mountinfo | sort > {SAVED}/mounts
systemctl start {SERVER} {BOT}
"""
MEND = f"""
systemctl stop 'breakage-*' 2>/dev/null
systemctl stop {BOT} {SERVER} 2>/dev/null
set -e
for mount in $(awk '{{print $5}}' /proc/self/mountinfo | sort | comm -13 {SAVED}/mounts - | sort -r); do
    umount "$mount"
done
rm -rf {" ".join(place for place in PLACES if place not in ("/etc/passwd", "/etc/group"))}
tar -C / -xpf {SAVED}/tree.tar
cat {SAVED}/hosts > /etc/hosts
chmod 755 / /etc /usr /usr/local /var /var/lib /var/log /opt {HOME}
install -d -o nats -g nats -m 750 /var/log/nats
install -d -o rosey -g rosey -m 755 {HOME}/logs {PLUGIN_LOGS}
touch {LOGS}
chown nats:nats {LOG}; chown rosey:rosey {HOME}/logs {PLUGIN_LOGS}/*.log
chmod 600 {LOG}; chmod 644 {PLUGIN_LOGS}/*.log
systemctl daemon-reload
systemctl reset-failed
systemctl start {SERVER} {BOT}
"""
# The bot holds one subscription, each of the plugins three.
IS_HEALTHY = """
import json, time, urllib.request
def ask(url):
    return json.load(urllib.request.urlopen(url, timeout=5))
deadline = time.monotonic() + 30
while True:
    try:
        bot = ask("http://127.0.0.1:8000/api/health")
        if ask("http://127.0.0.1:8222/varz")["version"] and bot["connected"] and bot["nats"]["subjects"] == 7:
            break
    except OSError as error:
        bot = error
    if time.monotonic() > deadline:
        raise SystemExit(f"the ground is not healthy: {bot}")
    time.sleep(0.1)
"""


@dataclass(frozen=True)
class Breakage:
    """One thing that is broken, and what a diagnosis has to call it.

    symptom: server, bot, plugin or latency. cause: the name of the cause that has to come first. says: what stands in
    its sentence, evidence or remedy, to tell it from others of that name. make: what is done, a shell command as root;
    what it leaves running is started with BACKGROUND and a name. neighbour: the name of another breakage with the same
    symptom and another cause. touches: what is broken, such as "configuration"; two breakages of the same are never
    made at once. mend: what Ground.mend() would not mend by itself. hides: the later symptoms can't be looked at then.
    sample: every run of all tests has it.
    """

    name: str
    symptom: str
    cause: str
    says: str
    make: str
    neighbour: str
    touches: str
    mend: str = "true"
    hides: bool = False
    sample: bool = False


@dataclass(frozen=True)
class Result:
    """What the playbook answered. code: its exit status. said: all that it printed. The rest is the module's result."""

    code: int
    said: str
    causes: list[dict[str, Any]]
    healthy: list[str]

    @property
    def names(self) -> list[str]:
        """The names of the causes, in their order."""
        return [cause["name"] for cause in self.causes]


class Ground:
    """The host. Use run() to look at it or to break it, diagnose() to have it diagnosed, mend() to have it healthy."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self._result = container.inventory.with_name("result.json")

    def run(self, shell: str) -> str:
        """Run a shell command as root that has to succeed, and give its output."""
        done = self.container.attempt(shell)
        assert done.returncode == 0, f"{shell}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def deploy(self) -> None:
        """Install the bot, deploy everything, and remember how it is when it is healthy."""
        pack = self.container.inventory.with_name("rosey-bot.pyz")
        subprocess.run([sys.executable, ROOT / "tests" / "bot" / "pack.py", pack], check=True)
        copy = ["docker", "cp", pack, f"{self.container.name}:/root/rosey-bot.pyz"]
        subprocess.run(copy, check=True, stdout=subprocess.DEVNULL)
        self.run(
            f"python3 /root/rosey-bot.pyz --environment development --owner rosey --port 8000 --systemd --home {HOME}"
        )
        said = self.container.play()
        assert said.startswith("exit 0"), said
        # which reads certificates
        self.run("DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends python3-cryptography")
        self.run(ADD_STREAM)
        said = self.container.play()
        assert said.startswith("exit 0"), said
        self.run(SAVE)
        self.wait_until_healthy()

    def wait_until_healthy(self) -> None:
        self.run(f"python3 -c '{IS_HEALTHY}'")

    def mend(self) -> None:
        """Put everything back as it was after the deployment, and see that it is healthy."""
        self.run(MEND)
        try:
            self.wait_until_healthy()
        except AssertionError:
            # on a busy machine a plugin may have given up before the bus was there
            self.run(f"systemctl restart {BOT}")
            self.wait_until_healthy()

    def diagnose(self, symptom: str | None = None, *options: str) -> Result:
        """Run playbooks/diagnose.yml on it."""
        self._result.unlink(missing_ok=True)
        said = run_playbook(
            "playbooks/diagnose.yml",
            self.container.inventory,
            *(["-e", f"diagnose_symptom={symptom}"] if symptom else []),
            *options,
            environment={
                "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
                "ANSIBLE_CALLBACKS_ENABLED": "diagnosis_result",
                "DIAGNOSIS_RESULT": str(self._result),
            },
        )
        assert self._result.exists(), said
        result = json.loads(self._result.read_text())
        code = int(said.partition("\n")[0].removeprefix("exit "))
        return Result(code, said, result["causes"], result["healthy"])


def start_ground(start_container: Callable[..., Container]) -> Ground:
    """Start a host and deploy to it."""
    ground = Ground(start_container("diagnosis", "--cap-add=SYS_NICE", **VARIABLES))
    ground.deploy()
    return ground
