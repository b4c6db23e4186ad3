# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps the bot from connecting to the bus."""

from __future__ import annotations

from functools import partial

from ansible_collections.rosey.nats.tests.diagnosis import ground
from ansible_collections.rosey.nats.tests.diagnosis.breakages.tls import CERTIFICATES, FIRST, TOMORROW, TRUST
from ansible_collections.rosey.nats.tests.diagnosis.ground import (
    BACKGROUND,
    BOT,
    BOT_CONFIG,
    CONFIG,
    HOME,
    PYTHON,
    SECRETS,
    SERVER,
)

# Until it has tried, and failed.
RESTART = f"systemctl restart {BOT}; sleep 2"
BOTH = f"systemctl restart {SERVER}; {RESTART}"
UNIT = f"/etc/systemd/system/{BOT}.service"
ADDRESS = "$(hostname -I | cut -d' ' -f1)"
LIBRARIES = f"{HOME}/venv/lib/python3*/site-packages"
# A socket that is open and silent is closed after a while, a client that has logged in is not.
CROWD = """
import asyncio, nats, os
async def main():
    login = {"user": os.environ["NATS_USER"], "password": os.environ["NATS_PASSWORD"]}
    clients = [await nats.connect("nats://127.0.0.1:4222", name="crowd", **login) for _each in range(2)]
    await asyncio.sleep(3600)
asyncio.run(main())
"""


def servers(url: str) -> str:
    """Give the command that makes the bot connect to another URL."""
    return f"sed -i 's|^NATS_SERVER=.*|NATS_SERVER={url}|' {SECRETS}; {RESTART}"


Breakage = partial(ground.Breakage, symptom="bot", hides=True)

