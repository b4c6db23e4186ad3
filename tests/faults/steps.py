# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment by its modules alone, in the order of the role release, which takes a tenth of the time of a play."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import requests
import yaml

from ansible_collections.rosey.nats.plugins.module_utils._server import archive, conf
from ansible_collections.rosey.nats.plugins.plugin_utils import controller
from ansible_collections.rosey.nats.tests import recorded

Variables = dict[str, Any]
RunModule = Callable[..., dict[str, Any]]

STATES = {"nothing": "started", "start": "started", "reload": "reloaded", "restart": "restarted"}
QUOTES = {
    "name": "quotes",
    "enabled": True,
    "type": "isolated",
    "subscriptions": ["rosey.dev.commands.quote", "rosey.dev.commands.addquote", "rosey.dev.commands.delquote"],
    "publishes": ["rosey.dev.cytube.chat.message"],
    "config": {"database": "data/quotes.db", "max_quote_length": 500, "cooldown": 0},
}
CLAIM = controller.claim(None)


class FailedError(Exception):
    """A module that failed. module: its name; says: its message."""

    def __init__(self, module: str, says: str) -> None:
        super().__init__(f"{module}: {says}")
        self.module, self.says = module, says


@dataclass(frozen=True)
class Wanted:
    """What is deployed.

    config: laid over the server's configuration. raw: lines of the server's own language after it, which only the
    server judges; {directory} stands for the host's. action: what the server is told then. plugins: of the bot. client:
    laid over the section of the bot. servers: the bot's. plan, claim: laid over the arguments of the module. url: of
    the monitoring endpoint that the gate asks.
    """

    config: Variables = field(default_factory=dict)
    raw: str = ""
    action: str = "restart"
    plugins: tuple[Variables, ...] = (QUOTES,)
    version: str = "2.10.7"
    servers: tuple[str, ...] = ()
    plan: Variables = field(default_factory=dict)
    claim: Variables = field(default_factory=lambda: CLAIM)
    url: str = ""


