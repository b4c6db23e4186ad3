#!/usr/bin/python
# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nats_plan
short_description: Compare what a host should have with what it has
version_added: 0.1.0
author: Rosey-Robot Team (@rosey-robot)
description:
  - Looks at everything that a deployment of nats-server needs to know of a host, in one call, and changes nothing.
  - Says what a deployment would change, and what that asks of the running server, which is nothing, a reload, a restart
    or a start, with the reasons.
  - Included files are compared by what they say. Another content of a certificate, a key or a CA that the configuration
    names asks for a reload; that of the operator's JWT or of a leafnode's credentials for a restart, since no reload
    takes it up.
  - Fails where the host can't take it, such as when another process holds a port, or another server has its store, log
    or pid file, before anything is touched.
attributes:
  check_mode:
    description: Can run in check mode and tell the same.
    support: full
  diff_mode:
    description: Returns the change itself, in RV(changes) and RV(reasons).
    support: none
options:
  runtime:
    description: What runs the server.
    type: str
    required: true
    choices: [systemd, docker, process]
  service:
    description: The name of the service under systemd.
    type: str
    default: nats
  user:
    description: The account that the service needs.
    type: str
  group:
    description: The group that the service needs.
    type: str
  pid_file:
    description: The file that holds the number of the process, with O(runtime=process).
    type: path
  version:
    description: The version of nats-server.
    type: str
    required: true
  checksums:
    description: The SHA-256 sums of the archive, per architecture. Without them, any verified binary will do.
    type: dict
    default: {}
  archive_for:
    description:
      - The architectures that the archive at hand is for, as releases of nats-server name them. The module fails where
        the host is of another one and has no such binary yet. Without it, the archive is one for the host.
    type: list
    elements: str
    default: []
  directory:
    description: The directory in which the versions stand side by side.
    type: path
    required: true
  link:
    description: The link to the binary.
    type: path
    required: true
  config_file:
    description: The configuration of the server. One of O(entries) holds its new text.
    type: path
    required: true
  store_copy:
    description:
      - Whether the deployment copies JetStream's store before another minor version starts on it.
      - It is copied, too, before a change that was accepted in O(accept) and could destroy or hide what is in it.
    type: bool
    default: true
  copies:
    description:
      - The directory of the copies, as M(rosey.nats.nats_store_copy) takes it.
      - With it, the module fails where there is no room for the copy that the deployment makes.
    type: path
  ran_last:
    description:
      - The version that ran last on JetStream's store, where the caller has seen it and no server answers.
      - Without it both the version that O(link) leads to and the one that was last proven count.
    type: str
  back:
    description:
      - With O(release), the copy of the store from which what is missing is brought back, as RV(store) has it. An empty
        text means none. Without it, that is the newest copy that was made as the host left that release.
    type: str
  accept:
    description:
      - What a change may cut off or lose. The module fails, with figures, where the running server shows that a change
        would do something else of that kind.
      - V(fewer_connections) accepts an option C(max_connections) below the number of clients that are connected.
      - V(memory_assets) accepts that a restart ends streams and consumers in memory. They can't be copied.
      - V(added_cluster) accepts that a single server that holds streams is made one of a cluster, which deletes them.
      - V(other_server_name) accepts another C(server_name) in a cluster, which takes it for a new server.
      - V(older_version) accepts that an older minor version starts on what only a newer one keeps.
      - V(rotated_key) accepts another encryption key beside the previous one, by which consumers are lost.
      - V(converted_streams) accepts that compressed streams are encrypted anew, by which messages are lost.
      - V(first_sequence) accepts a restart of a version that empties streams with C(first_seq).
      - V(replicated_streams) accepts that streams with several replicas are not taken up by a server without a cluster.
      - V(other_cluster) accepts that the server leaves its cluster, or that this is given another name.
      - V(other_store) accepts another C(store_dir), or one that does not hold the streams that there are.
      - V(other_key) accepts that streams which are encrypted can't be read any more.
      - V(other_account) accepts that clients no longer reach an account's streams, or come to another account.
      - V(smaller_store) accepts a limit of files below what streams reserve.
      - V(smaller_limits) accepts other limits below what streams and consumers ask for.
      - V(no_jetstream) accepts that JetStream is turned off while there are streams.
      - V(gone_streams) accepts that streams are gone which there were when the host was last proven, and that it
        can't be told which there were.
      - Where one of these destroys or hides what is kept in files and is accepted, the store is copied first.
      - V(uncopied_store) accepts that the store of a container is not copied where it would have to be.
      - V(all) accepts all of these, as going back does when a deployment failed.
    type: list
    elements: str
    choices:
      - all
      - fewer_connections
      - memory_assets
      - added_cluster
      - other_server_name
      - older_version
      - rotated_key
      - converted_streams
      - first_sequence
      - replicated_streams
      - other_cluster
      - other_store
      - other_key
      - other_account
      - smaller_store
      - smaller_limits
      - no_jetstream
      - gone_streams
      - uncopied_store
    default: []
extends_documentation_fragment:
  - rosey.nats.entries
  - rosey.nats.entries.observed
seealso:
  - module: rosey.nats.config_tree
  - module: rosey.nats.nats_health
  - module: rosey.nats.nats_store_copy
"""

EXAMPLES = r"""
- name: Ask what another value of max_payload would mean for the running server
  rosey.nats.nats_plan:
    runtime: systemd
    version: 2.10.7
    directory: /usr/local/lib/nats-server
    link: /usr/local/bin/nats-server
    config_file: /etc/nats/nats-server.conf
    entries:
      - path: /etc/nats/nats-server.conf
        state: file
        content: |
          http_port: 8222
          max_payload: 2MB
  register: plan

- name: Show it
  ansible.builtin.debug:
    msg: "{{ plan.action }}: {{ plan.reasons | join(', ') }}"
