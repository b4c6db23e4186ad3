# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order a configuration is written, for those who read it. To the server it is all the same."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping

from ansible_collections.rosey.nats.plugins.module_utils._server.options import model, reading

# A heading, and the options under it: the guide's order first.
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Names": ("server_name", "server_tags"),
    "Listening": (
        "listen",
        "host",
        "port",
        "client_advertise",
        "http",
        "http_port",
        "https",
        "https_port",
        "http_base_path",
        "prof_port",
        "prof_block_rate",
    ),
    "Logging": (
        "log_file",
        "log_size_limit",
        "log_max_num",
        "syslog",
        "remote_syslog",
        "debug",
        "trace",
        "trace_verbose",
        "logtime",
        "logtime_utc",
        "max_traced_msg_len",
        "connect_error_reports",
        "reconnect_error_reports",
        "pid_file",
        "ports_file_dir",
    ),
    "Limits": (
        "max_connections",
        "max_control_line",
        "max_payload",
        "max_pending",
        "max_subscriptions",
        "max_sub_tokens",
        "disable_sublist_cache",
        "no_header_support",
    ),
    "Time-outs": ("ping_interval", "ping_max", "write_deadline", "lame_duck_duration", "lame_duck_grace_period"),
    "JetStream": ("jetstream", "store_dir", "default_js_domain"),
    "Security": (
        "tls",
        "allow_non_tls",
        "ocsp",
        "ocsp_cache",
        "authorization",
        "no_auth_user",
        "accounts",
        "system_account",
        "no_system_account",
        "operator",
        "trusted_keys",
        "resolver",
        "resolver_tls",
        "resolver_preload",
        "resolver_pinned_accounts",
    ),
    "Subjects": ("mappings",),
    "Other servers": ("cluster", "gateway", "leafnodes"),
    "Other protocols": ("websocket", "mqtt"),
}
_PLACES = {name: (section, place) for section, names in SECTIONS.items() for place, name in enumerate(names)}
_HEADINGS = tuple(SECTIONS)
# More than any configuration that can be written.
_DEEPEST = 200


def arranged(config: Mapping[str, t.Any]) -> Iterator[tuple[str, dict[str, t.Any]]]:
    """Give the settings section by section, each with its heading; as they are, without one, where their order counts.

    What an included file sets counts by where it stands, and a reference finds only what stands before it.
    """
    if model.INCLUDE in config or _has_reference(config):
        yield "", dict(config)
        return
    found: dict[str, list[tuple[int, str]]] = {}
    for name in config:
        row = reading.row_of("top", name)
        section, place = _PLACES[row.name] if row else ("", 0)
        found.setdefault(section, []).append((place, name))
    for section in ("", *_HEADINGS):
        names = [name for _place, name in sorted(found.get(section, ()), key=lambda each: each[0])]
        if names:
            yield section, {name: config[name] for name in names}


def _has_reference(value: t.Any, depth: int = 0) -> bool:
    """Tell whether a variable is named anywhere, which may be the name of an option as well.

    What is nested too deep to be written is let be as it is; whoever writes it says so.
    """
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    if depth > _DEEPEST or (isinstance(value, Mapping) and model.VARIABLE in value):
        return True
    return any(_has_reference(each, depth + 1) for each in inner)