class Host:
    """A directory that stands for a host: a server, a bot and its releases, all of this user."""

    def __init__(self, directory: Path, ports: list[int], binaries: Mapping[str, Path]) -> None:
        self.directory = directory
        self.port, self.monitoring_port, self.bot_port = ports
        self.config_file = directory / "etc" / "nats-server.conf"
        self.home = directory / "bot"
        self.environment = self.home / "environments" / "development"
        self.releases = directory / "releases"
        self.link = directory / "bin" / "nats-server"
        self.pid_file = directory / "nats-server.pid"
        self.run_module: RunModule
        for name in ("etc", "bin", "log", "store", "other"):
            (directory / name).mkdir()
        for version, binary in binaries.items():
            self.install(version, binary.read_bytes())

    def install(self, version: str, content: bytes) -> None:
        """Put a version beside the others, as if it had been verified."""
        place = self.directory / "lib" / version / "nats-server"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.write_bytes(content)
        place.chmod(0o755)
        sums = {"archive_sha256": "0" * 64, "binary_sha256": sha256(content).hexdigest()}
        (place.parent / archive.VERIFIED).write_text(json.dumps(sums))

    def uninstall(self, version: str) -> None:
        shutil.rmtree(self.directory / "lib" / version)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.monitoring_port}"

    def config(self, changes: Variables) -> Variables:
        given = {
            "server_name": "faults",
            "host": "127.0.0.1",
            "port": self.port,
            "http_port": self.monitoring_port,
            "log_file": str(self.directory / "log" / "nats-server.log"),
            "logtime": True,
            "max_connections": 100,
            "jetstream": {"store_dir": str(self.directory / "store"), "max_mem": "64M", "max_file": "1G"},
            **changes,
        }
        return {name: value for name, value in given.items() if value is not None}

    def server_part(self, wanted: Wanted) -> Variables:
        text = conf.render(self.config(wanted.config)) + wanted.raw.replace("{directory}", str(self.directory))
        validate = f"{self.directory / 'lib' / wanted.version / 'nats-server'} -t -c %s"
        entries = [
            {"path": str(self.config_file), "state": "file", "mode": "0640", "content": text, "validate": validate}
        ]
        settings = {**recorded.SERVER, "version": wanted.version, "monitoring_url": wanted.url or self.url}
        return {"name": "server", "settings": settings, "entries": entries}

    def bot_part(self, wanted: Wanted) -> Variables:
        servers = list(wanted.servers) or [f"nats://localhost:{self.port}"]
        section = {"nats": {"servers": servers, "name": "rosey-bot-development", "prefix": "rosey.dev"}}
        plugins = self.environment / "plugins"
        entries: list[Variables] = [
            {
                "path": str(self.environment / "config.yaml"),
                "state": "section",
                "key": "nats",
                "content": yaml.safe_dump(section),
                "reader": "bot",
            },
            {"path": str(plugins), "state": "directory", "manifest": ".rosey-nats", "reader": "bot"},
        ]
        for plugin in wanted.plugins:
            path = str(plugins / f"{plugin['name']}.yaml")
            entries.append({"path": path, "state": "file", "content": yaml.safe_dump(plugin), "reader": "bot"})
        return {"name": "bot", "settings": {**recorded.BOT, "servers": servers}, "entries": entries}

    def plugins_part(self, wanted: Wanted) -> Variables:
        declared = [{key: plugin[key] for key in ("name", "subscriptions")} for plugin in wanted.plugins]
        return {"name": "plugins", "settings": {"plugins": declared}, "entries": []}

    def module(self, name: str, **arguments: Any) -> Variables:
        """Run a module that has to succeed."""
        result = self.run_module(name, **arguments)
        if result.get("failed"):
            raise FailedError(name, result["msg"])
        return result

    def deploy(self, wanted: Wanted) -> str:
        """Deploy and give the id of the release; where something fails after the switch, go back and raise."""
        server, bot, plugins = self.server_part(wanted), self.bot_part(wanted), self.plugins_part(wanted)
        given = {"entries": [*server["entries"], *bot["entries"]]}
        if wanted.raw:
            # the host's own table would refuse it
            looked = self._look(server["settings"], {"release": self._current(["server"])}, wanted.plan)
            plan = {**looked, "action": wanted.action}
        else:
            plan = self._look(server["settings"], {"entries": server["entries"]}, wanted.plan)
        bot_plan = self._look_at_bot({"entries": bot["entries"]})
        last = plan["release"]["current"]
        begun = {"claim": wanted.claim, "sequence": plan["release"]["sequence"], "idle_seconds": 1}
        self._release("begun", **begun)
        switched: list[bool] = []
        try:
            self._steps(
                given=given,
                server=server["settings"],
                bot={**bot["settings"], **plugins["settings"]},
                plan=plan,
                bot_plan=bot_plan,
                switched=switched,
            )
        except FailedError:
            if any(switched) and last:
                self.go_back(last)
            self._release("ended", claim=wanted.claim)
            raise
        gates = {"plan": [plan["action"]], "gates": ["proven"], "keep": 3}
        try:
            recorded = self._release("recorded", claim=wanted.claim, parts=[server, bot, plugins], **gates)
        except FailedError:
            self._release("ended", claim=wanted.claim)
            raise
        return str(recorded["release"])

    def go_back(self, release: str) -> None:
        """Apply a release by the same steps."""
        found = self.module("nats_release_info", release_dir=str(self.releases), select=release)
        settings = found["selected"]["settings"]
        plan = self._look(settings["server"], {"release": self._release_of(release, ["server"])}, {"accept": ["all"]})
        bot_plan = self._look_at_bot({"release": self._release_of(release, ["bot"])})
        given = {"release": self._release_of(release, ["server", "bot"])}
        self._steps(
            given=given,
            server=settings["server"],
            bot={**settings["bot"], **settings["plugins"]},
            plan=plan,
            bot_plan=bot_plan,
            switched=[],
        )

    def _steps(
        self,
        *,
        given: Variables,
        server: Variables,
        bot: Variables,
        plan: Variables,
        bot_plan: Variables,
        switched: list[bool],
    ) -> None:
        if not plan["binary"]["linked"]:
            linked = self.module(
                "nats_binary",
                archive="/nonexistent",
                checksum="",
                version=server["version"],
                architecture=plan["architecture"],
                directory=str(self.directory / "lib"),
                link=str(self.link),
                release_dir=str(self.releases),
            )
            switched.append(linked["changed"])
        tree = self.run_module("config_tree", release_dir=str(self.releases), **given)
        switched.append(tree.get("touched", tree.get("changed", False)))
        if tree.get("failed"):
            raise FailedError("config_tree", tree["msg"])
        if plan["action"] != "nothing":
            self.module(
                "nats_process",
                binary=str(self.link),
                config_file=str(self.config_file),
                pid_file=str(self.pid_file),
                release_dir=str(self.releases),
                state=STATES[plan["action"]],
            )
        since = {"since": plan["mark"]} if plan["action"] == "reload" else {}
        config = str(self.config_file)
        started = plan["action"] in ("start", "restart")
        self.module(
            "nats_gate",
            monitoring_url=server["monitoring_url"],
            version=server["version"],
            config_file=config,
            wait=3,
            timeout=1,
            soak=3 if started else 0,
            pid_file=str(self.pid_file),
            **since,
        )
        if bot_plan["action"] != "nothing":
            state = STATES[bot_plan["action"]]
            self.module(
                "bot_process", command=self.bot_command, pid_file=self.bot_pid_file, state=state, stop_timeout=5
            )
        self.module(
            "bot_gate",
            health_url=f"http://localhost:{self.bot_port}/api/health",
            servers=bot["servers"],
            plugins=bot["plugins"],
            client_name="rosey-bot-development",
            monitoring_url=self.url,
            wait=5,
        )

    @property
    def bot_command(self) -> list[str]:
        words = [self.home / "venv" / "bin" / "python", "-m", "rosey_bot", "--home", self.home]
        return [*map(str, words), "--environment", "development"]

    @property
    def bot_pid_file(self) -> str:
        return str(self.home / "bot.pid")

    def _release(self, state: str, **arguments: Any) -> Variables:
        return self.module("nats_release", release_dir=str(self.releases), state=state, **arguments)

    def _release_of(self, release: str, parts: list[str]) -> Variables:
        return {"release_dir": str(self.releases), "id": release, "parts": parts}

    def _current(self, parts: list[str]) -> Variables:
        return self._release_of((self.releases / "current").read_text().strip(), parts)

    def _look(self, settings: Variables, tree: Variables, more: Variables) -> Variables:
        arguments: Variables = {
            "runtime": "process",
            "pid_file": str(self.pid_file),
            "version": settings["version"],
            "directory": str(self.directory / "lib"),
            "link": str(self.link),
            "config_file": str(self.config_file),
            "release_dir": str(self.releases),
            "settings": settings,
            **tree,
            **more,
        }
        return self.module("nats_plan", **arguments)

    def _look_at_bot(self, tree: Variables) -> Variables:
        return self.module(
            "bot_plan",
            home=str(self.home),
            runtime="process",
            command=self.bot_command,
            pid_file=self.bot_pid_file,
            release_dir=str(self.releases),
            **tree,
        )

    def varz(self) -> Variables:
        return dict(requests.get(f"{self.url}/varz", timeout=5).json())

    def bot_health(self) -> Variables:
        return dict(requests.get(f"http://127.0.0.1:{self.bot_port}/api/health", timeout=5).json())

    def served(self) -> Variables:
        """Give what must be the same after a deployment that failed."""
        varz = self.varz()
        names = ("server_name", "version", "max_connections", "max_payload", "jetstream")
        shown = {name: varz[name] for name in names if name != "jetstream"}
        bot = self.bot_health()
        files = {str(path): path.read_bytes() for path in self.environment.rglob("*.yaml") if path.is_file()}
        return {
            **shown,
            "jetstream": varz["jetstream"]["config"],
            "file": self.config_file.read_bytes(),
            "bot": (bot["connected"], bot["nats"]["server"], bot["nats"]["subjects"]),
            "bot's files": files,
            "pid": int(self.pid_file.read_text()) == _server_pid(self),
        }


def _server_pid(host: Host) -> int:
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            try:
                command = (path / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if os.fsencode(str(host.config_file)) in command:
                return int(path.name)
    return 0