"""

RETURN = r"""
architecture:
  description: The host's architecture, as releases of nats-server name it.
  returned: success
  type: str
  sample: amd64
archive:
  description: The name of the release archive for this host.
  returned: success
  type: str
  sample: nats-server-v2.10.7-linux-amd64.tar.gz
packages:
  description: The distribution's packages that the host's Python lacks to ask a server.
  returned: success
  type: list
  elements: str
  sample: [python3-requests]
user_exists:
  description: Whether the account is there. True where none is needed.
  returned: success
  type: bool
group_exists:
  description: Whether the group is there. True where none is needed.
  returned: success
  type: bool
binary:
  description: The pinned binary, with C(installed), which says that it is there, verified and linked, and C(reason).
  returned: success
  type: dict
changes:
  description: What differs in the files, each with C(path) and C(what).
  returned: success
  type: list
  elements: dict
unit_changed:
  description: Whether systemd has to read its units again.
  returned: success
  type: bool
service:
  description: >-
    The service, with C(exists), C(enabled), C(pid) and C(failing), whether it ended with an error and systemd counts
    its starts.
  returned: success
  type: dict
drop_ins:
  description: What is laid over the service's unit, by the file, with what it sets.
  returned: success
  type: list
  elements: str
  sample: ["/etc/systemd/system/nats.service.d/override.conf sets LimitNOFILE=100000"]
