#!/bin/sh
# (b) The guide's steps as a plain script, run on the host: $1 is the archive's URL.
set -eu
directory=$(mktemp -d)
cd "$directory"
python3 -c 'import sys, urllib.request; urllib.request.urlretrieve(sys.argv[1], "archive.tar.gz")' "$1"
tar -xzf archive.tar.gz
mv nats-server-*/nats-server /usr/local/bin/
id nats >/dev/null 2>&1 || useradd --system --shell /usr/sbin/nologin nats
mkdir -p /etc/nats /var/log/nats /var/lib/nats
chown -R nats:nats /var/log/nats /var/lib/nats
cat >/etc/nats/nats-server.conf <<'CONF'
server_name: rosey_nats_prod
host: 127.0.0.1
port: 4222
http_port: 8222
log_file: "/var/log/nats/nats-server.log"
max_connections: 200
max_control_line: 4096
max_payload: 1048576
ping_interval: "2m"
ping_max: 2
jetstream {
    store_dir: "/var/lib/nats"
    max_mem: 2G
    max_file: 20G
}
CONF
cat >/etc/systemd/system/nats.service <<'UNIT'
[Unit]
Description=NATS server
[Service]
User=nats
ExecStart=/usr/local/bin/nats-server -c /etc/nats/nats-server.conf
ExecReload=/usr/local/bin/nats-server --signal reload=${MAINPID}
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable nats
systemctl restart nats
nats-server --version
systemctl is-active nats
rm -rf "$directory"
