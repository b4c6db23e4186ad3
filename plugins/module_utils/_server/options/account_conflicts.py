# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same of accounts: what they import, export and map."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.rosey.nats.plugins.module_utils._server import subjects, units
from ansible_collections.rosey.nats.plugins.module_utils._server.options import formats, lookup, model
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import (
    Config,
    Format,
    Path,
    Problem,
    Stage,
)


def _operator_claims(config: Config) -> Config | None:
    """Give what the operator's JWT says, where the JWT itself stands in the configuration; None else."""
    text = lookup.text_at(config, "operator")
    body = text.split(".")[1] if lookup.is_jwt(text) and text.count(".") == len("..") else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except ValueError:
        return None
    return lookup.value_at(claims, "nats") if model.is_block(lookup.value_at(claims, "nats")) else None


def check_trust(config: Config) -> Iterator[Problem]:
    """server/jwt.go, validateTrustedOperators; server/server.go, setSystemAccount: accounts have to be signed."""
    signed = "operator" if not lookup.is_unset(config, "operator") else "trusted_keys"
    if lookup.is_unset(config, signed):
        return
    claims = _operator_claims(config) if signed == "operator" else {}
    named = lookup.text_at(config, "system_account")
    known = claims is not None and lookup.is_unset(config, "system_account") and not claims.get("system_account")
    if signed == "trusted_keys" and (named or "$SYS") in {*lookup.accounts(config), "$G"}:
        path = ("system_account",) if named else ("accounts", "$SYS")
        wanted = "an account that comes from a resolver"
        yield model.start_problem(path, None, "is signed by none of trusted_keys", wanted, "remove it")
    elif known and lookup.jetstream_is_on(config):
        wanted = f"an account: JetStream beside {signed} needs it"
        yield model.start_problem(("system_account",), None, "is missing", wanted, "set it")


def check_account_keys(config: Config) -> Iterator[Problem]:
    """server/jwt.go, validateTrustedOperators; server/leafnode.go, validateLeafNode; server/jetstream.go."""
    if lookup.is_unset(config, "operator"):
        return
    remotes = ("leafnodes", "remotes")
    named: list[tuple[Path, Any]] = [
        ((*remotes, place, "account"), block.get("account", ""))
        for place, block in lookup.named_blocks(config, *remotes)
    ]
    account = ("leafnodes", "authorization", "account")
    if lookup.port_of(config, "leafnodes") and lookup.text_at(config, *account):
        named.append((account, lookup.value_at(config, *account)))
    domains = lookup.value_at(config, "default_js_domain")
    named += [(("default_js_domain", name), name) for name in (domains if model.is_block(domains) else ())]
    pinned = lookup.value_at(config, "resolver_pinned_accounts")
    keys = [pinned] if isinstance(pinned, str) else lookup.list_at(config, "resolver_pinned_accounts")
    named += [(("resolver_pinned_accounts", place), key) for place, key in enumerate(keys)]
    rule = formats.FORMATS[Format.ACCOUNT_KEY]
    for path, key in named:
        if isinstance(key, str) and not rule.accepts(key):
            remedy = "beside an operator accounts have keys for names: copy it"
            yield model.start_problem(path, None, "is no key of an account", rule.expected, remedy)
    users = ("leafnodes", "authorization", "users")
    if lookup.named_blocks(config, *users):
        yield model.start_problem(
            users, None, "stands beside operator", "users that come from the resolver", "remove it"
        )


def check_no_auth_user(config: Config) -> Iterator[Problem]:
    """server/auth.go, validateNoAuthUser."""
    names = {lookup.text_at(user, "user") for _path, user in lookup.users(config)}
    for path in (("no_auth_user",), ("websocket", "no_auth_user"), ("mqtt", "no_auth_user")):
        name = lookup.text_at(config, *path)
        active = len(path) == 1 or lookup.port_of(config, path[0])
        if name and active and name not in names:
            remedy = "add the user to authorization.users or to an account"
            yield model.start_problem(path, name, "names no user", "the name of a user of a list of users", remedy)


