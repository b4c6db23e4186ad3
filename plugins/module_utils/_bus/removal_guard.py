# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps something from being taken away from a host: who else uses it, and what is behind a link or a mount."""

from __future__ import annotations

import grp
import os
import pwd
import re
import socket
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.rosey.nats.plugins.module_utils._bus import remains
from ansible_collections.rosey.nats.plugins.module_utils._bus.remains import Account, Remains
from ansible_collections.rosey.nats.plugins.module_utils._data import asset_record
from ansible_collections.rosey.nats.plugins.module_utils._deploy import described, history, lease, release, release_id
from ansible_collections.rosey.nats.plugins.module_utils._host import atomic_file, process, system, unit_file
from ansible_collections.rosey.nats.plugins.module_utils._server import server_files
from ansible_collections.rosey.nats.plugins.module_utils._server.options import lookup

_MOUNTS = Path("/proc/self/mountinfo")
_FIELD_OF_PLACE = 4
_ESCAPED = re.compile(r"\\([0-7]{3})")
_FIRST_OF_PEOPLE = 1000
_NO_LOGIN = ("nologin", "false")
_PLACES_OF_RELEASES = (Path("/var/lib"), Path("/srv"), Path("/opt"))
_PLACES_OF_PROGRAMS = (Path("/usr/local/bin"), Path("/usr/local/sbin"), Path("/usr/bin"))
_PATH = re.compile(r"/[^\s\"';,:]+")
# what a file says that is whole, and not what was written there
_WRONG = (AttributeError, KeyError, TypeError, ValueError)


def mounts(text: str) -> frozenset[str]:
    """Give the places of the mounts that /proc/self/mountinfo tells of."""
    fields = (line.split(" ") for line in text.splitlines())
    places = (each[_FIELD_OF_PLACE] for each in fields if len(each) > _FIELD_OF_PLACE)
    return frozenset(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), each) for each in places)


class Places:
    """The directories that were deployed, and what of them leads elsewhere."""

    def __init__(self, directories: Iterable[str]) -> None:
        self._tops = frozenset(map(Path, directories))
        self._mounts = frozenset(map(Path, mounts(system.read_text(_MOUNTS, "surrogateescape"))))

    def obstacle(self, path: Path) -> str:
        """Say which link or mount is between a deployed directory and what is in it; empty for none."""
        for above in (path, *path.parents):
            if above != path and self._tops.isdisjoint((above, *above.parents)):
                return ""
            if above != path and above.is_symlink():
                return f"{above} is a link, to {above.readlink()}"
            if self._is_mount(above):
                return f"{above} is a mount of its own"
        return ""

    def strange_below(self, tree: Path) -> str:
        """Say which link or mount is in a directory; empty for none."""
        for above, directories, files in os.walk(tree):
            for entry in (Path(above, name) for name in (*directories, *files)):
                if entry.is_symlink():
                    return f"{entry} is a link, to {entry.readlink()}"
                if self._is_mount(entry):
                    return f"{entry} is a mount of its own"
        return ""

    def _is_mount(self, path: Path) -> bool:
        return path in self._mounts or Path(os.path.realpath(path)) in self._mounts