mark:
  description:
    - How the running server was, as M(rosey.nats.nats_health) takes it in O(rosey.nats.nats_health#module:since) to
      prove a reload. Null where no server answers.
  returned: success
  type: dict
monitoring_url:
  description:
    - The monitoring endpoint at which the running server answers, also where the deployment gives it another one. Null
      where no server answers.
  returned: success
  type: str
  sample: http://127.0.0.1:8222
action:
  description: What a deployment asks of the server, one of V(nothing), V(reload), V(restart), V(start).
  returned: success
  type: str
reasons:
  description: Why, a sentence each. Secrets are hidden.
  returned: success
  type: list
  elements: str
release:
  description: What the host keeps of releases, with O(releases) alone.
  returned: when O(releases) is given
  type: dict
  contains:
    current:
      description: The id of the current release, null where there is none.
      returned: always
      type: str
    recorded:
      description: Whether the current release has recorded just these settings and entries.
      returned: always
      type: bool
    lease:
      description: The lease of the deployment that is at work, as M(rosey.nats.nats_release) returns it, or null.
      returned: always
      type: dict
    sequence:
      description: How many leases the host has given, as M(rosey.nats.nats_release) takes it.
      returned: always
      type: int
    damaged:
      description: The names of the files that are damaged. They are left out of account.
      returned: always
      type: list
      elements: str
    no_way_back:
      description: Why the host could not go back to its current release, empty where it could. It is a warning, too.
      returned: always
      type: str
    drops:
      description: The parts of the current release that the next one does not have, by what was accepted in O(run).
      returned: always
      type: list
      elements: str
    access:
      description: >-
        The options by whose change a client that is connected may no longer be, beside the server's configuration of
        the current release.
      returned: always
      type: list
      elements: str
dangers:
  description: What the change cuts off or loses, a sentence each, accepted in O(accept), and what stops writes.
  returned: success
  type: list
  elements: str
accepted:
  description:
    - The words for what is going to happen, whether given in O(accept) or excused by a copy that is brought back, and
      V(all) where that was given, as M(rosey.nats.nats_health) takes them.
  returned: success
  type: list
  elements: str
assets:
  description: How much JetStream holds, null where nobody can tell.
  returned: success
  type: dict
  contains:
    streams: {description: The number of streams., type: int}
    consumers: {description: The number of consumers., type: int}
    messages: {description: "The number of messages, null where it is not known.", type: int}
    bytes: {description: "The bytes of these, likewise.", type: int}
log_file:
  description: The log of the server, null where it has none.
  returned: success
  type: str
store:
  description: >-
    JetStream's store, with C(directory), its C(store_dir), and C(data) in that, C(next), that of the server to come,
    each null where only the server's environment gives it or it is in a container,
    C(before), the version that ran last on it, null where none is known, C(needs_copy), whether it has to be copied
    before the server starts, and C(back), the copy that was made as the host left O(release), null where there is none.
  returned: success
  type: dict
"""

from ansible_collections.rosey.nats.plugins.module_utils._host import python

python.check()

import errno
import grp
import os
import platform
import pwd
import time
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._data import (
    asset_gate,
    asset_record,
    asset_watch,
    assets,
    before_change,
    dangers,
    store,
    store_tree,
    version_line,
)
from ansible_collections.rosey.nats.plugins.module_utils._deploy import entries, record_guard, release
from ansible_collections.rosey.nats.plugins.module_utils._host import (
    access,
    background,
    hardening,
    process,
    sealed,
    service,
    sockets,
    system,
    unit_checks,
    unit_file,
)
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action, Reason, least
from ansible_collections.rosey.nats.plugins.module_utils._host.architecture import Architecture
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath
from ansible_collections.rosey.nats.plugins.module_utils._host.tree import compare, ownership, spec
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    archive,
    client_access,
    conf,
    conf_lexer,
    footprint,
    health,
    health_model,
    http_reader,
    monitoring,
    plan,
    programs,
    read_files,
    server_files,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.options import check, reading

MONITORING_SECONDS = 1.0
# A server starts on a full disk, and then stores nothing.
LEAST_ROOM = 1 << 20


# The danger that no running server has to be asked about.
UNCOPIED_STORE = "uncopied_store"


class ObstacleError(Exception):
    """What keeps the host from taking the deployment: whole sentences that say what to do."""


@dataclass(frozen=True)
class Answering:
    """A running server that answers, and where.

    varz, jsz: what it shows; jsz is None where it does not tell. mark: how it is, to prove a reload later.
    """

    url: str
    varz: http_reader.Answer
    jsz: http_reader.Answer | None
    mark: health_model.Mark


@dataclass(frozen=True)
class Observation:
    """What the module gives: its result, and what is to be warned of."""

    result: dict[str, t.Any]
    warnings: list[str]


@dataclass(frozen=True)
class _Risks:
    """What a change could destroy or hide.

    accept: the words that were given. back: the copy from which what is missing is brought back. returns: whether the
    host goes back to a release. copies: whether the store can be copied, and is to be.
    """

    situation: before_change.Situation
    found: tuple[dangers.Danger, ...]
    accept: frozenset[str]
    back: str | None
    returns: bool
    copies: bool

    @property
    def refusals(self) -> list[str]:
        """Give what is refused, a sentence each."""
        return [
            replace(danger, copied=danger.copied and self.copies).refusal
            for danger in self.found
            if danger.kind is not dangers.Kind.STOPS_WRITES
            and not {danger.name, dangers.ALL} & self.accept
            and not (danger.copied and self.back)
            # going back may be the cure, and is kept from nobody by what is gone already
            and not (danger.name == "gone_streams" and self.returns)
        ]

    @property
    def accepted(self) -> list[str]:
        """Give the words for what is going to happen, with ALL where that was given."""
        found = [danger.name for danger in self.found if danger.kind is not dangers.Kind.STOPS_WRITES]
        if "gone_streams" not in self.accept:
            # what is gone keeps nobody from going back, and is not forgotten by that
            found = [name for name in found if name != "gone_streams"]
        return [*found, *({dangers.ALL} & self.accept)]

    @property
    def copied_for(self) -> list[str]:
        """Give why the store is copied first, though its version stays, a sentence each; nothing on the way back."""
        if dangers.ALL in self.accept or self.situation.action is Action.NOTHING:
            return []
        # what came since the copy that is brought back may be hidden on the way as well
        found = [each.what for each in self.found if each.copied and (self.back or each.name in self.accept)]
        if dangers.converts(self.situation):
            found.append("jetstream: the server encrypts its store anew, and could not read it with the present key")
        return found


# The text of a file by its path, None of one that is not to be there. What is not in it is as the host has it.
_Texts: t.TypeAlias = "Mapping[str, str | None]"
_HOST: _Texts = {}


def _texts(described: Iterable[Mapping[str, t.Any]]) -> dict[str, str | None]:
    """Give what the files of a description hold."""
    absent = {entry["path"]: None for entry in described if entry["state"] == spec.State.ABSENT}
    files = (entry for entry in described if entry["state"] == spec.State.FILE)
    return {**absent, **{entry["path"]: entry.get("content") or entry.get("secret_content") or "" for entry in files}}


def _resolved(
    config: Mapping[str, t.Any],
    config_file: str,
    texts: _Texts,
    environments: Iterable[Mapping[str, str] | None] = (None,),
    included: list[str] | None = None,
) -> Mapping[str, t.Any]:
    """Give a configuration with what it includes, as it is where that can't be read.

    environments: of the server, the first that does. included: takes the paths of the files.
    """
    directory = Path(config_file).parent

    def include(name: str) -> str:
        path = os.path.normpath(directory / name)
        if included is not None:
            included.append(path)
        text = texts.get(path) if path in texts else system.read_text(Path(path))
        if text is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return text

    for variables in environments:
        try:
            return conf.parse(conf.render(config), variables=variables, include=include)
        except (OSError, ValueError, conf_lexer.ConfError):
            continue
    return config


@dataclass(frozen=True)
class _Known:
    """What is known of a host's configurations, to look at JetStream.

    ran: what the server runs, or ran, with, as text; None where that is not known. versions: of which one ran last.
    texts_ran, texts_meant: the files that go with either, as `_texts` gives them. recorded: what the current release
    has of it.
    """

    params: Mapping[str, t.Any]
    running: process.Process | None
    server: Answering | None
    ran: dict[str, t.Any] | str | None
    texts_ran: _Texts
    meant: Mapping[str, t.Any]
    texts_meant: _Texts
    versions: Sequence[str]
    recorded: release.Proven | None

    @cached_property
    def before(self) -> dict[str, t.Any] | None:
        """What the server runs, or ran, with, as far as it can be read."""
        return reading.canonical(self._resolved(self.ran, self.texts_ran)) if isinstance(self.ran, dict) else None

    def data(self) -> Path | None:
        """Give where the server that runs, or ran, keeps its streams; None where that is not known, or a container."""
        if self.params["runtime"] == "docker":
            return None
        shown = (
            ((self.server.varz.get("jetstream") or {}).get("config") or {}).get("store_dir") if self.server else None
        )
        if shown:
            return Path(shown)
        if not any(config and health.meant_jetstream(config) for config in (self.before, self.after)):
            return None
        had_store = self.before is not None and health.meant_jetstream(self.before)
        return self._directory(self.before if had_store and self.before else self.after)

    def held(self, data: Path | None) -> assets.Assets | None:
        """Give what JetStream holds; None where nobody can tell."""
        answers = self.server is not None and self.server.jsz is not None and not self.server.jsz.get("disabled")
        return asset_watch.look(self.server.url if self.server and answers else None, data)

    @cached_property
    def after(self) -> dict[str, t.Any]:
        """What the server is to run with."""
        return reading.canonical(self._resolved(self.meant, self.texts_meant))

    def situation(self, action: Action, held: assets.Assets | None, data: Path | None) -> before_change.Situation:
        """Give what the dangers are judged by."""
        return before_change.Situation(
            after=self.after,
            action=action,
            before=self.before,
            held=held,
            stored=self._stored(action, held, data),
            proven=self._proven,
            unread=self._kept[1],
            varz=self.server.varz if self.server else {},
            ran=self.versions,
            version=self.params["version"],
        )

    @cached_property
    def _proven(self) -> assets.Assets | None:
        proven = self._kept[0]
        return proven.assets if proven else None

    @cached_property
    def _kept(self) -> tuple[asset_record.Proven | None, str]:
        """What was there when it was last proven, or why that can't be told."""
        if not self.params["releases"]:
            return None, ""
        book = asset_record.Book(Path(self.params["releases"]))
        try:
            found = book.proven()
        except sealed.DamagedError as error:
            return None, f"{book.path}: it is damaged ({error})"
        # a server's gate writes it before its release is recorded
        was_written = found is None and self.recorded is not None and self.recorded.at is not None
        return found, f"{book.path}: it is gone" if was_written else ""

    def _stored(self, action: Action, held: assets.Assets | None, data: Path | None) -> assets.Assets | None:
        """Read what stands where the server to come looks for its streams, where that is asked for."""
        directory = None if self.params["runtime"] == "docker" else self._directory(self.after)
        if directory is None:
            return None
        starts = dangers.takes_up_store(action, self.before, self.after)
        is_missed = self._proven is not None and held is not None and any(asset_gate.gone(self._proven, held))
        if not is_missed and not (starts and held):
            return assets.of([])
        if self.server is None and directory == data and held is not None:
            return held
        return asset_watch.look(None, directory) or assets.of([])

    def _directory(self, config: Mapping[str, t.Any]) -> Path | None:
        named = plan.store_directory(config)
        # a relative path begins where both systemd and the process runtime start the server
        return Path("/", named) if named else None

    @cached_property
    def paths(self) -> list[NeededPath]:
        """What the server to come reads and writes."""
        included: list[str] = []
        config = self._resolved(self.meant, self.texts_meant, included)
        read = (("config_file", self.params["config_file"]), *(("include", each) for each in dict.fromkeys(included)))
        return [*(NeededPath(*each, Need.FILE) for each in read), *footprint.paths(config)]

    def _resolved(
        self, config: Mapping[str, t.Any], texts: _Texts, included: list[str] | None = None
    ) -> Mapping[str, t.Any]:
        """Put in what other files and the server's environment say, as far as that is known now.

        included: takes the paths of the files.
        """
        environment = process.environment(self.running) if self.running else {}
        return _resolved(config, self.params["config_file"], texts, (environment, None), included)


def observe(params: Mapping[str, t.Any], run_command: service.RunCommand) -> Observation:
    """Look at the host and give what a deployment means for it; ObstacleError where it can't be done."""
    architecture = programs.find_architecture(platform.machine())
    checksum = _checksum(params, architecture)
    found = _service(params, run_command)
    _check_startable(params, found)
    changes = compare.compare(params["entries"])
    binary = archive.installed(Path(params["directory"]), params["version"], checksum)
    if binary.status is not archive.Status.VERIFIED:
        archive.check_offered(params["archive_for"], architecture, params["version"])
    meant = _meant(params)
    texts_meant = _texts(params["entries"])
    present = _present(Path(params["config_file"]))
    recorded = _recorded(params["releases"])
    texts_recorded = _texts(recorded.part.entries) if recorded else _HOST
    loaded = _loaded(recorded, params["config_file"])
    now = _whole(present, params["config_file"], _HOST) if isinstance(present, dict) else None
    proven = None if loaded is None else _whole(loaded, params["config_file"], texts_recorded)
    then = _whole(meant, params["config_file"], texts_meant)
    found_there, known_loaded = now.config if now else present, proven.config if proven else None
    server = _answering(meant, known_loaded, found_there)
    # a file of somebody else is as it is before and after
    own = [path for path in (now.included if now and now.is_known else ()) if path in {**texts_recorded, **texts_meant}]
    unread = _unread([params["config_file"], *own], found_there, known_loaded, server, recorded)
    reasons = [
        *_restart_reasons(found, binary, changes, params["entries"], recorded),
        *_server_reasons(params, found, binary, server),
        *_config_reasons(unread, found_there, known_loaded, then.config, server),
        *_file_reasons(params, changes, (now or _Whole({}), then), _Read(found.running, server, recorded)),
    ]
    # Whether a container runs is for Docker's own module to find out.
    started = found.running or (params["runtime"] == "docker" and present is not None)
    told = [server.varz["version"]] if server and programs.is_version(server.varz["version"]) else []
    before = told or _versions(params, recorded)
    # what is in a file that the server has not read yet is nothing that it runs with
    is_unknown = loaded is None and unread is not None
    ran = None if is_unknown else loaded if loaded is not None else present
    texts_ran = _HOST if loaded is None else texts_recorded
    known = _Known(params, found.running, server, ran, texts_ran, meant, texts_meant, before, recorded)
    # what the sandbox hides can't be mended by giving it to the account
    _check_unit(params, found, known.paths, changes, run_command)
    if params["runtime"] != "docker":
        _check_access(params, known.paths, changes, found)
        _check_ports(meant, found.running)
        _check_own(params, known.paths, found.running)
        _check_room(meant, server)
    data = known.data()
    held = known.held(data)
    back = _copy_to_bring_back(params)
    copies = params["store_copy"] and params["runtime"] != "docker"

    def risks(action: Action) -> _Risks:
        situation = known.situation(action, held, data)
        return _Risks(
            situation, dangers.find(situation), frozenset(params["accept"]), back, bool(params["release"]), copies
        )

    asked = risks(least(reasons) if started else Action.START)
    if asked.copied_for and asked.situation.action is Action.RELOAD:
        # a store is only copied while nobody writes to it
        reasons.append(Reason("store", "in use", "copied first", Action.RESTART))
        asked = risks(Action.RESTART)
    if asked.refusals:
        raise ObstacleError("\n".join(asked.refusals))
    repairs = ownership.repairs(change for change in changes if not _is_unit(change.path))
    result = {
        "architecture": architecture.name,
        "archive": programs.release_name(params["version"], architecture),
        "packages": system.missing_packages(["requests"]),
        "user_exists": _exists(pwd.getpwnam, params["user"]),
        "group_exists": _exists(grp.getgrnam, params["group"]),
        "binary": {
            "installed": binary.status is archive.Status.VERIFIED,
            "linked": archive.look_at_link(Path(params["link"])).target == str(binary.binary),
            "reason": binary.reason,
        },
        "changes": [change.as_result() for change in changes],
        "unit_changed": found.unread or any(_is_unit(change.path) for change in changes),
        "service": found.as_result(),
        "drop_ins": unit_checks.told(found.drop_ins),
        "mark": asdict(server.mark) if server else None,
        "monitoring_url": server.url if server else None,
        "action": str(asked.situation.action),
        "reasons": [str(reason) for reason in (*(reasons if started else ()), *repairs)],
        "dangers": [danger.what for danger in asked.found],
        "accepted": asked.accepted,
        "assets": held.counts() if held else None,
        "log_file": reading.canonical(meant).get("log_file"),
        "store": _store(params, data, before, asked),
    }
    return Observation(result, [danger.what for danger in asked.found if danger.kind is dangers.Kind.STOPS_WRITES])


def _checksum(params: Mapping[str, t.Any], architecture: Architecture) -> str | None:
    checksums = params["checksums"]
    if not checksums:
        return None
    if architecture.name not in checksums:
        raise ObstacleError(
            f"checksums of nats-server {params['version']} has none for {architecture.name}, the host's architecture; "
            f"expected one of {', '.join(sorted(checksums))}. Add the SHA-256 sum of that archive."
        )
    return str(checksums[architecture.name])


def _service(params: Mapping[str, t.Any], run_command: service.RunCommand) -> service.Service:
    if params["runtime"] == "process":
        server = background.Server(Path(params["link"]), Path(params["config_file"]), Path(params["pid_file"]))
        return service.Service(exists=True, enabled=True, running=background.find(server))
    if params["runtime"] == "docker":
        return service.Service(exists=True, enabled=True, running=None)
    return service.look_up(params["service"], run_command)


def _goes_back(params: Mapping[str, t.Any]) -> bool:
    """Tell whether the host goes back because a deployment failed: then nothing better can be had than what can be."""
    return bool(params["release"]) and dangers.ALL in params["accept"]


def _check_startable(params: Mapping[str, t.Any], found: service.Service) -> None:
    """Refuse a service that nothing can start; a unit that is broken is written anew."""
    if found.masked and not _goes_back(params):
        raise ObstacleError(unit_checks.not_startable(params["service"], found))


def _check_unit(
    params: Mapping[str, t.Any],
    found: service.Service,
    paths: Iterable[NeededPath],
    changes: Iterable[compare.Change],
    run_command: service.RunCommand,
) -> None:
    """Refuse what systemd would not do with the unit that is meant, and what is laid over it."""
    texts = [entry["content"] for entry in params["entries"] if _is_unit(entry["path"]) and entry["content"]]
    if not texts or _goes_back(params):
        return
    unit = unit_file.parse(texts[0])
    whole = [*unit, *found.drop_ins]
    is_new = found.unread or any(_is_unit(change.path) for change in changes)
    problems = [*unit_checks.overridden("nats_server", unit, found.drop_ins, unit_checks.SERVER_SETTINGS)]
    if found.broken and not is_new and not problems:
        problems.append(str(unit_checks.not_startable(params["service"], found)))
    needed = [NeededPath("link", params["link"], Need.FILE), *paths]
    problems += unit_checks.out_of_reach(whole, needed, os.path.realpath)
    # what runs has shown that it can be run
    if not problems and (is_new or not found.running):
        trial = service.Trial(params["service"], run_command)
        faults = hardening.faults(hardening.to_try(whole), trial)
        problems += filter(None, [unit_checks.not_applied(params["service"], faults)])
    if problems:
        raise ObstacleError("\n".join(problems))


def _meant(params: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give the configuration that the entries describe."""
    for entry in params["entries"]:
        if entry["path"] == params["config_file"]:
            config = conf.parse(entry["content"] or entry["secret_content"])
            found = check.problems(config)
            if found:
                raise ObstacleError("\n".join(["nats-server would not accept this:", *map(str, found)]))
            if unknown := footprint.unknown(config):
                raise ObstacleError("\n".join(map(str, unknown)))
            return config
    raise ObstacleError(f"entries has no {params['config_file']}, which config_file names. Add its entry.")


def _check_access(
    params: Mapping[str, t.Any],
    paths: Iterable[NeededPath],
    changes: Sequence[compare.Change],
    found: service.Service,
) -> None:
    """Refuse what the account that runs the server can't read or write, as the host will be by then."""
    account = system.account_to_be(params["user"] or "", params["group"] or "", found.groups)
    try:
        # what is set aside makes way for a file with the owner and mode that are described
        anew = {change.path for change in changes if change.aside}
        wanted = [path for path in paths if path.path not in anew]
        faults = access.faults(wanted, account, ownership.outcome(changes, account))
    except OSError as error:
        raise ObstacleError(f"{error.filename}: it can't be looked at: {error.strerror}. Run with become.") from error
    if faults:
        raise ObstacleError("\n".join(fault.refusal for fault in faults))


def _check_ports(config: Mapping[str, t.Any], running: process.Process | None) -> None:
    endpoints = {(endpoint.host, endpoint.port): endpoint.option for endpoint in footprint.endpoints(config)}
    for taken in sockets.taken(endpoints, [running.pid] if running else []):
        raise ObstacleError(
            f"{endpoints[taken.host, taken.port]}: {taken.port}: {taken}. Stop that process, or choose another port."
        )


def _check_own(params: Mapping[str, t.Any], paths: Iterable[NeededPath], running: process.Process | None) -> None:
    """Refuse to share a store, a log or another file with a server that runs."""
    pid_file = Path(params["pid_file"]) if params["runtime"] == "process" else None
    if clashes := server_files.clashes(paths, Path(params["config_file"]), running, pid_file):
        raise ObstacleError("\n".join(each.refusal for each in clashes))


def _check_room(config: Mapping[str, t.Any], server: Answering | None) -> None:
    """Look for room in a store that the running server does not have yet."""
    canonical = reading.canonical(config)
    directory = plan.store_directory(canonical)
    shown = ((server.varz.get("jetstream") or {}).get("config") or {}).get("store_dir") if server else None
    if directory is None or not health.meant_jetstream(canonical) or shown == directory:
        return
    there = next(path for path in (Path(directory), *Path(directory).parents) if path.is_dir())
    space = os.statvfs(there)
    free = space.f_bavail * space.f_frsize
    if free < LEAST_ROOM:
        raise ObstacleError(
            f"jetstream.store_dir: {directory}: {free} bytes are free there; expected at least {LEAST_ROOM}, else no "
            "message can be stored. Make room, or name another directory."
        )


def _present(config_file: Path) -> dict[str, t.Any] | str | None:
    """Give the configuration that is there: parsed, as the reason why it can't be, or None where there is none."""
    try:
        return conf.parse(system.read_text(config_file))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except conf_lexer.ConfError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)


def _recorded(releases: str | None) -> release.Proven | None:
    """Give what the host's current release says of the server."""
    return release.Store(Path(releases)).proven("server") if releases else None


def _loaded(recorded: release.Proven | None, config_file: str) -> dict[str, t.Any] | None:
    """Give the configuration that was last proven; without one that can be read there is only more to restart for."""
    for entry in recorded.part.entries if recorded else ():
        if entry["path"] == config_file:
            try:
                return conf.parse(entry.get("content") or entry.get("secret_content") or "")
            except conf_lexer.ConfError:
                return None
    return None


def _changed_access(params: Mapping[str, t.Any]) -> tuple[str, ...]:
    """Name what changes, beside the current release, of what a client connects by; nothing where that is not known."""
    current = release.Store(Path(params["releases"])).current() if params["releases"] else None
    part = current.parts.get("server") if current else None
    config_file = str(part.settings.get("config_file") or params["config_file"]) if part else ""
    before = _loaded(release.Proven(part, None), config_file) if part else None
    if part is None or before is None:
        return ()
    return client_access.changes(
        _resolved(before, config_file, _texts(part.entries)),
        _resolved(_meant(params), params["config_file"], _texts(params["entries"])),
    )


def _versions(params: Mapping[str, t.Any], recorded: release.Proven | None) -> list[str]:
    """Give the versions of which one ran last, where no server answers: the linked one, and the one that was proven.

    The caller may know better.
    """
    if params["ran_last"]:
        return [params["ran_last"]]
    target = Path(archive.look_at_link(Path(params["link"])).target or ".")
    linked = target.parent.name if target.parent.parent == Path(params["directory"]) else None
    proven = recorded.part.settings.get("version") if recorded else None
    return [each for each in (linked, proven) if isinstance(each, str) and programs.is_version(each)]


def _store(
    params: Mapping[str, t.Any], data: Path | None, versions: Sequence[str], risks: _Risks
) -> dict[str, str | bool | None]:
    """Tell whether JetStream's store has to be copied; ObstacleError where it would have to be and is not.

    data: where it is. versions: those of which one ran last. In doubt the store is that of the one that asks for a
    copy.
    """
    version, config = params["version"], risks.situation.after
    other = next((each for each in versions if version_line.needs_copy(each, version)), None)
    before = other or next(iter(versions), None)
    found = {
        "directory": str(data.parent) if data else None,
        "next": _next_directory(params, risks.situation.after),
        "data": str(data) if data else None,
        "before": before,
        "needs_copy": False,
        "back": risks.back,
    }
    if not (risks.copied_for or (other and health.meant_jetstream(config))):
        return found
    why = risks.copied_for or [f"nats_server_version is {version}, and {before} ran here"]
    if params["runtime"] == "docker":
        what = f"{'; '.join(why)}; the store of a container can't be copied"
        danger = dangers.Danger(UNCOPIED_STORE, dangers.Kind.CUTS_OFF, what, copied=False)
        if not {danger.name, dangers.ALL} & risks.accept:
            raise ObstacleError(danger.refusal)
        return found
    if not params["store_copy"]:
        return found
    if data is None:
        # on the way back there is nothing better
        if dangers.ALL in risks.accept:
            return found
        raise ObstacleError(
            f"jetstream.store_dir: a variable gives it, so the store of {before} can't be found to be copied before "
            f"{version} starts on it. Give the path itself, or set nats_server_store_copy to false."
        )
    if params["copies"]:
        copies = Path(params["copies"])
        store.check(store.plan(data.parent, copies, before or version), copies)
    return {**found, "before": before or version, "needs_copy": True}


def _next_directory(params: Mapping[str, t.Any], config: Mapping[str, t.Any]) -> str | None:
    """Give the store_dir of the server to come; None where that is not known, or in a container."""
    named = None if params["runtime"] == "docker" else plan.store_directory(config)
    return str(Path("/", named).parent) if named else None


def _copy_to_bring_back(params: Mapping[str, t.Any]) -> str | None:
    """Give the copy of the store that was made as the host left the release that it goes back to."""
    if not params["release"] or not params["copies"] or params["runtime"] == "docker":
        return None
    if params["back"] is not None:
        return str(params["back"]) or None
    copies, _damaged = store.list_copies(Path(params["copies"]))
    return next((str(copy.path) for copy in copies if copy.release == params["release"]["id"]), None)


def _answering(meant: Mapping[str, t.Any], *configs: dict[str, t.Any] | str | None) -> Answering | None:
    """Give the running server that one of these configurations leads to; None where none answers."""
    if not http_reader.HAS_REQUESTS:
        return None
    for config in configs:
        if not isinstance(config, dict) or check.problems(config) or footprint.unknown(config):
            continue
        url = footprint.monitoring_url(config)
        if url is None:
            continue
        log_file = reading.canonical(config).get("log_file")
        try:
            # a configuration that somebody wrote by hand may give no URL
            monitor = monitoring.Monitor(url, timeout=MONITORING_SECONDS)
            varz = monitor.varz()
        except http_reader.MonitoringError:
            continue
        try:
            jsz = monitor.jsz()
        except http_reader.MonitoringError:
            jsz = None
        mark = health.mark(varz, log_file and Path(log_file))
        return Answering(url, health.with_jetstream(varz, jsz), jsz, mark)
    return None


def _restart_reasons(
    found: service.Service,
    binary: archive.Installation,
    changes: Iterable[compare.Change],
    entries: Iterable[Mapping[str, t.Any]],
    recorded: release.Proven | None,
) -> Iterator[Reason]:
    """Name what a running server only takes up with a new process."""
    if found.running and not _runs(found.running, binary):
        yield Reason("binary", str(found.running.executable), str(binary.binary), Action.RESTART)
    changed = {change.path: change for change in changes}
    for entry in (entry for entry in entries if _is_unit(entry["path"])):
        path, change = entry["path"], changed.get(entry["path"])
        if change and _is_another_unit(change):
            yield Reason("unit", path, ", ".join(change.what), Action.RESTART)
        elif found.running and (found.unread or not _has_taken_up(found.running, entry, recorded)):
            yield Reason("unit", path, "not in effect yet", Action.RESTART)


def _is_another_unit(change: compare.Change) -> bool:
    """Tell whether a unit comes, goes, or means something else; a comment and a mode are nothing to its process."""
    if change.entry.state is not spec.State.FILE or change.before is None:
        return True
    before, after = (content.decode(errors="replace") for content in (change.before, change.entry.content))
    return unit_file.parse(before) != unit_file.parse(after)


def _has_taken_up(running: process.Process, entry: Mapping[str, t.Any], recorded: release.Proven | None) -> bool:
    """Tell whether a process was started with what a unit means, whenever its file was written since."""
    path = entry["path"]
    if not running.is_older_than(Path(path)):
        return True
    proven = [each.get("content") or "" for each in recorded.part.entries if each["path"] == path] if recorded else []
    meant = unit_file.parse(entry.get("content") or "")
    return _is_proven_since(recorded, running.started_at_second) and meant in map(unit_file.parse, proven)


def _is_proven_since(recorded: release.Proven | None, moment: float) -> bool:
    """Tell whether the record is of what was taken up at this moment, in seconds, and of nothing that came later."""
    return bool(recorded and recorded.at and moment <= recorded.at.timestamp() <= time.time())


def _runs(running: process.Process, binary: archive.Installation) -> bool:
    """Tell whether a process was started from the pinned binary; /proc has its path without the links to it."""
    return running.executable == system.real(binary.binary)


def _is_unit(path: str) -> bool:
    return path.endswith(".service")


def _server_reasons(
    params: Mapping[str, t.Any], found: service.Service, binary: archive.Installation, server: Answering | None
) -> Iterator[Reason]:
    """Name what a running server was started with instead of what is meant."""
    version = params["version"]
    runs_it = found.running is None or _runs(found.running, binary)
    if server and runs_it and server.varz["version"] != version:
        yield Reason("version", server.varz["version"], version, Action.RESTART)
    config_file = Path(params["config_file"])
    if found.running:
        started_with = process.config_file(found.running)
        if started_with is None or system.real(started_with) != system.real(config_file):
            yield Reason("configuration file", str(started_with), str(config_file), Action.RESTART)


def _config_reasons(
    unread: tuple[str, str, str] | None,
    present: dict[str, t.Any] | str | None,
    loaded: dict[str, t.Any] | None,
    meant: Mapping[str, t.Any],
    server: Answering | None,
) -> Iterator[Reason]:
    """Name what differs between what the server runs with and what is meant."""
    if unread:
        # Where it is known what the server runs with, a reload makes it read what then stands there.
        action = Action.RESTART if loaded is None else Action.RELOAD
        yield Reason(*unread, action)
    known = loaded if unread else present
    before = present if known is None else known
    if not isinstance(before, dict):
        return
    found = plan.reasons(before, meant, server.varz if server and known is not None else None)
    if found and not unread and loaded is not None and plan.reasons(loaded, before):
        yield Reason("configuration file", "as last proven", "changed and read since", Action.NOTHING)
    yield from found


@dataclass(frozen=True)
class _Whole:
    """A configuration with what it includes.

    included: the paths of what it includes. is_known: whether all of that could be read.
    """

    config: dict[str, t.Any]
    included: tuple[str, ...] = ()
    is_known: bool = True


def _whole(config: dict[str, t.Any], config_file: str, texts: _Texts) -> _Whole:
    if not reading.has_include(config):
        return _Whole(config)
    included: list[str] = []
    whole = dict(_resolved(config, config_file, texts, included=included))
    return _Whole(whole, tuple(dict.fromkeys(included)), not reading.has_include(whole))


def _unread(
    files: Sequence[str],
    present: dict[str, t.Any] | str | None,
    loaded: dict[str, t.Any] | None,
    server: Answering | None,
    recorded: release.Proven | None,
) -> tuple[str, str, str] | None:
    """Tell of a file that is not what the running server read, as after a deployment that was cut off.

    files: the configuration, and what it includes. What was written since and means what the server was proven with,
    after it had read that, is none.
    """
    what = "configuration file"
    if present is None:
        return what, "no such file", "as described"
    if isinstance(present, str):
        return what, f"not readable, {present}", "as described"
    read = monitoring.moment(server.mark.config_load_time) if server else None
    if read is None:
        return None
    if system.is_ahead(int(read.timestamp() * 1e9)):
        return what, f"read {read:%F %T}, which is yet to come", "as described"
    is_proven = loaded is not None and _is_proven_since(recorded, read.timestamp())
    later = [file for file in files if system.written(Path(file).stat()) / 1e9 > read.timestamp()]
    if not later or (is_proven and loaded is not None and not plan.reasons(loaded, present)):
        return None
    return what if later[0] == files[0] else f"included file {later[0]}", f"read {read:%F %T}", "written since"


@dataclass(frozen=True)
class _Read:
    """When a server read its files, as far as it is known: as it was started, and as it last read its configuration."""

    running: process.Process | None
    server: Answering | None
    recorded: release.Proven | None

    def has_taken_up(self, entry: Mapping[str, t.Any], action: Action) -> bool:
        """Tell whether it was written before, or says what was proven since; so too where nothing is known of that."""
        path = Path(entry["path"])
        if action is Action.RESTART:
            moment = self.running.started_at_second if self.running and self.running.is_older_than(path) else None
        else:
            moment = self._loaded_before(path)
        if moment is None:
            return True
        proven = _texts(self.recorded.part.entries).get(entry["path"]) if self.recorded else None
        return proven == _texts([entry]).get(entry["path"], "") and _is_proven_since(self.recorded, moment)

    def _loaded_before(self, path: Path) -> float | None:
        """Give when the configuration was read, in seconds, where that was before a file was written."""
        read = monitoring.moment(self.server.mark.config_load_time) if self.server else None
        try:
            is_before = read is not None and read.timestamp() < system.written(path.stat()) / 1e9
        except OSError:
            return None
        return read.timestamp() if read and is_before else None


def _file_reasons(
    params: Mapping[str, t.Any], changes: Iterable[compare.Change], configs: tuple[_Whole, _Whole], read: _Read
) -> Iterator[Reason]:
    """Name the files beside the configuration and the units that the server has to take up anew.

    configs: what is on the host, and what is meant.
    """
    compared = {params["config_file"], *(path for each in configs if each.is_known for path in each.included)}
    unknown = {path for each in configs if not each.is_known for path in each.included}
    named = [tuple(read_files.named(each.config)) for each in configs]
    entries = {entry["path"]: entry for entry in params["entries"]}
    changed = {change.path: change for change in changes}
    for path in dict.fromkeys((*entries, *changed)):
        change = changed.get(path)
        entry = {"state": change.entry.state, "reader": change.entry.reader} if change else entries[path]
        if path in compared - unknown or _is_unit(path) or entry["state"] in (spec.State.DIRECTORY, spec.State.OWNED):
            continue
        before, after = ({file for file in each if _is_read(path, file)} for each in named)
        is_unknown = path in unknown or (entry["reader"] == read_files.READER and not before | after)
        # what one of them alone names comes or goes with its option
        found = before & after or ({read_files.unnamed(path)} if is_unknown else set())
        what = [aspect for aspect in change.what if aspect not in compare.METADATA] if change else []
        for file in sorted(found, key=lambda each: each.option):
            if what:
                yield Reason(file.option, path, ", ".join(what), file.action)
            elif path in entries and not read.has_taken_up(entries[path], file.action):
                yield Reason(file.option, path, "not in effect yet", file.action)


def _is_read(path: str, file: read_files.ReadFile) -> bool:
    """Tell whether a path is a file, or a link on the way to it."""
    places = Path(file.path), system.real(Path(file.path))
    return any(Path(path) in (place, *place.parents) for place in places)


def _exists(look_up: Callable[[str], object], name: str | None) -> bool:
    try:
        return name is None or bool(look_up(name))
    except KeyError:
        return False


def main() -> None:
    """Run the module."""
    module = entries.EntriesModule(
        argument_spec={
            "runtime": {"type": "str", "required": True, "choices": ["systemd", "docker", "process"]},
            "service": {"type": "str", "default": "nats"},
            "user": {"type": "str"},
            "group": {"type": "str"},
            "pid_file": {"type": "path"},
            "version": {"type": "str", "required": True},
            "checksums": {"type": "dict", "default": {}},
            "archive_for": {"type": "list", "elements": "str", "default": []},
            "directory": {"type": "path", "required": True},
            "link": {"type": "path", "required": True},
            "config_file": {"type": "path", "required": True},
            "releases": {"type": "path"},
            "settings": {"type": "dict"},
            "run": record_guard.ARGUMENT,
            **entries.SPEC,
            "store_copy": {"type": "bool", "default": True},
            "copies": {"type": "path"},
            "ran_last": {"type": "str"},
            "back": {"type": "str"},
            "accept": {
                "type": "list",
                "elements": "str",
                "choices": [dangers.ALL, *dangers.WORDS, UNCOPIED_STORE],
                "default": [],
            },
        },
        required_if=[("runtime", "process", ["pid_file"])],
        supports_check_mode=True,
    )
    try:
        given = module.params
        changed = _changed_access(given)
        drops = record_guard.consult(given, access=changed, files=asset_record.WRITTEN) if given["releases"] else ()
        observation = observe(given, service.run_with(module))
        found = observation.result
        if given["releases"]:
            known = release.observe(Path(given["releases"]), ["server"], given["settings"], given["entries"])
            found["release"] = {**known, "drops": list(drops), "access": list(changed)}
            entries.warn_of_no_way_back(module, known)
    except (
        ObstacleError,
        programs.ArchiveError,
        conf_lexer.ConfError,
        http_reader.MonitoringError,
        background.ProcessError,
        sealed.ReleaseError,
        service.ServiceError,
        spec.StateError,
        store_tree.StoreError,
    ) as error:
        module.fail_json(msg=str(error))
    for warning in observation.warnings:
        module.warn(warning)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