def check_system_account(config: Config) -> Iterator[Problem]:
    """server/server.go, configureAccounts and NewServer: the account has to be there, or come from the resolver."""
    name, path = lookup.text_at(config, "system_account"), ("system_account",)
    claims = _operator_claims(config) or {}
    if not name:
        return
    if lookup.is_unset(config, "operator"):
        if name not in {*lookup.accounts(config), "$G"} and (
            lookup.is_unset(config, "trusted_keys") or lookup.is_unset(config, "resolver")
        ):
            remedy = "add it to accounts" if name != "$SYS" else "remove it, the server makes $SYS itself"
            yield model.start_problem(path, name, "names no account", "the name of an account", remedy)
    elif _keeps_accounts_in_memory(config) and lookup.is_unset(config, "resolver_preload", name):
        wanted = "the key of an account of resolver_preload"
        yield model.start_problem(path, name, "names no account", wanted, "add it to resolver_preload")
    if claims.get("system_account") not in (None, "", name):
        wanted = "the system account of the operator's JWT"
        yield model.start_problem(path, name, "differs from what the operator says", wanted, "remove it")


def _keeps_accounts_in_memory(config: Config) -> bool:
    resolver = lookup.value_at(config, "resolver")
    if isinstance(resolver, str):
        return formats.RESOLVER_IN_MEMORY.search(resolver) is not None
    return lookup.text_at(resolver, "type").lower() in ("mem", "memory")


def check_websocket_and_mqtt_users(config: Config) -> Iterator[Problem]:
    """server/websocket.go, validateWebsocketOptions; server/mqtt.go, validateMQTTOptions."""
    has_users = any(True for _user in lookup.users(config))
    for block in ("websocket", "mqtt"):
        for name in ("user", "token"):
            path = (block, "authorization", name)
            if has_users and lookup.port_of(config, block) and lookup.text_at(config, *path):
                wanted = "the users of authorization and accounts alone"
                yield model.start_problem(path, None, "stands beside lists of users", wanted, "remove it")


def check_jwt_cookie(config: Config) -> Iterator[Problem]:
    """server/websocket.go, validateWebsocketOptions."""
    path = ("websocket", "jwt_cookie")
    trusts = not lookup.is_unset(config, "operator") or not lookup.is_unset(config, "trusted_keys")
    if lookup.port_of(config, "websocket") and lookup.text_at(config, *path) and not trusts:
        yield model.start_problem(path, None, "needs operator or trusted_keys", "one of them", "add operator")


def check_operator(config: Config) -> Iterator[Problem]:
    """server/jwt.go, validateTrustedOperators."""
    if lookup.is_unset(config, "operator"):
        return
    claims = _operator_claims(config)
    if claims is not None and lookup.is_unset(config, "resolver") and not claims.get("account_server_url"):
        wanted = "where the operator's accounts come from"
        yield model.start_problem(("resolver",), None, "is missing", wanted, "set it, such as resolver: MEMORY")
    kind = lookup.text_at(config, "resolver", "type").lower()
    unnamed = claims is not None and lookup.is_unset(config, "system_account") and not claims.get("system_account")
    if kind in _RESOLVERS_WITH_A_DIRECTORY and unnamed and not lookup.jetstream_is_on(config):
        wanted = f"an account: a {kind} resolver needs it"
        yield model.start_problem(("system_account",), None, "is missing", wanted, "set it")
    for path in (("accounts",), ("authorization", "users"), ("authorization", "auth_callout"), ("trusted_keys",)):
        if not lookup.is_unset(config, *path):
            wanted = "accounts and users that come from the resolver"
            yield model.start_problem(path, None, "stands beside operator", wanted, "remove one of them")


_RESOLVERS_WITH_A_DIRECTORY = ("cache", "full")


def check_resolver_starts(config: Config) -> Iterator[Problem]:
    """server/accounts.go, getOperatorKeys; server/server.go, NewServer and configureResolver."""
    resolver, path = lookup.value_at(config, "resolver"), ("resolver",)
    kind = lookup.text_at(config, "resolver", "type").lower()
    if kind in _RESOLVERS_WITH_A_DIRECTORY and lookup.is_unset(config, "operator"):
        remedy = "set operator, or take the resolver away"
        yield model.start_problem(path, None, "needs operator", f"the operator of a {kind} resolver's accounts", remedy)
    if isinstance(resolver, str) and not _keeps_accounts_in_memory(config):
        match = formats.RESOLVER_URL.search(resolver)
        if match and not (match[1] or "").lower().startswith(("http://", "https://")):
            wanted = "the address of an account server, http:// or https://"
            yield model.start_problem(path, None, "has no address that can be asked", wanted, "correct it")
        if not lookup.is_unset(config, "resolver_preload"):
            wanted = "MEMORY, or a resolver with a directory"
            yield model.start_problem(
                ("resolver_preload",), None, "needs another resolver", wanted, "remove one of them"
            )


