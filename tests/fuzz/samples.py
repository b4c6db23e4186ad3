# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts hold when nothing is wrong. nats-server 2.10.7 gave the answers, wrote the store and the log."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.rosey.nats.plugins.module_utils._bot import bot_expectation
from ansible_collections.rosey.nats.plugins.module_utils._data import assets

# The configuration of one stream, as the server shows and keeps it.
CHAT: dict[str, Any] = {
    "name": "CHAT",
    "subjects": ["rosey.prod.chat.*"],
    "retention": "limits",
    "max_consumers": -1,
    "max_msgs": 100,
    "max_bytes": -1,
    "max_age": 0,
    "max_msgs_per_subject": -1,
    "max_msg_size": -1,
    "discard": "old",
    "storage": "file",
    "num_replicas": 1,
    "duplicate_window": 120000000000,
    "compression": "none",
    "allow_direct": False,
    "mirror_direct": False,
    "sealed": False,
    "deny_delete": False,
    "deny_purge": False,
    "allow_rollup_hdrs": False,
    "consumer_limits": {},
}
ANSWERS: dict[str, dict[str, Any]] = {
    "varz": {
        "server_id": "NC34J2KTXODTQQE7EREWJHENDNILZZPV5DFWUEMZ4DB4QMKSZVKVSWM6",
        "server_name": "rosey_nats_prod",
        "version": "2.10.7",
        "proto": 1,
        "go": "go1.26.8",
        "host": "127.0.0.1",
        "port": 4222,
        "max_connections": 50,
        "ping_interval": 120000000000,
        "ping_max": 2,
        "http_host": "127.0.0.1",
        "http_port": 8222,
        "http_base_path": "",
        "https_port": 0,
        "auth_timeout": 2,
        "max_control_line": 4096,
        "max_payload": 1048576,
        "max_pending": 67108864,
        "cluster": {},
        "gateway": {},
        "leaf": {},
        "mqtt": {},
        "websocket": {},
        "jetstream": {
            "config": {
                "max_memory": 64000000,
                "max_storage": 256000000,
                "store_dir": "/var/lib/nats/jetstream",
                "sync_interval": 120000000000,
                "compress_ok": True,
            },
            "stats": {
                "memory": 0,
                "storage": 216,
                "reserved_memory": 0,
                "reserved_storage": 0,
                "accounts": 1,
                "ha_assets": 0,
                "api": {"total": 5, "errors": 1},
            },
        },
        "tls_timeout": 2,
        "write_deadline": 10000000000,
        "start": "2026-11-29T14:13:59.235035535Z",
        "now": "2026-11-29T14:14:00.760782516Z",
        "uptime": "1s",
        "mem": 15212544,
        "cores": 2,
        "gomaxprocs": 2,
        "cpu": 1,
        "connections": 1,
        "total_connections": 1,
        "routes": 0,
        "remotes": 0,
        "leafnodes": 0,
        "in_msgs": 12,
        "out_msgs": 11,
        "in_bytes": 680,
        "out_bytes": 1790,
        "slow_consumers": 0,
        "subscriptions": 65,
        "http_req_stats": {"/varz": 1},
        "config_load_time": "2026-11-29T14:13:59.235035535Z",
        "system_account": "$SYS",
        "slow_consumer_stats": {"clients": 0, "routes": 0, "gateways": 0, "leafs": 0},
    },
    "connz": {
        "server_id": "NC34J2KTXODTQQE7EREWJHENDNILZZPV5DFWUEMZ4DB4QMKSZVKVSWM6",
        "now": "2026-11-29T14:14:00.762002056Z",
        "num_connections": 1,
        "total": 1,
        "offset": 0,
        "limit": 1024,
        "connections": [
            {
                "cid": 5,
                "kind": "Client",
                "type": "nats",
                "ip": "127.0.0.1",
                "port": 41640,
                "start": "2026-11-29T14:14:00.418394245Z",
                "last_activity": "2026-11-29T14:14:00.458333493Z",
                "rtt": "999µs",
                "uptime": "0s",
                "idle": "0s",
                "pending_bytes": 0,
                "in_msgs": 12,
                "out_msgs": 11,
                "in_bytes": 680,
                "out_bytes": 1790,
                "subscriptions": 3,
                "name": "rosey-bot-prod",
                "lang": "python3",
                "version": "2.16.0",
                "subscriptions_list": ["rosey.prod.commands.quote"],
            }
        ],
    },
    "subsz": {
        "server_id": "NC34J2KTXODTQQE7EREWJHENDNILZZPV5DFWUEMZ4DB4QMKSZVKVSWM6",
        "now": "2026-11-29T14:14:00.762836175Z",
        "num_subscriptions": 65,
        "num_cache": 37,
        "num_inserts": 65,
        "num_removes": 0,
        "num_matches": 47,
        "cache_hit_rate": 0.2127659574468085,
        "max_fanout": 2,
        "avg_fanout": 0.918918918918919,
        "total": 65,
        "offset": 0,
        "limit": 1024,
        "subscriptions_list": [
            {"account": "$SYS", "subject": "$JS.API.ACCOUNT.PURGE.*", "sid": "52", "msgs": 0, "cid": 1},
            {"account": "$SYS", "subject": "$JS.API.>", "sid": "51", "msgs": 5, "cid": 1},
        ],
    },
    "routez": {
        "server_id": "NC34J2KTXODTQQE7EREWJHENDNILZZPV5DFWUEMZ4DB4QMKSZVKVSWM6",
        "server_name": "rosey_nats_prod",
        "now": "2026-11-29T14:14:00.763537596Z",
        "num_routes": 1,
        "routes": [
            {
                "rid": 5,
                "remote_id": "NB",
                "remote_name": "b",
                "did_solicit": True,
                "is_configured": True,
                "ip": "127.0.0.1",
                "port": 6222,
                "subscriptions_list": ["a.b"],
            }
        ],
    },
    "leafz": {
        "server_id": "NC34J2KTXODTQQE7EREWJHENDNILZZPV5DFWUEMZ4DB4QMKSZVKVSWM6",
        "now": "2026-11-29T14:14:00.764112169Z",
        "leafnodes": 0,
        "leafs": None,
    },
    "gatewayz": {
        "server_id": "NC34J2KTXODTQQE7EREWJHENDNILZZPV5DFWUEMZ4DB4QMKSZVKVSWM6",
        "now": "2026-11-29T14:14:00.764612132Z",
        "outbound_gateways": {},
        "inbound_gateways": {},
    },
    "jsz": {
        "server_id": "NC34J2KTXODTQQE7EREWJHENDNILZZPV5DFWUEMZ4DB4QMKSZVKVSWM6",
        "now": "2026-11-29T14:14:00.765238461Z",
        "config": {
            "max_memory": 64000000,
            "max_storage": 256000000,
            "store_dir": "/var/lib/nats/jetstream",
            "sync_interval": 120000000000,
            "compress_ok": True,
        },
        "memory": 0,
        "storage": 216,
        "reserved_memory": 0,
        "reserved_storage": 0,
        "accounts": 1,
        "ha_assets": 0,
        "api": {"total": 5, "errors": 1},
        "streams": 1,
        "consumers": 1,
        "messages": 4,
        "bytes": 216,
        "account_details": [
            {
                "name": "$G",
                "id": "$G",
                "memory": 0,
                "storage": 216,
                "reserved_memory": 18446744073709551615,
                "reserved_storage": 18446744073709551615,
                "accounts": 0,
                "ha_assets": 0,
                "api": {"total": 5, "errors": 1},
                "stream_detail": [
                    {
                        "name": "CHAT",
                        "created": "2026-11-29T14:14:00.423171067Z",
                        "cluster": {
                            "name": "c",
                            "raft_group": "S-R3F-9WWqIjNS",
                            "leader": "rosey_nats_prod",
                            "replicas": [
                                {"name": "b", "current": True, "active": 1549296, "peer": "y"},
                                {"name": "c", "current": False, "active": 0, "lag": 201, "peer": "z"},
                            ],
                        },
                        "config": {**CHAT, "num_replicas": 3},
                        "state": {
                            "messages": 4,
                            "bytes": 216,
                            "first_seq": 1,
                            "first_ts": "2026-11-29T14:14:00.445304629Z",
                            "last_seq": 5,
                            "last_ts": "2026-11-29T14:14:00.446758598Z",
                            "num_subjects": 1,
                            "num_deleted": 1,
                            "consumer_count": 1,
                        },
                        "consumer_detail": [
                            {
                                "stream_name": "CHAT",
                                "name": "quotes",
                                "created": "2026-11-29T14:14:00.450239786Z",
                                "config": {
                                    "durable_name": "quotes",
                                    "name": "quotes",
                                    "deliver_policy": "all",
                                    "ack_policy": "explicit",
                                    "ack_wait": 30000000000,
                                    "max_deliver": -1,
                                    "filter_subject": "rosey.prod.chat.*",
                                    "replay_policy": "instant",
                                    "max_waiting": 512,
                                    "max_ack_pending": 1000,
                                    "num_replicas": 0,
                                },
                                "delivered": {
                                    "consumer_seq": 1,
                                    "stream_seq": 1,
                                    "last_active": "2026-11-29T14:14:00.456563164Z",
                                },
                                "ack_floor": {
                                    "consumer_seq": 1,
                                    "stream_seq": 1,
                                    "last_active": "2026-11-29T14:14:00.458339251Z",
                                },
                                "num_ack_pending": 0,
                                "num_redelivered": 0,
                                "num_waiting": 0,
                                "num_pending": 3,
                                "ts": "2026-11-29T14:14:00.76527102Z",
                            }
                        ],
                    }
                ],
            }
        ],
        "meta_cluster": {
            "name": "c",
            "leader": "rosey_nats_prod",
            "peer": "x",
            "cluster_size": 3,
            "replicas": [
                {"name": "b", "current": True, "offline": False, "active": 1000, "peer": "y"},
                {"name": "c", "current": False, "offline": True, "active": 1},
            ],
        },
    },
    "healthz": {
        "status": "unavailable",
        "errors": [{"type": "JETSTREAM", "error": "JetStream has not established contact with a meta leader"}],
    },
    "accountz": {
        "server_id": "NC34J2KTXODTQQE7EREWJHENDNILZZPV5DFWUEMZ4DB4QMKSZVKVSWM6",
        "now": "2026-11-29T14:14:00.766640233Z",
        "system_account": "$SYS",
        "accounts": ["$SYS", "$G"],
        "account_detail": {"account_name": "$G", "expired": False, "jetstream_enabled": True},
    },
}
SERVER_ID: str = ANSWERS["varz"]["server_id"]
VARZ = ANSWERS["varz"]

