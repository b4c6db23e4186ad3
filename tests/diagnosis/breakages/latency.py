# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why commands take long."""

from __future__ import annotations

from functools import partial

from ansible_collections.rosey.nats.tests.diagnosis import ground
from ansible_collections.rosey.nats.tests.diagnosis.breakages.server import RESTART, append, drop_in
from ansible_collections.rosey.nats.tests.diagnosis.ground import BACKGROUND, CONFIG, HOME, LOGIN

Breakage = partial(ground.Breakage, symptom="latency")


def python(name: str, program: str, *options: str, interpreter: str = "python3") -> str:
    """Run a program in the background. options: of systemd-run."""
    place = f"/run/breakage-{name}.py"
    return f"cat > {place} <<'END'\n{program}END\n{BACKGROUND}{name} {' '.join(options)} {interpreter} {place}\n"


def burn(number: int, *options: str) -> str:
    """Keep processors busy, half of the time so that nobody gives up."""
    return python("burn", BURN.format(number=number), *options)


BURN = """import os, time
for _each in range({number}):
    if not os.fork():
        while True:
            while time.time() % 0.6 < 0.3:
                pass
            time.sleep(0.01)
os.wait()
"""
# A third of the time, nobody is at home.
PAUSE = """import os, signal, subprocess, time
show = ["systemctl", "show", "--property=MainPID", "--value", "nats"]
server = int(subprocess.check_output(show))
while True:
    os.kill(server, signal.SIGSTOP)
    time.sleep(0.2)
    os.kill(server, signal.SIGCONT)
    time.sleep(0.4)
"""
LOCK = f"""import sqlite3, time
database = sqlite3.connect("{HOME}/data/quotes.db", isolation_level=None, timeout=30)
while True:
    database.execute("BEGIN EXCLUSIVE")
    time.sleep(0.5)
    database.execute("ROLLBACK")
    time.sleep(0.1)
"""
# It takes what it is sent too slowly: first the kernel has it, then the server.
DEAF = f"""import asyncio, json, nats, socket, time
about = {{"verbose": False, "name": "dashboard", "user": "{LOGIN["user"]}", "pass": {LOGIN["password"]!r}}}
deaf = []
def listen():
    deaf[:] = [socket.create_connection(("127.0.0.1", 4222))]
    deaf[0].recv(65536)
    deaf[0].sendall(b"CONNECT " + json.dumps(about).encode() + b"\\r\\nSUB rosey.dev.flood 1\\r\\nPING\\r\\n")
    return time.monotonic()
async def main():
    client = await nats.connect("nats://127.0.0.1:4222", name="flood", **{LOGIN!r})
    begun = listen()
    while True:
        if time.monotonic() - begun > 20:
            begun = listen()
        await client.publish("rosey.dev.flood", bytes(100_000))
        await client.flush()
        await asyncio.sleep(0.02)
asyncio.run(main())
"""
# Each byte takes so long on its way, as over a line to another continent.
DETOUR = """import asyncio
async def carry(reader, writer):
    while data := await reader.read(65536):
        asyncio.get_running_loop().call_later(0.15, writer.write, data)
async def serve(reader, writer):
    there_reader, there_writer = await asyncio.open_connection("127.0.0.1", 4222)
    await asyncio.gather(carry(reader, there_writer), carry(there_reader, writer))
async def main():
    async with await asyncio.start_server(serve, "127.0.0.2", 4222) as server:
        await server.serve_forever()
asyncio.run(main())
"""

BREAKAGES = [
    Breakage(
        name="host overloaded",
        cause="host_loaded",
        says="processors",
        make=burn(8, "--nice=-15"),
        neighbour="server of low priority",
        touches="load",
    ),
    Breakage(
        name="server of low priority",
        cause="server_deprioritized",
        says="nice 19",
        # without a load, a low priority costs nothing
        make=f"{drop_in('Nice=19')}; {RESTART}; sleep 4; {burn(6)}",
        neighbour="server paused again and again",
        touches="unit",
    ),
    Breakage(
        name="server paused again and again",
        cause="server_stalls",
        says="nats-server",
        make=python("pause", PAUSE),
        neighbour="plugin's database locked",
        touches="service",
    ),
    Breakage(
        name="plugin's database locked",
        cause="plugin_slow",
        says="quotes",
        make=python("lock", LOCK),
        neighbour="a tunnel between bot and server",
        touches="plugin",
    ),
    Breakage(
        name="a tunnel between bot and server",
        cause="connection_slow",
        says="rosey-bot-dev-quotes",
        # a tunnel has taken the name
        make=python("detour", DETOUR)
        + "sed 's/^127.0.0.1/127.0.0.2/' /etc/hosts > /run/hosts; cat /run/hosts > /etc/hosts\n"
        "systemctl restart cytube-bot; sleep 4",
        neighbour="plugin's database locked",
        touches="bot",
    ),
    Breakage(
        name="a client that does not read",
        cause="slow_consumer",
        says="dashboard",
        make=f"{python('deaf', DEAF, interpreter=ground.PYTHON)}sleep 4",
        neighbour="server writes every message to its log",
        touches="client",
    ),
    Breakage(
        name="a client that did not read",
        cause="slow_consumer",
        says="dashboard",
        # longer than the server waits for it, after which it is cut off
        make=f"{python('deaf', DEAF, interpreter=ground.PYTHON)}sleep 16; systemctl stop breakage-deaf",
        neighbour="each message is written to the disk at once",
        touches="client",
    ),
    Breakage(
        name="each message is written to the disk at once",
        cause="jetstream_sync",
        says="sync_interval",
        make=f"sed -i 's/^jetstream {{/jetstream {{\\n  sync_interval: always/' {CONFIG}; {RESTART}; sleep 2",
        neighbour="server writes every message to its log",
        touches="configuration",
    ),
    Breakage(
        name="server writes every message to its log",
        cause="tracing",
        says="trace",
        make=f"{append('trace: true')}; {RESTART}; sleep 2",
        neighbour="each message is written to the disk at once",
        touches="configuration",
    ),
]
