# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes for the clients of the bus that have credentials of their own: who may say and hear what, by name.

The server's own reasons name its users by their places in a list. No credential is in what is said here.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ansible_collections.rosey.nats.plugins.module_utils._bot import credentials
from ansible_collections.rosey.nats.plugins.module_utils._host import environment_file
from ansible_collections.rosey.nats.plugins.module_utils._server import subjects

Clients: t.TypeAlias = "Iterable[Mapping[str, t.Any]]"
Entries: t.TypeAlias = "Iterable[Mapping[str, t.Any]]"

# Where the users of these clients stand in the server's configuration.
_USERS = ("authorization.users.", "accounts.$SYS.users.")
_PROVES = ("user", "password", "nkey")
_VERBS = {"publish": "publish", "subscribe": "listen to"}


def changes(before: Clients, after: Clients, logins: tuple[Entries, Entries]) -> list[str]:
    """Say what changes from some clients to others, as releases record them, a line each.

    logins: the entries before and after, among which the files of the clients are.
    """
    old, new = ({client["name"]: client for client in clients} for clients in (before, after))
    if not old and new:
        return [f"each client gets a credential of its own, and may do what is declared of it: {', '.join(new)}"]
    if old and not new:
        return [f"all clients share one credential, and may do everything: {', '.join(old)} had one each"]
    entries_before, entries_after = ({entry["path"]: entry for entry in entries} for entries in logins)
    return [
        *(f"{name} is no client any more" for name in old if name not in new),
        *(f"new client {name}" for name in new if name not in old),
        *(
            f"{name}: {what}"
            for name, client in new.items()
            if name in old
            for what in (
                *_of_permissions(old[name]["permissions"], client["permissions"]),
                *_of_login(_login(entries_before, old[name]["file"]), _login(entries_after, client["file"])),
            )
        ),
    ]


def instead(reasons: Iterable[str], told: Iterable[str]) -> list[str]:
    """Give the server's reasons with what is told of the clients in place of those about their users."""
    lines = list(told)
    if not lines:
        return list(reasons)
    return [*lines, *(reason for reason in reasons if not reason.startswith(_USERS))]


def _of_permissions(before: Mapping[str, t.Any], after: Mapping[str, t.Any]) -> Iterator[str]:
    if not before or not after:
        if before:
            yield "may do everything"
        elif after:
            yield "may no longer do everything, but what is declared of it"
        return
    for rule, verb in _VERBS.items():
        more, less = (_gained(*pair) for pair in ((before[rule], after[rule]), (after[rule], before[rule])))
        if more:
            yield f"may also {verb} {', '.join(more)}"
        if less:
            yield f"may no longer {verb} {', '.join(less)}"


def _gained(before: Mapping[str, t.Any], after: Mapping[str, t.Any]) -> list[str]:
    """Give the subjects that one rule allows, and the one before did not; a rule without any allows none."""
    allowed, allowed_before = after.get("allow", ()), before.get("allow", ())
    freed = _beyond(before.get("deny", ()), after.get("deny", ()))
    return [
        *_beyond(allowed, allowed_before),
        # what both allow, and only the one before has taken out again
        *(subject for subject in freed if all(_overlaps(subject, each) for each in (allowed, allowed_before))),
    ]


def _beyond(found: Iterable[str], known: Sequence[str]) -> list[str]:
    """Give the subjects that no known one covers."""
    return [subject for subject in found if not any(subjects.covers(each, subject) for each in known)]


def _overlaps(subject: str, allowed: Iterable[str]) -> bool:
    return any(subjects.overlaps(subject, each) for each in allowed)


def _of_login(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    if before and after and before != after:
        yield "another credential"


def _login(entries: Mapping[str, Mapping[str, t.Any]], file: str) -> dict[str, str]:
    """Give what a client proves itself with by its file, the seed itself where there is one; empty if unknown."""
    entry = entries.get(file)
    if entry is None:
        return {}
    variables = {**(entry.get("variables") or {}), **(entry.get("secret_variables") or {})} or environment_file.get(
        (entry.get("secret_content") or "").encode()
    )
    login = {name: value for name in _PROVES if (value := variables.get(credentials.LOGIN[name]))}
    seed = entries.get(login.get("nkey", ""))
    return {**login, "nkey": seed.get("secret_content") or ""} if seed else login