def check_users(config: Config) -> Iterator[Problem]:
    """server/opts.go, processConfigFileLine (authorization) and parseAccounts."""
    seen: set[str] = set()
    for path, user in lookup.users(config):
        name = lookup.text_at(user, "nkey") or lookup.text_at(user, "user")
        if name and name in seen:
            yield Problem(
                model.dotted(path), "", "has the name of another user", "a name of its own", "rename or remove it"
            )
        seen.add(name)
        for single in ("user", "token"):
            if path[0] == "accounts" and lookup.text_at(config, "authorization", single):
                fault = f"excludes authorization.{single}"
                yield Problem(
                    model.dotted(path), "", fault, "users of accounts alone", f"remove authorization.{single}"
                )
    names = [
        lookup.text_at(user, "user")
        for _place, user in lookup.named_blocks(config, "leafnodes", "authorization", "users")
    ]
    where = "leafnodes.authorization.users"
    if len(set(names)) < len(names):
        yield Problem(where, "", "has a name twice", "names that differ", "rename or remove one")
    if names and lookup.text_at(config, "leafnodes", "authorization", "user"):
        fault = "excludes leafnodes.authorization.user"
        yield Problem(where, "", fault, "one user or a list of them", "remove one of them")


def check_resolver(config: Config) -> Iterator[Problem]:
    """server/opts.go, processConfigFileLine (resolver)."""
    resolver = lookup.value_at(config, "resolver")
    if not model.is_block(resolver):
        return
    kind = lookup.text_at(resolver, "type").lower()
    # The cache resolver objects to hard_delete whatever its value; to the others only when they are not zero.
    refused = {
        "cache": [*(name for name in ("interval", "allow_delete") if _meaning(resolver, name)), *_keys(resolver)],
        "full": [name for name in ("ttl",) if _meaning(resolver, name)],
    }.get(kind, [])
    for name in refused:
        wanted = f"an option of a {kind} resolver"
        yield Problem(f"resolver.{name}", "", f"is refused by a {kind} resolver", wanted, "remove it")
    if kind == "full" and "hard_delete" in resolver and not resolver.get("allow_delete"):
        yield Problem("resolver.hard_delete", "", "needs allow_delete", "both", "set allow_delete or remove it")
    if kind in ("cache", "full") and not resolver.get("dir"):
        yield Problem("resolver", "", "has no dir", "the directory that keeps the accounts", "set resolver.dir")


def _keys(resolver: Config) -> list[str]:
    return ["hard_delete"] if "hard_delete" in resolver else []


def _meaning(resolver: Config, name: str) -> bool:
    return bool(resolver.get(name)) and (
        name == "allow_delete" or lookup.meaning_at({"resolver": resolver}, "resolver", name) != 0
    )


_WHOLE_WEIGHT = 100


def check_mappings(config: Config) -> Iterator[Problem]:
    """server/accounts.go, AddWeightedMappings; server/subject_transform.go, NewSubjectTransformWithStrict."""
    found: list[tuple[Path, Any]] = [(("mappings",), lookup.value_at(config, "mappings"))]
    found += [
        (("accounts", name, "mappings"), lookup.value_at(block, "mappings"))
        for name, block in lookup.accounts(config).items()
    ]
    for path, mappings in found:
        for source, mapped in mappings.items() if model.is_block(mappings) else ():
            yield from _problems_of_mapping((*path, source), str(source), mapped)


