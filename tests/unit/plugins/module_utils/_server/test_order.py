# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.rosey.nats.plugins.module_utils._server import conf
from ansible_collections.rosey.nats.plugins.module_utils._server.options import order, table


def test_each_option_has_one_place() -> None:
    placed = [name for names in order.SECTIONS.values() for name in names]
    assert sorted(placed) == sorted(option.name for option in table.OPTIONS if option.block == "top")


def test_a_configuration_is_written_in_the_order_of_the_guide() -> None:
    config = {
        "jetstream": {"max_mem": "2G"},
        "ping_max": 2,
        "max_conn": 200,
        "LOGFILE": "/var/log/nats/nats-server.log",
        "http_port": 8222,
        "port": 4222,
        "authorization": {"token": "t"},
        "server_name": "rosey",
    }
    assert conf.render(config, header="Ansible managed") == (
        "# Ansible managed\n\n# Names\nserver_name: rosey\n\n# Listening\nport: 4222\nhttp_port: 8222\n\n# Logging\n"
        'LOGFILE: "/var/log/nats/nats-server.log"\n\n# Limits\nmax_conn: 200\n\n# Time-outs\nping_max: 2\n\n'
        '# JetStream\njetstream {\n  max_mem: 2G\n}\n\n# Security\nauthorization {\n  token: "t"\n}\n'
    )


def test_where_a_file_is_included_the_order_counts() -> None:
    config = {"port": 4222, "$include": "site.conf", "server_name": "rosey"}
    assert conf.render(config) == 'port: 4222\ninclude "site.conf"\nserver_name: rosey\n'


def test_where_a_variable_is_named_the_order_counts() -> None:
    config = {"port": 4222, "cluster": {"routes": [{"$variable": "ROUTE"}]}, "server_name": "rosey"}
    assert [*order.arranged(config)] == [("", config)]


def test_what_the_server_does_not_know_comes_first() -> None:
    assert [*order.arranged({"port": 1, "mine": 2})] == [("", {"mine": 2}), ("Listening", {"port": 1})]
