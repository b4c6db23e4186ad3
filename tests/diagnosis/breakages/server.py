# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a server does not start, or does not serve."""

from __future__ import annotations

from functools import partial

from ansible_collections.rosey.nats.tests.diagnosis import ground
from ansible_collections.rosey.nats.tests.diagnosis.breakages.tls import ANOTHER_KEY, CERTIFICATES, RENEWAL, TRUST
from ansible_collections.rosey.nats.tests.diagnosis.ground import BACKGROUND, CONFIG, STORE

UNIT = "/etc/systemd/system/nats.service"
BINARY = "/usr/local/lib/nats-server/2.10.7/nats-server"
DATA, LOGS = "/var/lib/nats", "/var/log/nats"
# A start that fails takes a moment to do so, and is tried again every second.
RESTART = "systemctl restart nats; sleep 0.7"
STOP = "systemctl stop nats"
Breakage = partial(ground.Breakage, symptom="server", hides=True)


def drop_in(*lines: str) -> str:
    """Change the unit."""
    place = f"{UNIT}.d"
    text = " ".join(map(repr, ("[Service]", *lines)))
    return f"mkdir -p {place}; printf '%s\\n' {text} > {place}/breakage.conf; systemctl daemon-reload"


def append(line: str) -> str:
    """Add a line to the configuration."""
    return f"echo '{line}' >> {CONFIG}"


def small_disk(place: str, options: str) -> str:
    """Put a small file system in a directory's place, with what stood there."""
    return (
        f"cp -a {place} /root/kept; mount -t tmpfs -o {options} tmpfs {place}; cp -a /root/kept/. {place}; "
        f"rm -r /root/kept; chown --reference={place}/{'jetstream' if place == DATA else 'nats-server.log'} {place}"
    )


FILL = "dd if=/dev/zero of={}/fill bs=1k 2> /dev/null; true"
STREAM = f"""
{ground.PYTHON} - <<'END'
import asyncio, nats
async def main():
    client = await nats.connect("nats://127.0.0.1:4222", **{ground.LOGIN!r})
    await client.jetstream().add_stream(name="HISTORY", subjects=["history.>"])
    await client.close()
asyncio.run(main())
END
"""
# Of the streams that a deployment has proven, the ground has one; see ground.py.
DELETE = f"""
{ground.PYTHON} - <<'END'
import asyncio, nats
async def main():
    client = await nats.connect("nats://127.0.0.1:4222", **{ground.LOGIN!r})
    await client.jetstream().delete_stream("{ground.STREAM}")
    await client.close()
asyncio.run(main())
END
"""

