# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server refuses of options that are sound by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.rosey.nats.plugins.module_utils._server import subjects, units
from ansible_collections.rosey.nats.plugins.module_utils._server.options import (
    account_conflicts,
    faults,
    formats,
    lookup,
    model,
    reading,
    table,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.options.lookup import Listener
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import (
    Config,
    Format,
    Path,
    Problem,
    Stage,
    Unit,
)


def _check_monitoring(config: Config) -> Iterator[Problem]:
    """server/server.go, StartMonitoring."""
    plain = [name for name in ("http_port", "http") if lookup.meaning_at(config, name)]
    secure = [name for name in ("https_port", "https") if lookup.meaning_at(config, name)]
    if plain and secure:
        fault = f"stands beside {plain[0]}"
        yield model.start_problem(
            (secure[0],), config[secure[0]], fault, "one monitoring port", f"remove {plain[0]} or it"
        )


def _check_lame_duck(config: Config) -> Iterator[Problem]:
    """server/server.go, validateOptions; server/const.go: 10 seconds are the default of the grace period."""
    duration = lookup.lame_duck_duration(config)
    grace = lookup.meaning_at(config, "lame_duck_grace_period", default=10 * model.SECOND)
    if grace >= duration:
        yield model.start_problem(
            ("lame_duck_grace_period",),
            lookup.value_at(config, "lame_duck_grace_period"),
            "is not shorter than lame_duck_duration",
            f"less than {units.duration_text(duration)}",
            "shorten it or lengthen lame_duck_duration",
        )


def _check_max_pending(config: Config) -> Iterator[Problem]:
    """server/server.go, validateOptions; server/const.go: 1 MiB and 64 MiB are the defaults."""
    pending = lookup.meaning_at(config, "max_pending", default=64 << 20)
    if lookup.meaning_at(config, "max_payload", default=1 << 20) > pending:
        yield model.start_problem(
            ("max_payload",),
            lookup.value_at(config, "max_payload"),
            "is more than max_pending",
            f"at most {pending} bytes",
            "lower it or raise max_pending",
        )


def _check_listeners(config: Config) -> Iterator[Problem]:
    """net.Listen: nobody can listen twice on one address. Ports that the server picks are free ones."""
    taken: list[Listener] = []
    for each in lookup.listeners(config):
        if (
            faults.faults((table.PORT,), each.port)
            or model.is_reference(each.port)
            or each.port < 0
            or not isinstance(each.host, str)
        ):
            continue
        for other in taken:
            if each.port == other.port and lookup.is_one_address(each.host, other.host):
                fault = f"is listened on for {other.purpose} ({other.option}) already"
                path = tuple(each.option.split("."))
                yield model.start_problem(path, each.port, fault, "a port of its own", "choose another one")
                break
        taken.append(each)


def _check_clustered_jetstream(config: Config) -> Iterator[Problem]:
    """server/jetstream.go, validateJetStreamOptions; server/jetstream_cluster.go, enableJetStreamClustering."""
    peers = [block for block in ("cluster", "gateway") if lookup.port_of(config, block)]
    if not lookup.jetstream_is_on(config) or not peers:
        return
    if "cluster" in peers:
        for path in (("server_name",), ("cluster", "name")):
            if lookup.is_unset(config, *path) and not (
                path[0] == "cluster" and lookup.text_at(config, "gateway", "name")
            ):
                yield model.start_problem(path, None, "is missing", "a name: JetStream in a cluster needs it", "set it")
        if lookup.meaning_at(config, "jetstream", "max_outstanding_catchup") < 0:
            path = ("jetstream", "max_outstanding_catchup")
            yield model.start_problem(
                path, lookup.value_at(config, *path), "is negative", "a positive size", "write it without the sign"
            )
    if lookup.is_unset(config, "cluster", "routes") and not _extends_a_domain(config):
        expected = "the other servers: JetStream in a cluster needs them"
        yield model.start_problem(("cluster", "routes"), None, "is missing", expected, "set it, or set jetstream: null")


def _extends_a_domain(config: Config) -> bool:
    """Tell roughly what server/jetstream.go, canExtendOtherDomain, tells; references are given the benefit of doubt."""
    for _place, remote in lookup.named_blocks(config, "leafnodes", "remotes"):
        account = remote.get("account")
        if model.is_reference(account) or account == lookup.system_account(config):
            denied = lookup.value_at(remote, "deny_imports")
            subjects_denied = [denied] if isinstance(denied, str) else lookup.list_at(remote, "deny_imports")
            return not any(
                isinstance(subject, str) and subjects.is_valid(subject) and subjects.covers(subject, "$NRG.>")
                for subject in subjects_denied
            )
    return False


def _check_jetstream_accounts(config: Config) -> Iterator[Problem]:
    """server/server.go, Start; server/jetstream.go, EnableJetStream and sufficientResources."""
    if not lookup.jetstream_is_on(config):
        return
    accounts, system = lookup.accounts(config), lookup.system_account(config)
    wanted, remedy = "JetStream in other accounts alone", "remove it there"
    if lookup.jetstream_is_on(accounts.get(system, {})):
        of_system = ("accounts", system, "jetstream")
        yield model.start_problem(of_system, None, f"is on in {system}, the system account", wanted, remedy)
    if system == "$G" and not accounts:
        fault = "is the account that JetStream serves"
        yield model.start_problem(("system_account",), system, fault, "an account of its own", "add it to accounts")
    if lookup.port_of(config, "cluster") or lookup.port_of(config, "gateway") or _extends_a_domain(config):
        return
    for name in ("max_mem", "max_file"):
        reserved = sum(
            max(0, lookup.meaning_at(config, "accounts", account, "jetstream", name))
            for account, block in accounts.items()
            if lookup.jetstream_is_on(block)
        )
        # Without a size, or with one below zero, the machine's own counts.
        if (
            lookup.value_at(config, "jetstream", name) is not None
            and 0 <= lookup.meaning_at(config, "jetstream", name) < reserved
        ):
            fault = f"is less than the {reserved} bytes that accounts may take together"
            remedy = "raise it, or lower theirs"
            size = ("jetstream", name)
            yield model.start_problem(size, lookup.value_at(config, *size), fault, "as many bytes at least", remedy)


def _check_leafnodes(config: Config) -> Iterator[Problem]:
    """server/leafnode.go, validateLeafNode."""
    if not lookup.is_unset(config, "operator"):
        return
    known = {*lookup.accounts(config), "$G", ""}
    if not lookup.text_at(config, "system_account") and lookup.value_at(config, "no_system_account") is not True:
        known.add("$SYS")
    named: list[tuple[Path, str]] = [
        (("leafnodes", "authorization", "account"), lookup.text_at(config, "leafnodes", "authorization", "account"))
    ]
    for name, path in (("authorization", ("authorization", "users")), ("remotes", ("remotes",))):
        for place, block in lookup.named_blocks(config, "leafnodes", *path):
            prefix = ("leafnodes", *path) if name == "remotes" else ("leafnodes", "authorization", "users")
            named.append(((*prefix, place, "account"), lookup.text_at(block, "account")))
    for path_of_name, account in named:
        if account not in known:
            remedy = "add it to accounts"
            yield model.start_problem(path_of_name, account, "names no account", "the name of an account", remedy)
    if (
        lookup.port_of(config, "leafnodes")
        and lookup.text_at(config, "gateway", "name")
        and lookup.is_unset(config, "system_account")
    ):
        wanted = "an account: leaf nodes beside a gateway need it"
        yield model.start_problem(("system_account",), None, "is missing", wanted, "set it")


def _check_gateway(config: Config) -> Iterator[Problem]:
    """server/server.go, validateCluster."""
    gateway, cluster = lookup.text_at(config, "gateway", "name"), lookup.text_at(config, "cluster", "name")
    if gateway and cluster and gateway != cluster:
        remedy = "give both the same name"
        yield model.start_problem(("gateway", "name"), gateway, "differs from cluster.name", f'"{cluster}"', remedy)


def _check_remote_urls(config: Config) -> Iterator[Problem]:
    """server/leafnode.go, validateLeafNode."""
    for place, remote in lookup.named_blocks(config, "leafnodes", "remotes"):
        urls = [url.strip(model.SPACES).lower() for url in lookup.list_at(remote, "urls") if isinstance(url, str)]
        if len({url.startswith(("ws:", "wss:")) for url in urls}) > 1:
            path = ("leafnodes", "remotes", place, "urls")
            wanted = "all with ws:// or wss://, or none"
            yield model.start_problem(
                path, None, "mixes WebSocket with other connections", wanted, "make two remotes of it"
            )


def _check_cluster_accounts(config: Config) -> Iterator[Problem]:
    """server/server.go, validateCluster."""
    accounts = lookup.value_at(config, "cluster", "accounts")
    names = [accounts] if isinstance(accounts, str) else lookup.list_at(config, "cluster", "accounts")
    if names and lookup.meaning_at(config, "cluster", "pool_size") < 0:
        path = ("cluster", "pool_size")
        yield model.start_problem(
            path, lookup.value_at(config, *path), "excludes cluster.accounts", "a positive number", "raise it"
        )
    if len({str(name) for name in names}) < len(names):
        yield model.start_problem(("cluster", "accounts"), None, "names an account twice", "each once", "remove one")


def _check_origins(config: Config) -> Iterator[Problem]:
    """server/websocket.go, validateWebsocketOptions."""
    path = ("websocket", "allowed_origins")
    origins = lookup.value_at(config, *path)
    for origin in [origins] if isinstance(origins, str) else lookup.list_at(config, *path):
        if isinstance(origin, str) and not formats.is_url(origin) and lookup.port_of(config, "websocket"):
            wanted = 'the address of a site, such as "https://rosey.example.org"'
            yield model.start_problem(path, origin, "is no origin", wanted, "correct it")


def _check_tls(config: Config) -> Iterator[Problem]:
    """server/server.go, StartMonitoring; server/websocket.go, validateWebsocketOptions."""
    wanted = "a tls block with cert_file and key_file"
    for name in ("https_port", "https"):
        if lookup.meaning_at(config, name) and lookup.is_unset(config, "tls") and "tls" not in config:
            yield model.start_problem((name,), config[name], "needs certificates", wanted, "add tls, or use http_port")
    websocket = lookup.value_at(config, "websocket")
    if (
        websocket
        and lookup.port_of(config, "websocket")
        and "tls" not in websocket
        and lookup.value_at(websocket, "no_tls") is not True
    ):
        remedy = "add websocket.tls, or set websocket.no_tls"
        yield model.start_problem(("websocket",), None, "needs certificates", wanted, remedy)


def _check_addresses(config: Config) -> Iterator[Problem]:
    """The server reads any host and number in an address; both have to be what the table has for each alone."""
    for path, option, value in reading.leaves(config):
        meaning = reading.effective(option, value) if option.unit is Unit.ADDRESS and isinstance(value, str) else None
        if isinstance(meaning, tuple) and faults.faults((table.PORT,), meaning[-1]):
            yield model.start_problem(
                path, value, "has no port", f"a port that is {faults.expected_of_kind(table.PORT)}", "correct the port"
            )
        if isinstance(meaning, tuple) and faults.faults((table.HOST,), meaning[0] or ""):
            expected = formats.FORMATS[Format.HOST].expected
            yield Problem(
                model.dotted(path), model.display(value), "has no host", expected, "correct the host", Stage.RUN
            )


def _check_ocsp_peer(config: Config) -> Iterator[Problem]:
    """server/ocsp_peer.go, plugTLSOCSPPeer: only certificates that clients have to show are looked at.

    For MQTT the server takes what the block tls at the top has (server/ocsp.go, configureOCSP).
    """
    for path in (("tls",), ("leafnodes", "tls"), ("websocket", "tls")):
        verifies = any(lookup.value_at(config, *path, name) for name in ("verify", "verify_and_map"))
        if _asks_ocsp_peer(config, *path) and not verifies:
            remedy = f"set {model.dotted((*path, 'verify'))}"
            yield model.start_problem((*path, "ocsp_peer"), None, "needs verify", "both", remedy)
    if _asks_ocsp_peer(config, "mqtt", "tls") and not _asks_ocsp_peer(config, "tls"):
        where, wanted, remedy = "mqtt.tls.ocsp_peer", "tls.ocsp_peer as well", "set it in the block tls at the top"
        yield Problem(where, "", f"is not looked at by {faults.SERVER}", wanted, remedy, Stage.RUN)


def _asks_ocsp_peer(config: Config, *path: str) -> bool:
    peer = lookup.value_at(config, *path, "ocsp_peer")
    return peer is True or lookup.value_at(peer, "verify") is True


def _check_mqtt(config: Config) -> Iterator[Problem]:
    """server/mqtt.go, validateMQTTOptions."""
    if not lookup.port_of(config, "mqtt"):
        return
    peers = [block for block in ("cluster", "gateway", "leafnodes") if lookup.port_of(config, block)]
    if lookup.is_unset(config, "server_name") and {"cluster", "gateway"} & set(peers):
        yield model.start_problem(
            ("server_name",), None, "is missing", "a name: MQTT beside servers needs it", "set it"
        )
    if not peers and not lookup.value_at(config, "leafnodes", "remotes") and not lookup.jetstream_is_on(config):
        yield model.start_problem(("mqtt",), None, "needs JetStream", "jetstream to be on", "add jetstream")
    if lookup.meaning_at(config, "mqtt", "ack_wait") < 0:
        path = ("mqtt", "ack_wait")
        yield model.start_problem(
            path, lookup.value_at(config, *path), "is negative", "a positive duration", "write it without the sign"
        )


def _check_default_js_domain(config: Config) -> Iterator[Problem]:
    """server/jetstream.go, validateJetStreamOptions."""
    domains = lookup.value_at(config, "default_js_domain")
    if not model.is_block(domains):
        return
    accounts = lookup.accounts(config)
    for name, domain in domains.items():
        path = ("default_js_domain", name)
        if name == lookup.system_account(config):
            yield model.start_problem(path, None, "is the system account", "another account", "remove it")
        elif name != "$G" and name not in accounts and lookup.is_unset(config, "operator"):
            yield model.start_problem(path, None, "names no account", "the name of an account", "add it to accounts")
        elif domain and lookup.jetstream_is_on(accounts.get(name, {})):
            wanted = "an account without JetStream of its own"
            yield model.start_problem(path, None, "has JetStream of its own", wanted, "remove one of them")
        if isinstance(domain, str) and domain and not subjects.is_valid(f"$JS.{domain}.API.>"):
            rule = formats.FORMATS[Format.DOMAIN]
            yield model.start_problem(path, domain, rule.fault, rule.expected, rule.remedy)


def _check_store_dir(config: Config) -> Iterator[Problem]:
    """server/opts.go, processConfigFileLine (store_dir) and parseJetStream."""
    if lookup.text_at(config, "store_dir") and lookup.text_at(config, "jetstream", "store_dir"):
        yield Problem("store_dir", "", "is set as jetstream.store_dir too", "one of them", "remove store_dir")


def _check_compression(config: Config) -> Iterator[Problem]:
    """server/server.go, validateAndNormalizeCompressionOption; server/opts.go, setBaselineOptions."""
    automatic = ("auto", "s2_auto")
    on = ("on", "enabled", "true")
    places: list[tuple[Path, Any, tuple[str, ...]]] = [
        (("cluster", "compression"), lookup.value_at(config, "cluster", "compression"), automatic),
        (
            ("leafnodes", "compression"),
            lookup.value_at(config, "leafnodes", "compression"),
            (*automatic, *on, *([""] if lookup.port_of(config, "leafnodes") else [])),
        ),
    ]
    for place, remote in lookup.named_blocks(config, "leafnodes", "remotes"):
        of_remote = ("leafnodes", "remotes", place, "compression")
        places.append((of_remote, lookup.value_at(remote, "compression"), (*automatic, *on, "")))
    for path, compression, modes in places:
        thresholds = lookup.list_at(compression, "rtt_thresholds")
        if (
            faults.faults((table.list_of(table.DURATION),), thresholds)
            or lookup.text_at(compression, "mode").lower() not in modes
        ):
            continue
        times = [max(0, units.duration(text)) for text in thresholds if isinstance(text, str)]
        rising = [time for time in times if time > 0]
        while times and not times[-1]:
            times.pop()
        if rising != sorted(rising) or len(times) > _MOST_THRESHOLDS or (thresholds and not times):
            wanted = "one to four durations that rise"
            yield model.start_problem(
                (*path, "rtt_thresholds"), None, "has durations out of order", wanted, "sort them"
            )


_MOST_THRESHOLDS = 4


# Conflicts are there whatever an included file adds; omissions may be made good by it.
CONFLICTS: tuple[Callable[[Config], Iterator[Problem]], ...] = (
    _check_addresses,
    _check_listeners,
    _check_monitoring,
    _check_lame_duck,
    _check_max_pending,
    _check_gateway,
    _check_remote_urls,
    _check_cluster_accounts,
    _check_origins,
    account_conflicts.check_websocket_and_mqtt_users,
    account_conflicts.check_users,
    _check_store_dir,
    account_conflicts.check_resolver,
    _check_compression,
    account_conflicts.check_mappings,
    account_conflicts.check_latency,
    account_conflicts.check_names_of_imports,
)
OMISSIONS: tuple[Callable[[Config], Iterator[Problem]], ...] = (
    _check_clustered_jetstream,
    _check_jetstream_accounts,
    account_conflicts.check_no_auth_user,
    account_conflicts.check_operator,
    account_conflicts.check_trust,
    account_conflicts.check_account_keys,
    account_conflicts.check_resolver_starts,
    account_conflicts.check_system_account,
    _check_leafnodes,
    _check_tls,
    _check_ocsp_peer,
    _check_mqtt,
    account_conflicts.check_jwt_cookie,
    _check_default_js_domain,
    account_conflicts.check_exports,
    account_conflicts.check_imports,
)