def _problems_of_mapping(path: Path, source: str, mapped: Any) -> Iterator[Problem]:
    where = model.dotted(path)
    blocks = [block for _path, block in lookup.blocks_in(mapped)]
    targets = [mapped] if isinstance(mapped, str) else [lookup.text_at(block, "destination") for block in blocks]
    for target in targets:
        if not target:
            yield Problem(where, "", "leads nowhere", "a subject", "add a destination", Stage.RUN)
        elif (">" in source.split(".")) != (">" in target.split(".")):
            yield Problem(
                where, model.display(target), "does not match the subject", "> on both sides", "add or remove it"
            )
        # The server takes $0 for no reference where the subject has a wildcard, and for an error where it has none.
        elif any(place > (source.split(".").count("*") or -1) for place in _places_of(target)):
            wanted = "a reference to a wildcard of the subject"
            yield Problem(
                where, model.display(target), "refers to a wildcard that is not there", wanted, "lower the number"
            )
    if len(set(targets)) < len(targets):
        yield Problem(where, "", "has a destination twice", "destinations that differ", "remove one of them")
    weights: dict[str, int] = {}
    for block in blocks:
        weight = str(lookup.value_at(block, "weight")).removesuffix("%")
        cluster = lookup.text_at(block, "cluster")
        weights[cluster] = weights.get(cluster, 0) + (units.integer(weight) or 0)
    if any(weight > _WHOLE_WEIGHT for weight in weights.values()):
        yield Problem(where, "", "has weights of more than 100 together", "at most 100", "lower one of them")


def _places_of(target: str) -> Iterator[int]:
    """Give the numbers of the wildcards that a mapping's destination refers to; 0 for those within other functions.

    More than 64 bits are plain text after a $, and a wildcard that is not there within {{wildcard()}}
    (server/subject_transform.go, indexPlaceHolders).
    """
    pattern = re.compile(r"\$([+-]?[0-9]+)|\{\{\s*wildcard\(\s*([0-9]+)\s*\)\s*\}\}|\{\{.*\}\}", re.IGNORECASE)
    for match in filter(None, map(pattern.fullmatch, target.split("."))):
        place = units.integer(match[1] or match[2] or "0")
        if place is not None:
            yield max(place, 0)
        elif match[2]:
            yield units.INT64_MAX


def check_exports(config: Config) -> Iterator[Problem]:
    """server/opts.go, parseAccounts; server/accounts.go, setExportAuth."""
    accounts = lookup.accounts(config)
    for name, account in accounts.items():
        for place, export in lookup.named_blocks(account, "exports"):
            where = model.dotted(("accounts", name, "exports", place))
            subject = lookup.text_at(export, "service") or lookup.text_at(export, "stream")
            if not subject:
                continue
            for other in lookup.list_at(export, "accounts"):
                if isinstance(other, str) and other not in accounts:
                    fault = "names no account"
                    yield Problem(
                        f"{where}.accounts", model.display(other), fault, "names of accounts", "add it to accounts"
                    )
            position = lookup.value_at(export, "account_token_position")
            tokens = dict(enumerate(subject.split("."), start=1))
            if isinstance(position, int) and position and tokens.get(position) != "*":
                wanted = "the number of a token * of the subject"
                yield Problem(
                    f"{where}.account_token_position", model.display(position), "is no wildcard", wanted, "correct it"
                )


def check_latency(config: Config) -> Iterator[Problem]:
    """server/opts.go, parseAccounts; server/accounts.go, TrackServiceExportWithSampling."""
    for name, account in lookup.accounts(config).items():
        exports = lookup.named_blocks(account, "exports")
        services = [service for _place, export in exports if (service := lookup.text_at(export, "service"))]
        for place, export in exports:
            if lookup.text_at(export, "service") and lookup.value_at(export, "latency") is not None:
                where = model.dotted(("accounts", name, "exports", place, "latency"))
                # A service that is exported again keeps the type of responses of its earlier export.
                earlier = [other for _place, other in exports[: place + 1]]
                same = [
                    other
                    for other in earlier
                    if lookup.value_at(other, "service") == lookup.value_at(export, "service")
                ]
                yield from _problems_of_latency(where, export, services, same, config)


def _problems_of_latency(
    where: str, export: Config, services: list[str], same: list[Config], config: Config
) -> Iterator[Problem]:
    latency = lookup.value_at(export, "latency")
    subject = latency if isinstance(latency, str) else lookup.value_at(latency, "subject")
    if isinstance(subject, str) and (
        not subjects.is_literal(subject) or any(subjects.covers(service, subject) for service in services)
    ):
        wanted = "a subject without wildcards that is no exported service"
        yield Problem(where, model.display(subject), "is no subject for measurements", wanted, "choose another")
    if any(lookup.text_at(other, "response_type").lower() not in ("", "single", "singleton") for other in same):
        yield Problem(where, "", "needs a service with single responses", "response_type: single", "remove one of them")
    if lookup.value_at(config, "no_system_account") is True:
        # Only when the server happens to read no_system_account first does it notice.
        wanted, remedy = "no_system_account: false", "remove one of them"
        yield Problem(where, "", "needs the system account", wanted, remedy, Stage.RUN)