# The files of one stream, by their paths in its directory.
STORE: dict[str, bytes] = {
    "meta.inf": json.dumps(
        {
            "Created": "2026-11-29T14:14:00.423171067Z",
            **CHAT,
        },
        separators=(",", ":"),
    ).encode(),
    "msgs/1.blk": bytes.fromhex(
        "360000000100000000000000355ff8b89889ec181100726f7365792e70726f642e636861742e6168656c6c6f2030b2c9"
        "c87289090a88360000000200000000000000edbb00b99889ec181100726f7365792e70726f642e636861742e6168656c"
        "6c6f2031e45d46910027200f360000000300000000000080000000000000000000001bd6713b35c5c4a4aecc9f874787"
        "35bfdc6afc97836ea58b3bba608e67520f84360000000400000000000000f8060bb99889ec181100726f7365792e7072"
        "6f642e636861742e6168656c6c6f203322d4a7533e472f26360000000500000000000000c68e0eb99889ec181100726f"
        "7365792e70726f642e636861742e6168656c6c6f2034a57d6b5b8cc80aa51e00000003000000000000404dbc05b99889"
        "ec180000948b649092e73439"
    ),
    "msgs/index.db": bytes.fromhex(
        "0b0104d80101eafcc28f97e6c4ec31058cbbf49097e6c4ec310111726f7365792e70726f642e636861742e6104010101"
        "01d801010005a2beb1010116020100000001000000000000000000000008000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000010001"
        "948b649092e734390341998efe3d60ef"
    ),
    "obs/quotes/meta.inf": json.dumps(
        {
            "Created": "2026-11-29T14:14:00.451422993Z",
            "Name": "quotes",
            "durable_name": "quotes",
            "name": "quotes",
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": 30000000000,
            "max_deliver": -1,
            "filter_subject": "rosey.prod.chat.*",
            "replay_policy": "instant",
            "max_waiting": 512,
            "max_ack_pending": 1000,
            "num_replicas": 0,
        },
        separators=(",", ":"),
    ).encode(),
    "obs/quotes/o.dat": bytes.fromhex("1602010101010000"),
}