BREAKAGES = [
    # It does not run.
    Breakage(
        name="bot stopped",
        cause="bot_stopped",
        says=f"systemctl restart {BOT}",
        make=f"systemctl stop {BOT}",
        neighbour="bot's Python gone",
        touches="bot's service",
    ),
    Breakage(
        name="bot's Python gone",
        cause="bot_dies",
        says=PYTHON,
        make=f"mv {PYTHON} /root/python; {RESTART}",
        mend=f"mv /root/python {PYTHON}",
        neighbour="bot stopped",
        touches="bot's program",
    ),
    Breakage(
        name="bot's nats-py gone",
        cause="library_missing",
        says="No module named 'nats'",
        make=f"cd {LIBRARIES}; mv nats nats-away; {RESTART}",
        mend=f"cd {LIBRARIES}; mv nats-away nats",
        neighbour="bot's Python gone",
        touches="bot's program",
    ),
    Breakage(
        name="bot's unit gone",
        cause="bot_unit_missing",
        says=f"{BOT}.service",
        make=f"systemctl stop {BOT}; rm {UNIT}; systemctl daemon-reload",
        neighbour="bot stopped",
        touches="bot's service",
    ),
    # Its file is not what it can use.
    Breakage(
        name="bot's file no YAML",
        cause="bot_file_broken",
        says=BOT_CONFIG,
        make=f"printf 'greeting: [hello\\n' >> {BOT_CONFIG}; {RESTART}",
        neighbour="bot's file unreadable",
        touches="bot's file",
        sample=True,
    ),
    Breakage(
        name="bot's file unreadable",
        cause="bot_file_unreadable",
        says="rosey may not read",
        make=f"chown root:root {BOT_CONFIG}; chmod 600 {BOT_CONFIG}; {RESTART}",
        neighbour="bot's file no YAML",
        touches="bot's file",
    ),
    Breakage(
        name="bot's section gone",
        cause="section_missing",
        says=BOT_CONFIG,
        make=f"sed -i '/^nats:/,$d' {BOT_CONFIG}; {RESTART}",
        neighbour="bot's section without a prefix",
        touches="bot's file",
    ),
    Breakage(
        name="bot's section without a prefix",
        cause="prefix_missing",
        says="rosey.dev",
        make=f"sed -i '/^  prefix:/d' {BOT_CONFIG}; {RESTART}",
        neighbour="bot's section gone",
        touches="bot's file",
    ),
    Breakage(
        name="option that the client does not know",
        cause="option_unknown",
        says="ping_interval",
        make=f"sed -i 's/ping_interval:/ping_intervall:/' {BOT_CONFIG}; {RESTART}",
        neighbour="time with a unit",
        touches="bot's file",
    ),
    Breakage(
        name="time with a unit",
        cause="option_wrong",
        says="connect_timeout",
        make=f"printf '  connect_timeout: \"2s\"\\n' >> {BOT_CONFIG}; {RESTART}",
        neighbour="option that the client does not know",
        touches="bot's file",
    ),
    # It looks for the server where that is not.
    Breakage(
        name="wrong port in secrets.env",
        cause="port_mismatch",
        says="localhost:4223",
        make=servers("nats://localhost:4223"),
        neighbour="server on another address",
        touches="bot's servers",
    ),
    Breakage(
        name="server on another address",
        cause="address_mismatch",
        says="172.",
        make=f'sed -i "s/^host: .*/host: {ADDRESS}/; s/^http_port: .*/http: 127.0.0.1:8222/" {CONFIG}; {BOTH}',
        neighbour="wrong port in secrets.env",
        touches="server's address",
    ),
    Breakage(
        name="name that means IPv6 alone",
        cause="address_family",
        says="::1",
        make=f"echo '::1 bus.internal' >> /etc/hosts; {servers('nats://bus.internal:4222')}",
        neighbour="name that means nothing",
        touches="bot's servers",
    ),
    Breakage(
        name="name that means nothing",
        cause="name_unknown",
        says="bus.invalid",
        make=servers("nats://bus.invalid:4222"),
        neighbour="name that means IPv6 alone",
        touches="bot's servers",
    ),
    Breakage(
        name="port of monitoring in secrets.env",
        cause="port_mismatch",
        says="serves monitoring",
        make=servers("nats://localhost:8222"),
        neighbour="something else on the port",
        touches="bot's servers",
    ),
    Breakage(
        name="something else on the port",
        cause="not_nats",
        says="python3",
        make=(
            f"{BACKGROUND}impostor python3 -m http.server 5222 --bind 127.0.0.1; sleep 1; "
            f"{servers('nats://localhost:5222')}"
        ),
        neighbour="port of monitoring in secrets.env",
        touches="bot's servers",
    ),
    # It is not let in.
    Breakage(
        name="wrong password",
        cause="credentials_refused",
        says=SECRETS,
        make=f"sed -i 's/^NATS_PASSWORD=.*/NATS_PASSWORD=wrong-one/' {SECRETS}; {RESTART}",
        neighbour="user that the server does not know",
        touches="bot's credentials",
        sample=True,
    ),
    Breakage(
        name="user that the server does not know",
        cause="user_unknown",
        says="rosie",
        make=f"sed -i 's/^NATS_USER=.*/NATS_USER=rosie/' {SECRETS}; {RESTART}",
        neighbour="wrong password",
        touches="bot's credentials",
    ),
    Breakage(
        name="no credentials",
        cause="credentials_missing",
        says="NATS_USER",
        make=f"sed -i '/^NATS_USER=/d; /^NATS_PASSWORD=/d' {SECRETS}; {RESTART}",
        neighbour="password as only a shell reads it",
        touches="bot's credentials",
    ),
    Breakage(
        name="password as only a shell reads it",
        cause="secrets_misread",
        says="NATS_PASSWORD",
        make=f"sed -i 's/^NATS_PASSWORD/export NATS_PASSWORD/' {SECRETS}; {RESTART}",
        neighbour="no credentials",
        touches="bot's credentials",
    ),
    Breakage(
        name="password that the running bot has not read",
        cause="bot_not_restarted",
        says=SECRETS,
        make=(
            f"cp -p {SECRETS} /root/secrets; sed -i 's/^NATS_PASSWORD=.*/NATS_PASSWORD=old-one/' {SECRETS}; {RESTART}; "
            f"cat /root/secrets > {SECRETS}"
        ),
        neighbour="wrong password",
        touches="bot's credentials",
    ),
    Breakage(
        name="server that wants a token",
        cause="credentials_kind",
        says="NATS_TOKEN",
        make=f"sed -i '/^authorization/,$d' {CONFIG}; echo 'authorization {{token: \"s3cret\"}}' >> {CONFIG}; {BOTH}",
        neighbour="user that the server does not know",
        touches="server's authorization",
    ),
    Breakage(
        name="certificate of an unknown authority",
        cause="tls_untrusted",
        says="certificate",
        make=f"({CERTIFICATES.format(name='localhost', days=9)}); {BOTH}",
        neighbour="certificate for another name",
        touches="server's TLS",
    ),
    Breakage(
        name="certificate for another name",
        cause="tls_name",
        says="bus.internal",
        make=f"({CERTIFICATES.format(name='bus.internal', days=9)}); {TRUST}; {BOTH}",
        neighbour="certificate of an unknown authority",
        touches="server's TLS",
    ),
    Breakage(
        name="certificate that has expired",
        cause="tls_expired",
        says="by the clock of this host",
        make=f"({CERTIFICATES.format(name='localhost', days=0)}); {TRUST}; {BOTH}",
        neighbour="certificate for another name",
        touches="server's TLS",
    ),
    Breakage(
        name="certificate of tomorrow",
        cause="tls_not_yet",
        says="by the clock of this host",
        make=f"({TOMORROW}); {TRUST}; {BOTH}",
        neighbour="certificate that has expired",
        touches="server's TLS",
    ),
    Breakage(
        name="server that waits for TLS",
        cause="tls_first",
        says="CN=localhost",
        make=f"({CERTIFICATES.format(name='localhost', days=9)}\n{FIRST}); {TRUST}; {BOTH}; sleep 2",
        neighbour="certificate of an unknown authority",
        touches="server's TLS",
    ),
    Breakage(
        name="bot that begins with TLS at a server without",
        cause="tls_not_first",
        says=BOT_CONFIG,
        make=f"sed -i 's/^nats:.*/&\\n  tls_handshake_first: true/' {BOT_CONFIG}; {RESTART}",
        neighbour="server that waits for TLS",
        touches="bot's file",
    ),
    Breakage(
        name="bot that asks a server without TLS for it",
        cause="tls_not_used",
        says="in the clear",
        make=servers("tls://localhost:4222"),
        neighbour="bot that begins with TLS at a server without",
        touches="bot's environment file",
        hides=False,
    ),
    Breakage(
        name="no connection left",
        cause="max_connections_reached",
        says="crowd",
        make=(
            f"systemctl stop {BOT}; echo 'max_connections: 2' >> {CONFIG}; systemctl restart {SERVER}; "
            f"{BACKGROUND}crowd --property=EnvironmentFile={SECRETS} {PYTHON} -c '{CROWD}'; sleep 2; {RESTART}"
        ),
        neighbour="login longer than the server takes",
        touches="server's limits",
    ),
    Breakage(
        name="login longer than the server takes",
        cause="control_line_too_short",
        says="max_control_line",
        make=f"sed -i 's/^max_control_line: .*/max_control_line: 64/' {CONFIG}; {BOTH}",
        neighbour="no connection left",
        touches="server's limits",
    ),
    Breakage(
        name="bot without the host's network",
        cause="bot_confined",
        says="PrivateNetwork",
        make=(
            f"mkdir {UNIT}.d; printf '[Service]\\nPrivateNetwork=yes\\n' > {UNIT}.d/network.conf; "
            f"systemctl daemon-reload; {RESTART}"
        ),
        neighbour="server on another address",
        touches="bot's service",
    ),
]
