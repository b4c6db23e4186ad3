# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings as the roles record them with a release."""

from __future__ import annotations

from typing import Any

SERVER: dict[str, Any] = {
    "environment": "development",
    "runtime": "process",
    "version": "2.10.7",
    "service": "nats",
    "user": "nats",
    "group": "nats",
    "container": "nats-dev",
    "image": "nats:2.10.7-alpine",
    "published_ports": ["127.0.0.1:4222:4222"],
    "become": False,
    "directory": "/usr/local/lib/nats-server",
    "link": "/usr/local/bin/nats-server",
    "config_dir": "/etc/nats",
    "config_file": "/etc/nats/nats-server.conf",
    "pid_file": "/var/lib/nats/nats-server.pid",
    "data_dir": "/var/lib/nats",
    "copies": "/var/lib/rosey-nats/stores",
    "monitoring_url": "http://127.0.0.1:8222",
    "tls": {},
    "cluster": {},
    "stop": {"signal": "INT", "timeout": 90},
    "gate": True,
    "gate_wait": 30,
    "gate_soak": 3,
}
BOT: dict[str, Any] = {
    "home": "/opt/rosey-bot",
    "environment": "development",
    "prefix": "rosey.dev",
    "mode": "nats",
    "runtime": "process",
    "service": "cytube-bot",
    "command": ["/opt/rosey-bot/venv/bin/python", "-m", "rosey_bot"],
    "pid_file": "/opt/rosey-bot/bot.pid",
    "become": False,
    "owner": "",
    "environment_file": "/opt/rosey-bot/environments/development/secrets.env",
    "servers": ["nats://localhost:4222"],
    "login": {},
    "client_name": "rosey-bot-development",
    "health_url": "http://localhost:8080/api/health",
    "required": [],
    "monitoring_url": "http://127.0.0.1:8222",
    "gate": "auto",
    "gate_wait": 30,
    "round_trip": True,
    "round_trip_subject": "",
    "round_trip_limit": 100.0,
    "python": "/opt/rosey-bot/venv/bin/python",
}
PLUGINS: dict[str, Any] = {
    "plugins": [{"name": "quotes", "subscriptions": ["rosey.dev.commands.quote"]}],
    "clients": [],
}