def check_imports(config: Config) -> Iterator[Problem]:
    """server/opts.go, parseAccounts; server/accounts.go, AddServiceImport and AddStreamImport."""
    accounts = lookup.accounts(config)
    for path, name, kind, block in _imports(config):
        source, subject = lookup.text_at(block, kind, "account"), lookup.text_at(block, kind, "subject")
        where = model.dotted((*path, kind))
        if source and source not in accounts:
            yield Problem(where, model.display(source), "names no account", "the name of an account", "correct it")
        elif source and subject and not _is_exported(accounts[source], kind, subject, name):
            fault = f"is not exported to {name} by {source}"
            yield Problem(where, model.display(subject), fault, "an exported subject", f"add it to {source}'s exports")


def check_names_of_imports(config: Config) -> Iterator[Problem]:
    """server/opts.go, parseAccountImports; server/accounts.go, AddServiceImport and AddStreamImport."""
    taken: set[tuple[str, ...]] = set()
    for path, name, kind, block in _imports(config):
        subject, prefix, to = (
            lookup.text_at(block, kind, "subject"),
            lookup.text_at(block, "prefix"),
            lookup.text_at(block, "to"),
        )
        prefix = prefix if kind == "stream" else ""
        renamed = f"{prefix.removesuffix('.')}.{subject}" if prefix else to
        if subjects.has_wildcard(prefix):
            wanted = "a subject without wildcards"
            yield Problem(model.dotted((*path, "prefix")), model.display(prefix), "has a wildcard", wanted, "remove it")
        elif subject and renamed and not _is_renaming(kind, subject, renamed):
            where, value = ("prefix", prefix) if prefix else ("to", to)
            wanted = "a subject with a * or $1 for each * of the imported one, and > where that has it"
            yield Problem(
                model.dotted((*path, where)), model.display(value), f"is no name for {subject}", wanted, "correct it"
            )
        key = (
            (name, kind, to or subject)
            if kind == "service"
            else (name, kind, lookup.text_at(block, kind, "account"), subject)
        )
        if subject and key in taken:
            fault = "is the name of another import" if kind == "service" else "is imported twice"
            yield Problem(
                model.dotted((*path, kind)), model.display(key[-1]), fault, "each once", "rename or remove one"
            )
        taken.add(key)


def _imports(config: Config) -> Iterator[tuple[Path, str, str, Config]]:
    """Give every import: its path, the importing account, whether stream or service, and its block."""
    for name, account in lookup.accounts(config).items():
        for place, block in lookup.named_blocks(account, "imports"):
            for kind in ("stream", "service"):
                if model.is_block(block.get(kind)):
                    yield ("accounts", name, "imports", place), name, kind, block


def _is_renaming(kind: str, subject: str, to: str) -> bool:
    """Tell what server/subject_transform.go, NewSubjectTransformStrict, tells of an import under another name."""
    if not subjects.has_wildcard(subject) or subject == to:
        return kind == "stream" or subjects.is_valid(to)
    wildcards, tokens = subject.split(".").count("*"), to.split(".")
    places = [*range(1, tokens.count("*") + 1), *_places_of(to)]
    same_end = (">" in tokens) == (">" in subject.split("."))
    return subjects.is_valid(to) and same_end and len(places) >= wildcards and max(places, default=0) <= wildcards


def _is_exported(account: Config, kind: str, subject: str, to: str) -> bool:
    for _place, export in lookup.named_blocks(account, "exports"):
        pattern, names = lookup.text_at(export, kind), lookup.list_at(export, "accounts")
        position = lookup.value_at(export, "account_token_position")
        if pattern and subjects.covers(pattern, subject):
            if isinstance(position, int) and position:
                return pattern != subject and subject.split(".")[position - 1 : position] == [to]
            return not names or to in names
    return False