BREAKAGES = [
    Breakage(
        name="unit removed",
        cause="unit_missing",
        says=UNIT,
        make=f"{STOP}; rm {UNIT}; systemctl daemon-reload",
        neighbour="unit masked",
        touches="unit",
    ),
    Breakage(
        name="unit masked",
        cause="unit_masked",
        says="systemctl unmask nats",
        make=f"{STOP}; rm {UNIT}; ln -s /dev/null {UNIT}; systemctl daemon-reload",
        neighbour="unit removed",
        touches="unit",
    ),
    Breakage(
        name="stopped by hand",
        cause="stopped",
        says="systemctl start nats",
        make=STOP,
        neighbour="killed",
        touches="service",
    ),
    Breakage(
        name="killed",
        cause="killed",
        says="signal 9 (KILL)",
        make=f"{drop_in('Restart=no')}; systemctl kill --signal=KILL nats; sleep 0.5",
        neighbour="stopped by hand",
        touches="service",
    ),
    Breakage(
        name="suspended",
        cause="suspended",
        says="SIGCONT",
        make="systemctl kill --signal=STOP nats",
        neighbour="killed",
        touches="service",
    ),
    Breakage(
        name="unknown flag in the unit",
        cause="command_line_refused",
        says="confg",
        make=f"{drop_in('ExecStart=', f'ExecStart=/usr/local/bin/nats-server --confg {CONFIG}')}; {RESTART}",
        neighbour="unit names another configuration",
        touches="unit",
    ),
    Breakage(
        name="unit names another configuration",
        cause="configuration_missing",
        says="/etc/nats/other.conf",
        make=f"{drop_in('ExecStart=', 'ExecStart=/usr/local/bin/nats-server -c /etc/nats/other.conf')}; {RESTART}",
        neighbour="unit runs it as another user",
        touches="unit",
    ),
    Breakage(
        name="unit runs it as another user",
        cause="path_forbidden",
        says="nobody",
        make=f"{drop_in('User=nobody', 'Group=nogroup')}; {RESTART}",
        neighbour="unit names another configuration",
        touches="unit",
    ),
    Breakage(
        name="drop-in with another configuration that works",
        cause="unit_overridden",
        says=f"{UNIT}.d/breakage.conf sets ExecStart=/usr/local/bin/nats-server -c /etc/nats/other.conf",
        make=f"cp -p {CONFIG} /etc/nats/other.conf; "
        f"{drop_in('ExecStart=', 'ExecStart=/usr/local/bin/nats-server -c /etc/nats/other.conf')}; {RESTART}",
        neighbour="unit names another configuration",
        touches="unit",
        hides=False,
    ),
    Breakage(
        name="sandbox that the host can't apply",
        cause="sandbox_not_applied",
        says="systemd says: nats.service: Failed to set up mount namespacing: ",
        make=f"{drop_in('BindPaths=/nowhere')}; {RESTART}",
        neighbour="unit runs it as another user",
        touches="unit",
    ),
    Breakage(
        name="account removed",
        cause="account_missing",
        says="nats",
        make=f"{STOP}; sed -i /^nats:/d /etc/passwd; {RESTART}",
        neighbour="binary not executable",
        touches="account",
    ),
    Breakage(
        name="binary removed",
        cause="binary_missing",
        says=BINARY,
        make=f"rm {BINARY}; {RESTART}",
        neighbour="binary of another architecture",
        touches="binary",
    ),
    Breakage(
        name="binary of another architecture",
        cause="binary_unusable",
        says="architecture",
        # byte 18 of an ELF file names the machine; this one is AArch64's
        make=f"{STOP}; printf '\\xb7' | dd of={BINARY} bs=1 seek=18 conv=notrunc 2> /dev/null; {RESTART}",
        neighbour="binary removed",
        touches="binary",
    ),
    Breakage(
        name="binary not executable",
        cause="binary_not_executable",
        says="chmod",
        make=f"chmod 644 {BINARY}; {RESTART}",
        neighbour="binary removed",
        touches="binary",
    ),
    Breakage(
        name="configuration removed",
        cause="configuration_missing",
        says=CONFIG,
        make=f"rm {CONFIG}; {RESTART}",
        neighbour="configuration of root alone",
        touches="configuration",
    ),
    Breakage(
        name="configuration of root alone",
        cause="path_forbidden",
        says=CONFIG,
        make=f"chown root:root {CONFIG}; chmod 600 {CONFIG}; {RESTART}",
        neighbour="configuration removed",
        touches="configuration",
    ),
    Breakage(
        name="unknown option",
        cause="configuration_invalid",
        says="max_conections",
        make=f"{append('max_conections: 5')}; {RESTART}",
        neighbour="lame duck longer than its duration",
        touches="configuration",
        sample=True,
    ),
    Breakage(
        name="block not closed",
        cause="configuration_invalid",
        says=CONFIG,
        make=f"{append('cluster {')}; {RESTART}",
        neighbour="certificate missing",
        touches="configuration",
    ),
    Breakage(
        name="lame duck longer than its duration",
        cause="configuration_refused",
        says="lame duck",
        make=f'{append("""lame_duck_duration: "30s"; lame_duck_grace_period: "40s" """)}; {RESTART}',
        neighbour="unknown option",
        touches="configuration",
    ),
    Breakage(
        name="certificate missing",
        cause="path_missing",
        says="tls.cert_file",
        make=f'{append("""tls { cert_file: "/etc/nats/server.pem", key_file: "/etc/nats/server.key" }""")}; {RESTART}',
        neighbour="unknown option",
        touches="configuration",
    ),
    Breakage(
        name="key of another certificate",
        cause="key_mismatch",
        says="The private key is not that of the certificate of CN=localhost",
        make=f"({CERTIFICATES.format(name='localhost', days=9)}\n{ANOTHER_KEY}); {RESTART}",
        neighbour="certificate missing",
        touches="configuration",
    ),
    Breakage(
        name="certificate that was renewed and not read",
        cause="certificate_not_read",
        says="systemctl reload nats",
        make=f"({CERTIFICATES.format(name='localhost', days=9)}); {TRUST}; {RESTART}; systemctl restart {ground.BOT}; "
        f"({RENEWAL}); sleep 2",
        neighbour="key of another certificate",
        touches="service",
        hides=False,
        sample=True,
    ),
    Breakage(
        name="address of another host",
        cause="address_absent",
        says="192.0.2.7",
        make=f"sed -i 's/^host: .*/host: 192.0.2.7/' {CONFIG}; {RESTART}",
        neighbour="port taken",
        touches="configuration",
    ),
    Breakage(
        name="log where the unit forbids it",
        cause="unit_forbids",
        says="ReadWritePaths=/srv/nats",
        make="install -d -o nats -g nats /srv/nats; "
        f"sed -i 's,^log_file: .*,log_file: /srv/nats/nats.log,' {CONFIG}; {RESTART}",
        mend="rm -r /srv/nats",
        neighbour="log directory of root",
        touches="configuration",
    ),
    Breakage(
        name="port taken",
        cause="port_taken",
        says="4222 is taken: python3",
        make=f"{STOP}; {BACKGROUND}port python3 -m http.server --bind 127.0.0.1 4222; sleep 0.5; {RESTART}",
        neighbour="address of another host",
        touches="port",
    ),
    Breakage(
        name="monitoring port taken",
        cause="port_taken",
        says="8222 is taken: python3",
        make=f"{STOP}; {BACKGROUND}port python3 -m http.server --bind 127.0.0.1 8222; sleep 0.5; {RESTART}",
        neighbour="log directory removed",
        touches="port",
    ),
    Breakage(
        name="a second server by hand",
        cause="port_taken",
        says="nats-server",
        make=f"{STOP}; {BACKGROUND}second /usr/local/bin/nats-server -c {CONFIG}; sleep 0.5; {RESTART}",
        neighbour="store of root",
        touches="port",
    ),
    Breakage(
        name="log directory removed",
        cause="path_missing",
        says=LOGS,
        make=f"{STOP}; mv {LOGS} /root/; {RESTART}",
        mend=f"rmdir {LOGS}; mv /root/nats {LOGS}",
        neighbour="log directory of root",
        touches="log",
    ),
    Breakage(
        name="log directory of root",
        cause="path_forbidden",
        says="log_file",
        make=f"chown root:root {LOGS}; chmod 700 {LOGS}; {RESTART}",
        neighbour="log directory removed",
        touches="log",
    ),
    Breakage(
        name="a directory above the log is closed",
        cause="path_forbidden",
        says="/var/log is",
        make=f"chmod 700 /var/log; {RESTART}",
        neighbour="disk of the log full",
        touches="log",
    ),
    Breakage(
        name="disk of the log full",
        cause="disk_full",
        says="log_file",
        make=f"{STOP}; {small_disk(LOGS, 'size=4m')}; {FILL.format(LOGS)}; {RESTART}",
        neighbour="a directory above the log is closed",
        touches="log",
        hides=False,
    ),
    Breakage(
        name="store of root",
        cause="path_forbidden",
        says="jetstream.store_dir",
        make=f"chown -R root:root {STORE}; {RESTART}",
        neighbour="store read-only",
        touches="store",
    ),
    Breakage(
        name="store read-only",
        cause="path_read_only",
        says="jetstream.store_dir",
        make=f"{STOP}; {small_disk(DATA, 'size=4m')}; mount -o remount,ro {DATA}; {RESTART}",
        neighbour="store of root",
        touches="store",
    ),
    Breakage(
        name="disk of the store full",
        cause="disk_full",
        says="jetstream.store_dir",
        make=f"{STOP}; {small_disk(DATA, 'size=1m')}; {FILL.format(DATA)}; {RESTART}",
        neighbour="store read-only",
        touches="store",
        hides=False,
        sample=True,
    ),
    Breakage(
        name="no inodes left for the store",
        cause="disk_full",
        says="inodes",
        make=f"{STOP}; {small_disk(DATA, 'size=1m,nr_inodes=40')}; "
        f"for each in $(seq 40); do : > {DATA}/fill.$each; done 2> /dev/null; {RESTART}",
        neighbour="store is a file",
        touches="store",
    ),
    Breakage(
        name="store is a file",
        cause="store_damaged",
        says=STORE,
        make=f"{STOP}; rm -r {STORE}; install -o nats -g nats /dev/null {STORE}; {RESTART}",
        neighbour="disk of the store full",
        touches="store",
    ),
    Breakage(
        name="stream damaged",
        cause="store_damaged",
        says="HISTORY",
        make=f"{STREAM}{STOP}; echo '{{' > $(find {STORE} -path '*HISTORY/meta.inf'); {RESTART}",
        neighbour="store of root",
        touches="store",
        hides=False,
    ),
    Breakage(
        name="stream deleted by hand",
        cause="streams_gone",
        says=f"stream {ground.STREAM}: with 1 message",
        make=DELETE,
        neighbour="stream hidden by a lower limit",
        # only a server that runs can lose it, so that it goes with nothing else
        touches="service",
        hides=False,
        sample=True,
    ),
    Breakage(
        name="stream hidden by a lower limit",
        cause="streams_hidden",
        says=f'Error recreating stream "{ground.STREAM}"',
        make=f"sed -i 's/max_file: .*/max_file: 4096/' {CONFIG}; {RESTART}",
        neighbour="stream deleted by hand",
        touches="service",
        hides=False,
    ),
    Breakage(
        name="too little memory",
        cause="memory_short",
        says="LimitAS",
        make=f"{drop_in('LimitAS=60M')}; {RESTART}",
        neighbour="killed",
        touches="unit",
    ),
]
