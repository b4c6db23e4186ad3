# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for prometheus-nats-exporter 0.20.1, whose release can't be reached from everywhere.

It takes the same command line and gives some of the same metrics of a real server. Like the original it does without
the server, and then says so in gnatsd_healthz_status_value, while all other numbers stay as they were.
"""

from __future__ import annotations

import argparse
import json
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NUMBERS = (
    "connections",
    "jetstream_config_max_memory",
    "jetstream_config_max_storage",
    "jetstream_stats_storage",
    "max_connections",
    "max_pending",
    "mem",
    "remotes",
    "slow_consumers",
)


def ask(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=2) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def flat(answer: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Give what is in the answer and in the objects in it, as the original calls it."""
    found = {}
    for name, value in answer.items():
        found |= flat(value, f"{before}{name}_") if isinstance(value, dict) else {before + name: value}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--version", action="version", version="prometheus-nats-exporter version 0.20.1")
    for flag in ("-varz", "-connz", "-subz", "-routez", "-healthz"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("-jsz")
    parser.add_argument("-addr", default="0.0.0.0")
    parser.add_argument("-port", type=int, default=7777)
    parser.add_argument("server")
    given = parser.parse_args()
    name, _comma, url = given.server.rpartition(",")
    numbers: dict[str, float] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                status = ask(f"{url}/healthz")["status"]
                varz, connz = flat(ask(f"{url}/varz")), ask(f"{url}/connz")
                numbers.update({f"varz_{each}": varz[each] for each in NUMBERS if given.varz})
                if given.connz:
                    numbers["connz_pending_bytes"] = sum(each["pending_bytes"] for each in connz["connections"])
            except OSError:
                status = "unreachable"
            lines = [f'gnatsd_{each}{{server_id="{name}"}} {number}' for each, number in numbers.items()]
            if given.healthz:
                labels = f'server_id="{name}",value="{status}"'
                lines.append(f"gnatsd_healthz_status_value{{{labels}}} {int(status == 'ok')}")
            body = "".join(f"{line}\n" for line in lines).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    ThreadingHTTPServer((given.addr, given.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