LOG = (
    b"[18030] 2026/11/29 14:13:59.238577 [INF] Starting nats-server\n"
    b"[18030] 2026/11/29 14:13:59.238785 [INF]   Version:  2.10.7\n"
    b"[18030] 2026/11/29 14:13:59.238788 [INF]   Git:      [not set]\n"
    b"[18030] 2026/11/29 14:13:59.238791 [INF]   Name:     fuzz\n"
    b"[18030] 2026/11/29 14:13:59.238794 [INF]   Node:     N9Bot9g4\n"
    b"[18030] 2026/11/29 14:13:59.238795 [INF]   ID:       NC34J2KTXODTQQE7EREWJHENDNILZZPV5DFWUEMZ4DB4QMKSZVKVSWM6\n"
    b"[18030] 2026/11/29 14:13:59.238801 [INF] Using configuration file: js.conf\n"
    b"[18030] 2026/11/29 14:13:59.239422 [INF] Starting http monitor on 127.0.0.1:21832\n"
    b"[18030] 2026/11/29 14:13:59.239497 [INF] Starting JetStream\n"
    b"[18030] 2026/11/29 14:13:59.241973 [INF] \n"
    b"[18030] 2026/11/29 14:13:59.241975 [INF]          https://docs.nats.io/jetstream\n"
    b"[18030] 2026/11/29 14:13:59.241976 [INF] \n"
    b"[18030] 2026/11/29 14:13:59.241978 [INF] ---------------- JETSTREAM ----------------\n"
    b"[18030] 2026/11/29 14:13:59.241984 [INF]   Max Memory:      61.04 MB\n"
    b"[18030] 2026/11/29 14:13:59.241986 [INF]   Max Storage:     244.14 MB\n"
    b'[18030] 2026/11/29 14:13:59.241988 [INF]   Store Directory: "/var/lib/nats/jetstream"\n'
    b"[18030] 2026/11/29 14:13:59.241989 [INF] -------------------------------------------\n"
    b"[18030] 2026/11/29 14:13:59.246399 [INF] Listening for client connections on 127.0.0.1:21432\n"
    b"[18030] 2026/11/29 14:13:59.246436 [INF] Server is ready\n"
    b"[18030] 2026/11/29 14:14:01.093888 [INF] Initiating Shutdown...\n"
    b"[18030] 2026/11/29 14:14:01.093923 [INF] Initiating JetStream Shutdown...\n"
    b"[18030] 2026/11/29 14:14:01.095595 [INF] JetStream Shutdown\n"
    b"[18030] 2026/11/29 14:14:01.095732 [INF] Server Exiting..\n"
    b"[18030] 2026/11/29 14:14:00.000001 [INF]   Restored 4 messages for stream '$G > CHAT' in 1ms\n"
    b"[18030] 2026/11/29 14:14:00.000002 [INF] Reloaded: max_connections = 51\n"
    b"[18030] 2026/11/29 14:14:00.000003 [INF] Reloaded server configuration\n"
    b"[18030] 2026/11/29 14:14:00.000004 [ERR] Failed to reload server configuration: no reload of Port: old=1, new=2\n"
    b"[18030] 2026/11/29 14:14:00.000005 [FTL] Error listening on port: x\n"
)