class Others:
    """Who else is on the host: servers that run, services, and deployments of their own.

    own: the servers that run with the configuration of the newest release. active_units: of units that only an older
    one had, and whose service is enabled or runs, why each stays. unreadable: what of other deployments is damaged, a
    sentence for the directory of the releases of each; nobody knows what these need.
    """

    def __init__(self, known: Remains, releases: Path) -> None:
        configs = [Path(each["config_file"]) for each in known.servers[:1] if each.get("config_file")]
        running = [*server_files.servers()]
        self.own = [each for each in running if _is_of(each, configs)]
        self._servers = [each for each in running if each not in self.own]
        old = [each for each in known.units if each not in known.current]
        self.active_units = {each: why for each in old if (why := _activity(each))}
        self._units = dict(_units(frozenset({*known.units} - self.active_units.keys())))
        self._deployed: dict[str, Remains] = {}
        self.unreadable: dict[str, str] = {}
        for directory in _directories_of_others(releases):
            try:
                self._deployed[str(directory)] = _read(directory)
            except (atomic_file.ReleaseError, atomic_file.DamagedError, OSError, *_WRONG) as error:
                self.unreadable[str(directory)] = str(error)

    def use(self, path: Path) -> str:
        """Say who else uses a path, or something in it; empty where nobody is known to."""
        if found := self._use_besides(path):
            return found
        for directory, known in self._deployed.items():
            if any(path == each or path in each.parents or each in path.parents for each in map(Path, _whole(known))):
                return f"the deployment whose releases are in {directory} has it"
        return next((f"what the deployment with {each} needs can't be known" for each in self.unreadable), "")

    def use_of_program(self, directory: Path, links: Collection[str]) -> str:
        """Say who else may need the version in a directory; empty where nobody is known to.

        A service or a server that has another version beside it may go back to this one. links: those that may lead
        there.
        """
        for parent in (directory.parent, Path(os.path.realpath(directory.parent))):
            if found := self._use_besides(parent):
                return found
        for text in self._units.values():
            for named in _PATH.findall(text):
                with suppress(OSError, ValueError):
                    if Path(named).is_symlink() and _is_in(named, directory):
                        return f"{named} leads to it"
        for directory_of_links in dict.fromkeys([*(Path(link).parent for link in links), *_PLACES_OF_PROGRAMS]):
            for link in sorted(directory_of_links.iterdir()) if directory_of_links.is_dir() else ():
                if link.is_symlink() and str(link) not in links and _is_in(str(link), directory):
                    return f"{link} leads to it"
        return ""

    def user_of_unit(self, path: Path, own: str) -> str:
        """Name the unit, but for one's own, that names a path; empty for none."""
        return next(
            (f"{unit} names it" for unit, text in self._units.items() if unit != own and _names(text, path)), ""
        )

    def bots(self, port: int | None) -> list[str]:
        """Name the bots of other deployments that connect to a port of this host, which may be unknown."""
        bots = []
        for directory, known in self._deployed.items():
            settings = known.bot.settings if known.bot else {}
            urls = settings.get("servers", ()) if settings.get("mode") == "nats" else ()
            if any(_may_be_here(each, port, is_alone=not known.servers) for each in urls):
                bots.append(f"the bot in {settings.get('home')}, whose releases are in {directory}")
        return bots

    def _use_besides(self, path: Path) -> str:
        """Say which server or unit uses a path."""
        for server in self._servers:
            if found := server_files.has(server, path):
                return f"{server} has it as {found}"
        return self.user_of_unit(path, "")

    def account(self, setting: str, name: str) -> str:
        """Say which other service or deployment has an account. setting: User or Group."""
        for unit, text in self._units.items():
            if unit_file.value(unit_file.parse(text), setting) == name:
                return f"{unit} has {setting}={name}"
        for directory, known in self._deployed.items():
            if any(name in (each.user, each.group) for each in known.data.accounts):
                return f"the deployment whose releases are in {directory} has it"
        return ""

    @property
    def own_pids(self) -> frozenset[int]:
        """The processes of the servers that are to go."""
        return frozenset(each.running.pid for each in self.own)


def _is_of(server: server_files.Server, configs: Collection[Path]) -> bool:
    named = process.config_argument(server.running.command)
    with suppress(OSError):
        return named is not None and any(config.exists() and server.path(named).samefile(config) for config in configs)
    return False


def _units(own: Collection[str]) -> Iterator[tuple[str, str]]:
    """Give the units of the host's services, but for those that go, each with its text."""
    names = {Path(each).name for each in own}
    for directory in unit_file.directories():
        for path in sorted([*directory.glob("*.service"), *directory.glob("*.service.d/*.conf")]):
            # what is enabled is a link to what is there anyway, and what lies below an own unit makes way with it
            if not {path.name, path.parent.name.removesuffix(".d")} & names and path.is_file():
                with suppress(OSError):
                    yield str(path), re.sub("/{2,}", "/", system.read_text(path, "replace"))


def _names(text: str, path: Path) -> bool:
    """Tell whether a unit names a path; whatever stands before it, such as the - of ExecStart=-, hides nothing."""
    return re.search(rf"(?<!\w){re.escape(str(path))}(?![\w-]|\.\w)", text) is not None


def _activity(unit: str) -> str:
    """Say what shows that the service of a unit is enabled or runs; empty for nothing."""
    path = Path(unit)
    for each in path.parent.glob(f"*.*/{path.name}"):
        return f"only an older release had it, and its service is enabled: {each}"
    for pid in process.pids():
        with suppress(OSError):
            if f"/{path.name}" in (process.PROC / str(pid) / "cgroup").read_text():
                return f"only an older release had it, and its service runs: process {pid}"
    return ""


def _is_in(path: str, directory: Path) -> bool:
    return Path(os.path.realpath(directory)) in Path(os.path.realpath(path)).parents


def _may_be_here(named: str, port: int | None, *, is_alone: bool) -> bool:
    """Tell whether a bot's URL may lead to a port of this host. is_alone: the bot's deployment has no server."""
    try:
        url = urlsplit(named)
        its_port = url.port or lookup.CLIENTS_PORT
    except ValueError:
        return is_alone
    host = url.hostname or ""
    is_here = host in ("localhost", "::1", socket.gethostname(), socket.getfqdn()) or host.startswith("127.")
    return port in (None, its_port) and (is_here or is_alone)


