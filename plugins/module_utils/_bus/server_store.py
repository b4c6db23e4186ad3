# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of JetStream's store before a deployment, what could be lost of it, and whether it is copied."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ansible_collections.rosey.nats.plugins.module_utils._bus import part_arguments, turns
from ansible_collections.rosey.nats.plugins.module_utils._bus.server_obstacles import ObstacleError
from ansible_collections.rosey.nats.plugins.module_utils._data import (
    asset_gate,
    asset_record,
    asset_watch,
    assets,
    before_change,
    cluster_store,
    dangers,
    store,
    version_line,
)
from ansible_collections.rosey.nats.plugins.module_utils._deploy import release
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file, process
from ansible_collections.rosey.nats.plugins.module_utils._host.action import Action
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath
from ansible_collections.rosey.nats.plugins.module_utils._server import (
    answers,
    archive,
    health,
    included_files,
    plan,
    programs,
    requirements,
)
from ansible_collections.rosey.nats.plugins.module_utils._server.answering import Answering
from ansible_collections.rosey.nats.plugins.module_utils._server.included_files import Texts
from ansible_collections.rosey.nats.plugins.module_utils._server.options import reading

# The danger that no running server has to be asked about.
UNCOPIED_STORE = "uncopied_store"


@dataclass(frozen=True)
class Risks:
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
    def warnings(self) -> tuple[str, ...]:
        """Give what stops writes, a sentence each."""
        return tuple(danger.what for danger in self.found if danger.kind is dangers.Kind.STOPS_WRITES)

    @property
    def accepted(self) -> list[str]:
        """Give the words for what is going to happen, with those that were given for whatever may be."""
        words = [danger.name for danger in self.found if danger.kind is not dangers.Kind.STOPS_WRITES]
        if "gone_streams" not in self.accept:
            # what is gone keeps nobody from going back, and is not forgotten by that
            words = [name for name in words if name != "gone_streams"]
        return [*words, *sorted({dangers.ALL, turns.QUORUM, turns.FOREIGN} & self.accept - {*words})]

    @property
    def copied_for(self) -> list[str]:
        """Give why the store is copied first, though its version stays, a sentence each; nothing on the way back."""
        if dangers.ALL in self.accept or self.situation.action is Action.NOTHING:
            return []
        # what came since the copy that is brought back may be hidden on the way as well
        sentences = [each.what for each in self.found if each.copied and (self.back or each.name in self.accept)]
        if dangers.converts(self.situation):
            sentences.append(
                "jetstream: the server encrypts its store anew, and could not read it with the present key"
            )
        return sentences


@dataclass(frozen=True)
class Known:
    """What is known of a host's configurations, to look at JetStream.

    ran: what the server runs, or ran, with, as text; None where that is not known. versions: of which one ran last.
    texts_ran, texts_meant: the files that go with either, as texts_of gives them.
    """

    params: Mapping[str, t.Any]
    running: process.Process | None
    server: Answering | None
    ran: dict[str, t.Any] | str | None
    texts_ran: Texts
    meant: Mapping[str, t.Any]
    texts_meant: Texts
    versions: Sequence[str]

    @cached_property
    def before(self) -> dict[str, t.Any] | None:
        """What the server runs, or ran, with, as far as it can be read."""
        return reading.canonical(self._resolved(self.ran, self.texts_ran)) if isinstance(self.ran, dict) else None

    def data(self) -> Path | None:
        """Give where the server that runs, or ran, keeps its streams; None where that is not known, or a container."""
        if self.params["runtime"] == "docker":
            return None
        if self.server and (shown := answers.store_directory(self.server.varz)):
            return Path(shown)
        if not any(config and health.meant_jetstream(config) for config in (self.before, self.after)):
            return None
        had_store = self.before is not None and health.meant_jetstream(self.before)
        return _directory(self.before if had_store and self.before else self.after)

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
        directory = _to_come(self.params, self.after)
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
            peers=None if directory is None else cluster_store.peers(directory, self._system_account),
            members=tuple(part_arguments.members(self.params["settings"] or {})),
        )

    def stream_groups(self) -> list[str] | None:
        """Name the groups of streams with replicas that a member of a cluster finds; None where they are too many."""
        directory = _to_come(self.params, self.after)
        if directory is None or not before_change.is_clustered(self.after):
            return []
        return cluster_store.stream_groups(directory, self._system_account)

    @property
    def foreign(self) -> str:
        """Say that the server runs on the store of another cluster; empty where it does not."""
        if self.server is None or self.params["runtime"] == "docker":
            return ""
        varz = self.server.varz
        return str(cluster_store.foreign(varz, cluster_store.peers_of(varz)) or "")

    @property
    def _system_account(self) -> str:
        return before_change.system_account(self.after)

    @cached_property
    def _proven(self) -> assets.Assets | None:
        proven = self._kept[0]
        return proven.assets if proven else None

    @cached_property
    def _kept(self) -> tuple[asset_record.Proven | None, str]:
        """What was there when it was last proven, or why that can't be told."""
        if not self.params["release_dir"]:
            return None, ""
        book = asset_record.Book(Path(self.params["release_dir"]))
        try:
            proven = book.proven()
        except atomic_file.DamagedError as error:
            return None, f"{book.path}: it is damaged ({error})"
        # a server's gate writes it before its release is recorded
        was_written = proven is None and release.Store(Path(self.params["release_dir"])).kept_streams()
        return proven, f"{book.path}: it is gone" if was_written else ""

    def _stored(self, action: Action, held: assets.Assets | None, data: Path | None) -> assets.Assets | None:
        """Read what stands where the server to come looks for its streams, where that is asked for."""
        directory = _to_come(self.params, self.after)
        if directory is None:
            return None
        starts = dangers.takes_up_store(action, self.before, self.after)
        is_missed = self._proven is not None and held is not None and any(asset_gate.gone(self._proven, held))
        if not is_missed and not (starts and held):
            return assets.of([])
        if self.server is None and directory == data and held is not None:
            return held
        return asset_watch.look(None, directory) or assets.of([])

    @cached_property
    def paths(self) -> list[NeededPath]:
        """What the server to come reads and writes."""
        included: list[str] = []
        config = self._resolved(self.meant, self.texts_meant, included)
        read = (("config_file", self.params["config_file"]), *(("include", each) for each in dict.fromkeys(included)))
        return [*(NeededPath(*each, Need.FILE) for each in read), *requirements.paths(config)]

    def _resolved(
        self, config: Mapping[str, t.Any], texts: Texts, included: list[str] | None = None
    ) -> Mapping[str, t.Any]:
        """Put in what other files and the server's environment say, as far as that is known now.

        included: takes the paths of the files.
        """
        environment = process.environment(self.running) if self.running else {}
        return included_files.resolved(config, self.params["config_file"], texts, (environment, None), included)