CONFIG: dict[str, Any] = {
    "server_name": "rosey_nats_prod",
    "host": "127.0.0.1",
    "port": 4222,
    "http_port": 8222,
    "max_connections": 200,
    "max_payload": "1MB",
    "ping_interval": "2m",
    "log_file": "/var/log/nats/nats-server.log",
    "pid_file": "/run/nats/nats-server.pid",
    "lame_duck_duration": "30s",
    "jetstream": {"store_dir": "/var/lib/nats", "max_mem": "2G", "max_file": "20G"},
    "authorization": {"users": [{"user": "rosey", "password": "hidden", "permissions": {"publish": ["rosey.>"]}}]},
}
WIDE_CONFIG: dict[str, Any] = {
    "listen": "127.0.0.1:4222",
    "http": "127.0.0.1:8222",
    "http_base_path": "/nats",
    "server_tags": ["a", "b"],
    "cluster": {
        "name": "c",
        "listen": "0.0.0.0:6222",
        "routes": ["nats://a:6222", "nats://rosey:hidden@b:6222"],
        "compression": {"mode": "s2_auto", "rtt_thresholds": ["10ms", "50ms"]},
    },
    "leafnodes": {"port": 7422, "remotes": [{"url": "nats://c:7422", "account": "APP"}]},
    "gateway": {"name": "g", "port": 7222, "gateways": [{"name": "h", "urls": ["nats://h:7222"]}]},
    "websocket": {"port": 8443, "no_tls": True},
    "mqtt": {"port": 1883, "tls": {"cert_file": "/etc/nats/c.pem", "key_file": "/etc/nats/k.pem"}},
    "accounts": {
        "APP": {
            "users": [{"user": "a", "password": "hidden"}],
            "jetstream": {"max_mem": "1G", "max_file": "1G"},
            "exports": [{"stream": "events.>"}, {"service": "ask.*", "response_type": "single"}],
            "mappings": {"a.*": [{"destination": "b.$1", "weight": "50%"}]},
        },
        "OTHER": {
            "users": [{"user": "b", "password": "hidden"}],
            "imports": [{"stream": {"account": "APP", "subject": "events.a"}}],
        },
    },
    "jetstream": "enabled",
    "system_account": "OTHER",
    "authorization": {"timeout": 2},
}
CONFIGURATIONS = (
    """# managed
server_name: rosey_nats_prod
host: "127.0.0.1"
port: 4222
http_port: 8222
max_payload: 1MB
ping_interval: "2m"
log_file: "/var/log/nats/nats-server.log"
jetstream {
  store_dir: "/var/lib/nats"
  max_mem: 2G
  max_file: 20G
}
authorization {
  users: [
    { user: rosey, password: "$2a$11$hidden", permissions: { publish: ["rosey.prod.>"], subscribe: ">" } }
  ]
}
""",
    """NAME = "c"
listen: 127.0.0.1:4222
cluster { name: $NAME, port: 6222, routes: [nats://a:6222, nats://b:6222] }
accounts { APP { users: [{user: a, password: b}], jetstream: enabled } }
tls { cert_file: '/etc/nats/c.pem', key_file: '/etc/nats/k.pem', verify: true, timeout: 2.5 }
include 'more.conf'
debug: false; trace: off
mappings { a.*: [{ destination: b.$1, weight: 50% }] }
text: (
  several lines
)
""",
)

