# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of configuration asks of a running server: nothing, a reload or a restart, and why."""

from __future__ import annotations

import json
import posixpath
import re
import typing as t
from collections.abc import Iterator, Mapping, Set

from ansible_collections.rosey.nats.plugins.module_utils._host import gate, redaction
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action, Reason
from ansible_collections.rosey.nats.plugins.module_utils._server import conf_reader, health, units
from ansible_collections.rosey.nats.plugins.module_utils._server.options import faults, model, reading

_DEFAULT_STORE = "/tmp/nats"  # noqa: S108  # not written here: the server's own default (server/jetstream.go)


def reasons(
    before: Mapping[str, t.Any], after: Mapping[str, t.Any], varz: Mapping[str, t.Any] | None = None
) -> tuple[Reason, ...]:
    """Compare two configurations by what they mean and name each difference, in the order of its option's path.

    A comment, an order or another spelling of the same value is no difference.
    varz: of the server that has loaded the first one; what it shows counts more than what was loaded.
    """
    old, new = _plain(reading.canonical(before), ()), _plain(reading.canonical(after), ())
    shown = {path: finding for (path, _option, _value), finding in health.denied(old, dict(varz))} if varz else {}
    return tuple(_reasons(old, new, shown))


def jetstream_block(config: Mapping[str, t.Any]) -> Mapping[str, t.Any]:
    """Give the block jetstream of a canonical configuration, empty where it has none."""
    block = config.get("jetstream")
    return block if isinstance(block, Mapping) else {}


def store_limit(config: Mapping[str, t.Any], name: str) -> int | None:
    """Give the bytes of a limit of JetStream; None where the configuration leaves it to the server."""
    option = reading.find(("jetstream", name))
    value = jetstream_block(config).get(name)
    limit = reading.effective(option, value) if option and value is not None else None
    return limit if isinstance(limit, int) else None


def store_directory(config: Mapping[str, t.Any]) -> str | None:
    """Give the directory of JetStream, of a canonical configuration, as the server shows it.

    None where a variable gives it, whose value only the server knows.
    """
    directory = jetstream_block(config).get("store_dir") or config.get("store_dir") or _DEFAULT_STORE
    if model.is_reference(directory):
        return None
    # Go's path.Clean folds the two slashes at the beginning that Python keeps
    return posixpath.join(re.sub("^//", "/", posixpath.normpath(str(directory))), "jetstream")


def _reasons(
    before: Mapping[str, t.Any], after: Mapping[str, t.Any], shown: Mapping[model.Path, gate.Finding]
) -> Iterator[Reason]:
    old, new = _settings(before), _settings(after)
    blocks_before, blocks_after = _blocks(before), _blocks(after)
    for path in sorted(old.keys() | new.keys(), key=str):
        is_same = old.get(path) == new.get(path) or path in blocks_before & blocks_after  # one of these is empty
        if is_same and path not in shown:
            continue
        option = reading.find(path)
        secret = option.secret if option else path[-1] != model.INCLUDE
        now = shown.get(path)
        yield Reason(
            option=".".join(str(part) for part in path),
            before=f"{now.found} at /varz" if now else _text(option, old.get(path), secret=secret),
            after=now.expected
            if now and old.get(path) == new.get(path)
            else _text(option, new.get(path), secret=secret),
            action=_action(path, blocks_before ^ blocks_after, comes_or_goes=(path in old) != (path in new)),
        )


def _action(path: model.Path, blocks: Set[model.Path], *, comes_or_goes: bool) -> Action:
    """Give what a change of this option asks for. blocks: those that are added or removed."""
    around = [path[:length] for length in range(1, len(path)) if path[:length] in blocks]
    holders = [reading.find(block) for block in around]
    option = reading.find(path)
    taken = option and (option.reloadable or (option.with_block and around)) and not (option.stays and comes_or_goes)
    return (
        Action.RELOAD
        if taken and all(each and each.reloadable and not each.stays for each in holders)
        else Action.RESTART
    )


def _blocks(value: t.Any, path: model.Path = ()) -> set[model.Path]:
    """Give the paths of all blocks of a canonical configuration."""
    if isinstance(value, Mapping) and model.VARIABLE not in value:
        inner = (_blocks(each, (*path, name)) for name, each in value.items())
        return {path}.union(*inner)
    if isinstance(value, list):
        return set[model.Path]().union(*(_blocks(each, (*path, place)) for place, each in enumerate(value)))
    return set()


def _plain(value: t.Any, path: model.Path) -> t.Any:
    """Write a canonical configuration in the one way of several that mean the same to the server."""
    option = reading.find(path) if path else None
    if isinstance(value, Mapping):
        return _without_listen({name: _plain(each, (*path, name)) for name, each in value.items()}, path)
    if isinstance(value, list):
        items = [_plain(each, (*path, place)) for place, each in enumerate(value)]
        return sorted(items, key=_spelled) if option and option.any_order else items
    if option and option.any_order and isinstance(path[-1], str) and faults.kind_of(option, value):
        return [value]  # one text instead of a list of it
    return value


def _spelled(value: t.Any) -> str:
    """Write a value so that two that are equal are written alike, whatever the kinds of its keys."""
    if isinstance(value, Mapping):
        return json.dumps(sorted((str(name), _spelled(each)) for name, each in value.items()))
    if isinstance(value, (list, tuple)):
        return json.dumps([_spelled(each) for each in value])
    return json.dumps(value, default=str)


def _without_listen(block: dict[str, t.Any], path: model.Path) -> dict[str, t.Any]:
    option, value = reading.find((*path, "listen")), block.get("listen")
    if option is None or value is None or faults.kind_of(option, value) is None or isinstance(value, Mapping):
        return block
    host, port = reading.effective(option, value)
    named = {"host": host, "port": port} if host else {"port": port}
    return {**{name: each for name, each in block.items() if name not in ("listen", "host", "port")}, **named}


def _settings(config: Mapping[str, t.Any]) -> dict[tuple[str | int, ...], t.Any]:
    settings = {path: reading.effective(option, value) for path, option, value in reading.leaves(config)}
    return {**settings, **dict(_includes(config, ()))}


def _includes(value: t.Any, path: model.Path) -> Iterator[tuple[model.Path, t.Any]]:
    """Give the files that are included, of which nobody knows here what they hold."""
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        if name == model.INCLUDE:
            yield (*path, name), [each] if isinstance(each, str) else each
        else:
            yield from _includes(each, (*path, name))


def _text(option: model.Option | None, value: t.Any, *, secret: bool) -> str:
    """Write what an option means to the server as a person would."""
    if value is None:
        return "unset"
    if secret or conf_reader.has_credentials(value):
        return redaction.HIDDEN
    is_number = isinstance(value, int) and not isinstance(value, bool)
    kinds = {form.kind for form in option.forms} if option and is_number else set[model.Kind]()
    if kinds & {model.Kind.SIZE, model.Kind.STORAGE_SIZE}:
        return units.size_text(value)
    if option and option.unit is not model.Unit.SECONDS and model.Kind.DURATION in kinds:
        return units.duration_text(value)
    return str(value)