def versions_before(params: Mapping[str, t.Any], recorded: release.Proven | None) -> list[str]:
    """Give the versions of which one ran last, where no server answers: the linked one, and the one that was proven.

    The caller may know better.
    """
    if params["ran_last"]:
        return [params["ran_last"]]
    target = Path(archive.look_at_link(Path(params["link"])).target or ".")
    linked = target.parent.name if target.parent.parent == Path(params["directory"]) else None
    proven = recorded.part.settings.get("version") if recorded else None
    return [each for each in (linked, proven) if isinstance(each, str) and programs.is_version(each)]


def result_of(
    params: Mapping[str, t.Any], data: Path | None, versions: Sequence[str], risks: Risks
) -> dict[str, str | bool | None]:
    """Tell whether JetStream's store has to be copied; ObstacleError where it would have to be and is not.

    data: where it is. versions: those of which one ran last. In doubt the store is that of the one that asks for a
    copy.
    """
    version, config = params["version"], risks.situation.after
    to_come = _to_come(params, config)
    other = next((each for each in versions if version_line.needs_copy(each, version)), None)
    before = other or next(iter(versions), None)
    result = {
        "directory": str(data.parent) if data else None,
        "next": str(to_come.parent) if to_come else None,
        "data": str(data) if data else None,
        "before": before,
        "needs_copy": False,
        "back": risks.back,
    }
    if not (risks.copied_for or (other and health.meant_jetstream(config))):
        return result
    why = risks.copied_for or [f"nats_server_version is {version}, and {before} ran here"]
    if params["runtime"] == "docker":
        what = f"{'; '.join(why)}; the store of a container can't be copied"
        danger = dangers.Danger(UNCOPIED_STORE, dangers.Kind.CUTS_OFF, what, copied=False)
        if not {danger.name, dangers.ALL} & risks.accept:
            raise ObstacleError(danger.refusal)
        return result
    if not params["store_copy"]:
        return result
    if data is None:
        # on the way back there is nothing better
        if dangers.ALL in risks.accept:
            return result
        raise ObstacleError(
            f"jetstream.store_dir: a variable gives it, so the store of {before} can't be found to be copied before "
            f"{version} starts on it. Give the path itself, or set nats_server_store_copy to false."
        )
    if params["copies"]:
        copies = Path(params["copies"])
        store.check(store.plan(data.parent, copies, before or version), copies)
    return {**result, "before": before or version, "needs_copy": True}


def _to_come(params: Mapping[str, t.Any], config: Mapping[str, t.Any]) -> Path | None:
    """Give where the server to come looks for its streams; None where that is not known, or in a container."""
    return None if params["runtime"] == "docker" else _directory(config)


def _directory(config: Mapping[str, t.Any]) -> Path | None:
    named = plan.store_directory(config)
    # a relative path begins where both systemd and the process runtime start the server
    return Path("/", named) if named else None


def copy_to_bring_back(params: Mapping[str, t.Any]) -> str | None:
    """Give the copy of the store that was made as the host left the release that it goes back to."""
    if not params["release"] or not params["copies"] or params["runtime"] == "docker":
        return None
    if params["back"] is not None:
        return str(params["back"]) or None
    copies, _damaged = store.list_copies(Path(params["copies"]))
    return next((str(copy.path) for copy in copies if copy.release == params["release"]["id"]), None)