_LIMITS = [assets.LIMITS, 0, -1, -1, -1, False, -1, 0, 0, False]
_CHAT = ["2026-11-26T13:00:35Z", assets.FILE, 1, 4, 216, 1, 5, False, 1, None, _LIMITS]
TABLE: dict[str, Any] = {
    "accounts": {
        "$G": {
            "CHAT": [*_CHAT, [["quotes", "2026-11-26T13:00:35Z", 1, False, False, 0, 0]]],
            "EVENTS": [None, assets.MEMORY, 3, None, None, None, None, True, None, "2026-11-26T13:00:35Z", None, []],
        },
    },
    "api_calls": {"$G": 5},
}
ASSETS = assets.from_table(TABLE)
CHECKPOINT: dict[str, Any] = {
    "observed": TABLE,
    "before": TABLE,
    "after": TABLE,
    "doing": "restart",
    "log_size": 100,
    "settled": True,
    "stops": 1,
    "restored": [["$G", "CHAT", 4]],
}
RELEASE = "20261126T130035Z-68d308"
RECORD: dict[str, Any] = {
    "id": RELEASE,
    "time": "2026-11-26T13:00:35Z",
    "controller": "here-1",
    "parts": {
        "server": {
            "settings": {"version": "2.10.7", "service": "nats"},
            "entries": [
                {"path": "/etc/nats/nats-server.conf", "state": "file", "content": "port: 4222", "mode": "0640"},
                {"path": "/var/lib/nats", "state": "directory", "owner": "nats", "recurse": True},
            ],
        },
    },
    "plan": ["start"],
    "gates": ["proven"],
    "previous": None,
}
LEASE: dict[str, Any] = {
    "holder": {
        "run": "0123456789ab",
        "controller": "here-1",
        "pid": 42,
        "started": "4242",
        "since": "2026-11-26T13:00:35Z",
        "expires": "2026-11-26T14:00:35Z",
        "sequence": 1,
    },
    "sequence": 1,
}
SEALED = (
    b'{"body":{"holder":null,"sequence":1},"format":1,"sha256":"0"}\n',
    b"20261126T130035Z-68d308\n",
)
FACTS: dict[str, Any] = {
    "format": 1,
    "path": "/var/lib/rosey-nats/stores/20261126T130035Z",
    "from_version": "2.10.7",
    "to_version": "2.11.4",
    "time": "2026-11-26T13:00:35Z",
    "files": 7,
    "bytes": 1234,
    "streams": [{"account": "$G", "name": "CHAT", "messages": 4, "bytes": 216, "first_seq": 1, "last_seq": 5}],
    "release": RELEASE,
    "held": TABLE,
}
VERIFIED = {"archive_sha256": "a" * 64, "binary_sha256": "b" * 64}
BOT_FILES = (
    b"""# the bot
channel: mychannel
nats:
  servers: [nats://localhost:4222]
  name: rosey-bot-prod
  user: rosey # comment
  max_outstanding_pings: 3
  'quoted': "text\\n"
plugins: &plugins
  - {name: quotes, enabled: true}
  - <<: {a: 1}
text: |
  several
  lines
other: *plugins
""",
    b"---\r\nnats: {servers: nats://localhost:4222}\r\nother: 2026-11-26\r\n...\r\n",
)
VARIABLES = b"""# secrets
export OTHER='a b'
NATS_USER="rosey"
NATS_PASSWORD=it\\'s\\ hidden
NATS_TOKEN=
"""
STAT = (
    "4242 (nats-server) S 1 4242 4242 0 -1 4194560 2211 0 0 0 5 3 0 0 20 0 9 0 123456 1268985856 3714 "
    "18446744073709551615 1 1 0 0 0 0 0 0 2143420159 0 0 0 17 1 0 0 0 0 0\n"
)
SOCKETS = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:107E 00000000:0000 0A 00000000:00000000 00:00000000 00000000   998        0 12345 1 0 100 0 0 10 0
   1: 00000000000000000000000001000000:201E 00000000000000000000000000000000:0000 0A 0:0 00:0 0 998 0 12346 1
"""
UNIT = """LoadState=loaded
UnitFileState=enabled
MainPID=4242
ActiveState=active
SubState=running
NRestarts=0
NeedDaemonReload=no
ExecMainStartTimestamp=@1764424839
"""
JOURNAL = '{"MESSAGE":"[FTL] no","SYSLOG_IDENTIFIER":"nats-server","_PID":"1","__REALTIME_TIMESTAMP":"1500000"}'
GREETING = 'INFO {"server_id":"NA","version":"2.10.7","port":4222,"max_payload":1048576}\r\n'
BOT_EXPECTATION = bot_expectation.Expectation(servers=(bot_expectation.place("nats://localhost:4222"),))

# What a store tells of three servers that were in a cluster.
PEERS = b"\x03\x00\x00\x00\x03\x00\x00\x0044jzkV9DBXScrY9ifjFyEjc1\x00\x00"