def _directories_of_others(releases: Path) -> Iterator[Path]:
    """Give where other deployments of this host have their releases: beside these, or where such are by default."""
    own = Path(os.path.realpath(releases))
    for parent in dict.fromkeys([releases.parent, *_PLACES_OF_RELEASES]):
        for directory in sorted(parent.glob("*")):
            # of one that can't be looked into, only the name tells
            try:
                names = [each.name for each in (directory / release.DIRECTORY).iterdir()]
            except PermissionError:
                is_ours = directory.name.startswith(releases.name)
            except OSError:
                is_ours = (directory / remains.KEPT).is_file()
            else:
                is_ours = any(release_id.is_id(each.removesuffix(release.SUFFIX)) for each in names)
            if is_ours and Path(os.path.realpath(directory)) != own:
                yield directory


def _read(directory: Path) -> Remains:
    """Read all that another deployment has, or may go back to; ReleaseError, DamagedError, OSError, one of _WRONG."""
    listing = release.Store(directory).listing()
    for damaged in listing.damaged:
        # which of its releases it has does not matter, all of them count
        if damaged.name != release.CURRENT and not damaged.name.startswith(history.NAME):
            raise atomic_file.DamagedError(f"{damaged.name}: {damaged.reason}")
    kept = None
    with suppress(FileNotFoundError):
        kept = atomic_file.read(directory / remains.KEPT)
    return remains.of_listing(listing, directory, kept)


def _whole(known: Remains) -> set[str]:
    """Name what another deployment has, without the directories, which go only when they are empty."""
    return known.places - {*known.directories, *known.data.directories}


def reasons_to_stay(
    account: Account, left: Sequence[Path], others: Others, going: Collection[str]
) -> Iterator[tuple[str, str, str]]:
    """Give the user and the group of an account that are there, each with what keeps it; empty for nothing.

    left: what stays on the host. going: the users that are known to go.
    """
    with suppress(KeyError):
        user = pwd.getpwnam(account.user)
        reason = (
            _other_user(user, account.home)
            or others.account("User", account.user)
            or _process(user.pw_uid, others.own_pids)
            or _owned(left, uid=user.pw_uid)
        )
        yield "user", account.user, reason
        going = [*going, *([] if reason else [account.user])]
    with suppress(KeyError):
        group = grp.getgrnam(account.group)
        members = {*group.gr_mem, *(each.pw_name for each in pwd.getpwall() if each.pw_gid == group.gr_gid)}
        stay = sorted(members - {*going})
        yield (
            "group",
            account.group,
            (f"{', '.join(stay)} is in it" if stay else "")
            or ("it is none of the system" if group.gr_gid >= _FIRST_OF_PEOPLE else "")
            or others.account("Group", account.group)
            or _owned(left, gid=group.gr_gid),
        )


def _other_user(user: pwd.struct_passwd, home: str) -> str:
    is_made = user.pw_dir == home and Path(user.pw_shell).name in _NO_LOGIN and 0 < user.pw_uid < _FIRST_OF_PEOPLE
    return "" if is_made else "it is not as a deployment makes it"


def _process(uid: int, apart_from: Collection[int]) -> str:
    for pid in process.pids():
        running = process.read(pid, by_command=True) if pid not in apart_from else None
        if running and running.uid == uid:
            return f"process {pid} runs as it"
    return ""


def _owned(left: Iterable[Path], *, uid: int = -1, gid: int = -1) -> str:
    """Name something that an account owns of what stays."""
    for top in left:
        for path in (top, *top.rglob("*")) if top.is_dir() and not top.is_symlink() else (top,):
            with suppress(OSError):
                status = path.lstat()
                if uid == status.st_uid or gid == status.st_gid:
                    return f"it owns {path}"
    return ""


def records(releases: Path) -> list[Path]:
    """Name what a host keeps of its deployments, of which others' files are none, in the order in which it goes."""
    own = releases / release.DIRECTORY
    waiting = releases / described.DIRECTORY
    # the current one after all others, and then what names it: cut off, it is known whose the rest is
    pointer = system.read_text(releases / release.CURRENT, "replace") if (releases / release.CURRENT).is_file() else ""
    last = f"{pointer.strip()}{release.SUFFIX}"
    ids = sorted(_ids(own), key=lambda each: each.name == last)
    ids = [*_ids(waiting), *ids]
    aside = (path for kept in (asset_record.DAMAGED, history.DAMAGED) for path in sorted(releases.glob(f"{kept}*")))
    lists = [releases / asset_record.PROVEN, *aside]
    names = (
        release.CURRENT,
        history.NAME,
        *asset_record.WRITTEN,
        remains.KEPT,
        lease.NAME,
        lease.LOCK,
        atomic_file.GUARD,
    )
    found = [*ids, own, waiting, *lists, *(releases / name for name in names)]
    return [path for path in found if os.path.lexists(path)]


def _ids(directory: Path) -> list[Path]:
    names = (name for name in atomic_file.names(directory) if release_id.is_id(name.removesuffix(release.SUFFIX)))
    return [directory / name for name in names]
