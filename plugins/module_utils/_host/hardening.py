# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox of a service: what it consists of, at which levels, what it hides, and what of it a host can't apply.

systemd.exec(5) has what each directive does, and the exit statuses of a step that failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ansible_collections.rosey.nats.plugins.module_utils._host import system, unit_file
from ansible_collections.rosey.nats.plugins.module_utils._host.needed_path import Need, NeededPath
from ansible_collections.rosey.nats.plugins.module_utils._host.python import StrEnum


class Needs(StrEnum):
    """What a directive needs of the host's kernel, beside what every host has."""

    NOTHING = ""
    NAMESPACES = "namespaces"
    USER_NAMESPACES = "user namespaces"
    FILTERS = "filters"


class Level(StrEnum):
    """How much of the sandbox a service has, the most first."""

    FULL = "full"
    WITHOUT_USER_NAMESPACES = "without_user_namespaces"
    WITHOUT_NAMESPACES = "without_namespaces"
    NONE = "none"


_LEFT_OUT: dict[Level, frozenset[Needs]] = {
    Level.FULL: frozenset(),
    Level.WITHOUT_USER_NAMESPACES: frozenset({Needs.USER_NAMESPACES}),
    Level.WITHOUT_NAMESPACES: frozenset({Needs.USER_NAMESPACES, Needs.NAMESPACES}),
    Level.NONE: frozenset(Needs) - {Needs.NOTHING},
}
# What `systemd-analyze security` of systemd 252 gives a service at each level, with packets to localhost alone, to some
# addresses besides, and otherwise: 0 is best, 10 worst.
_SCORES: Mapping[Level, tuple[float, float, float]] = {
    Level.FULL: (0.9, 1.0, 1.1),
    Level.WITHOUT_USER_NAMESPACES: (1.1, 1.2, 1.3),
    Level.WITHOUT_NAMESPACES: (3.0, 3.0, 3.1),
    Level.NONE: (9.2, 9.2, 9.2),
}


@dataclass(frozen=True)
class Directive:
    """One line of the sandbox. group: under which heading the unit has it."""

    group: str
    name: str
    value: str
    needs: Needs = Needs.NOTHING

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


_WRITABLE, _NETWORK = "ReadWritePaths", "Network"
_DIRECTIVES = (
    Directive("Files", "UMask", "0077"),
    Directive("Files", "ProtectSystem", "strict", Needs.NAMESPACES),
    Directive("Files", _WRITABLE, "", Needs.NAMESPACES),
    Directive("Files", "ProtectHome", "true", Needs.NAMESPACES),
    Directive("Files", "PrivateTmp", "true", Needs.NAMESPACES),
    Directive("Files", "PrivateMounts", "true", Needs.NAMESPACES),
    Directive("Files", "PrivateDevices", "true", Needs.NAMESPACES),
    Directive("Files", "DevicePolicy", "closed", Needs.FILTERS),
    Directive("Files", "ProtectProc", "invisible", Needs.NAMESPACES),
    Directive("Files", "ProcSubset", "pid", Needs.NAMESPACES),
    Directive("Privileges", "CapabilityBoundingSet", "", Needs.FILTERS),
    Directive("Privileges", "AmbientCapabilities", "", Needs.FILTERS),
    Directive("Privileges", "NoNewPrivileges", "true", Needs.FILTERS),
    Directive("Privileges", "PrivateUsers", "true", Needs.USER_NAMESPACES),
    Directive("Privileges", "RestrictSUIDSGID", "true", Needs.FILTERS),
    Directive("Privileges", "LockPersonality", "true", Needs.FILTERS),
    Directive("Privileges", "MemoryDenyWriteExecute", "true", Needs.FILTERS),
    Directive("Privileges", "RestrictRealtime", "true", Needs.FILTERS),
    Directive("Privileges", "RestrictNamespaces", "true", Needs.FILTERS),
    Directive("Privileges", "RemoveIPC", "true"),
    Directive("Privileges", "PrivateIPC", "true", Needs.NAMESPACES),
    Directive("Privileges", "KeyringMode", "private", Needs.FILTERS),
    Directive("Kernel", "ProtectClock", "true", Needs.NAMESPACES),
    Directive("Kernel", "ProtectControlGroups", "true", Needs.NAMESPACES),
    Directive("Kernel", "ProtectHostname", "true", Needs.NAMESPACES),
    Directive("Kernel", "ProtectKernelLogs", "true", Needs.NAMESPACES),
    Directive("Kernel", "ProtectKernelModules", "true", Needs.NAMESPACES),
    Directive("Kernel", "ProtectKernelTunables", "true", Needs.NAMESPACES),
    Directive("Kernel", "SystemCallArchitectures", "native", Needs.FILTERS),
    Directive("Kernel", "SystemCallFilter", "@system-service", Needs.FILTERS),
    Directive("Kernel", "SystemCallFilter", "~@privileged @resources", Needs.FILTERS),
    Directive("Kernel", "SystemCallErrorNumber", "EPERM", Needs.FILTERS),
)
_FILTERED = (
    Directive(_NETWORK, "IPAddressDeny", "any", Needs.FILTERS),
    Directive(_NETWORK, "IPAddressAllow", "localhost", Needs.FILTERS),
)
_LOCAL = (Directive(_NETWORK, "RestrictAddressFamilies", "AF_INET AF_INET6", Needs.FILTERS), *_FILTERED)
_OPEN = (Directive(_NETWORK, "RestrictAddressFamilies", "AF_INET AF_INET6 AF_NETLINK", Needs.FILTERS),)
# What a unit may have in its sandbox, whoever wrote it.
NAMES = frozenset(each.name for each in (*_DIRECTIVES, *_LOCAL))


def score(level: str, *, is_local: bool, has_peers: bool = False) -> float:
    """Give what `systemd-analyze security` makes of a level."""
    local, with_peers, other = _SCORES[Level(level)]
    return local if is_local else with_peers if has_peers else other


def directives(
    level: str, writable: Iterable[str], *, is_local: bool, peers: Iterable[str] = ()
) -> tuple[Directive, ...]:
    """Give the sandbox of a service at a level.

    writable: the directories that it writes to. is_local: whether it exchanges packets with this machine alone. peers:
    the addresses that it exchanges packets with besides, where it does with nobody else.
    """
    left_out = _LEFT_OUT[Level(level)]
    chosen: list[Directive] = []
    allowed = tuple(Directive(_NETWORK, "IPAddressAllow", peer, Needs.FILTERS) for peer in peers)
    network = _LOCAL if is_local else (*_OPEN, *_FILTERED, *allowed) if allowed else _OPEN
    for directive in (*_DIRECTIVES, *network):
        if directive.needs in left_out:
            continue
        if directive.name == _WRITABLE:
            chosen += [
                Directive(directive.group, directive.name, unit_file.quoted(path), directive.needs)
                for path in sorted(set(writable))
            ]
        else:
            chosen.append(directive)
    return tuple(chosen)


# What a host can't apply

# The steps at which systemd gives a service up before its program runs, by the status that it then ends with.
STEPS: Mapping[int, str] = {
    217: "USER",
    218: "CAPABILITIES",
    219: "CGROUP",
    225: "NETWORK",
    226: "NAMESPACE",
    227: "NO_NEW_PRIVILEGES",
    228: "SECCOMP",
    230: "PERSONALITY",
    232: "ADDRESS_FAMILIES",
    237: "KEYRING",
}


@dataclass(frozen=True)
class Fault:
    """A setting that a host can't apply. words: systemd's own."""

    setting: str
    words: str

    @property
    def name(self) -> str:
        """The directive, such as PrivateUsers."""
        return self.setting.partition("=")[0]


# Tries a service with these settings, and gives systemd's words where that can't be started, else nothing.
Attempt = Callable[[Sequence[str]], str]


def faults(settings: Sequence[str], attempt: Attempt) -> tuple[Fault, ...]:
    """Find those settings that a host can't apply; all others together it can. Costs one attempt where there is none.

    Where it can't start a service without any of them either, they are at fault for nothing.
    """
    if not attempt(settings) or attempt(()):
        return ()
    return tuple(_faults((), settings, attempt))


def _faults(kept: Sequence[str], rest: Sequence[str], attempt: Attempt) -> Iterator[Fault]:
    """Halve what fails until single settings are left. kept: those that are applied beside."""
    words = attempt([*kept, *rest])
    if not words:
        return
    if len(rest) == 1:
        yield Fault(rest[0], words)
        return
    middle = len(rest) // 2
    first = list(_faults(kept, rest[:middle], attempt))
    yield from first
    at_fault = {fault.setting for fault in first}
    yield from _faults([*kept, *(each for each in rest[:middle] if each not in at_fault)], rest[middle:], attempt)


def to_try(settings: Iterable[unit_file.Setting]) -> tuple[str, ...]:
    """Give the sandbox of a service as systemd-run takes it.

    Unlike the service itself, a trial has to do without the directories that are still to be made.
    """
    return tuple(
        f"{each.name}={_may_be_missing(each.value) if each.name == _WRITABLE else each.value}"
        for each in settings
        if each.section == "Service" and each.name in NAMES
    )


def _may_be_missing(paths: str) -> str:
    optional = (f"-{word.lstrip('-')}" for word in unit_file.unquoted(paths))
    return " ".join(unit_file.quoted(word).replace("%%", "%") for word in optional)


def level_without(names: Iterable[str]) -> Level | None:
    """Give the level that has the most of the sandbox, and none of these directives; None where all have one."""
    wanted = set(names)
    for level in Level:
        there = {each.name for each in directives(level, ["/"], is_local=True)}
        if not wanted & there:
            return level
    return None


# What it hides


_HOMES = ("/home", "/root", "/run/user")
_ALWAYS_WRITABLE = ("/dev", "/proc", "/sys", *system.TEMPORARY)
# Of these, systemd makes the directories itself and lets the service write to them.
_OWN_DIRECTORIES = {
    "StateDirectory": "/var/lib",
    "LogsDirectory": "/var/log",
    "CacheDirectory": "/var/cache",
    "RuntimeDirectory": "/run",
}
_READ_ONLY = {"strict": ("/",), "full": ("/usr", "/boot", "/efi", "/etc")}
_SYSTEM = ("/usr", "/boot", "/efi")
_YES = frozenset({"1", "yes", "true", "on"})


@dataclass(frozen=True)
class Obstacle:
    """What keeps a service from a path. directive: of its sandbox; what: it does, in words."""

    directive: str
    what: str


def obstacle(setting: Callable[[str], str], path: NeededPath, resolve: Callable[[str], str] = str) -> Obstacle | None:
    """Tell what of a sandbox keeps a server from a path that its configuration names; None where nothing does.

    setting: gives the words of a directive, empty where it is not set. resolve: follows links.
    """
    needed = PurePosixPath(resolve(str(PurePosixPath("/", path.required))))

    def within(places: Iterable[str]) -> str:
        return next((each for each in places if needed.is_relative_to(resolve(each))), "")

    hiding = _hiding(setting, within)
    if path.need is not Need.FILE:
        hiding = (*hiding, *_read_only(setting, within))
    return next(iter(hiding), None)


def _hiding(setting: Callable[[str], str], within: Callable[[Iterable[str]], str]) -> tuple[Obstacle, ...]:
    temporary, home = within(system.TEMPORARY), within(_HOMES)
    obstacles = []
    if temporary and setting("PrivateTmp") in {*_YES, "disconnected"}:
        effect = f"gives the service a {temporary} of its own, which is gone with the service"
        obstacles.append(Obstacle(f"PrivateTmp={setting('PrivateTmp')}", effect))
    if home and setting("ProtectHome") in {*_YES, "tmpfs"}:
        obstacles.append(Obstacle(f"ProtectHome={setting('ProtectHome')}", f"hides {home} from the service"))
    for name in ("InaccessiblePaths", "TemporaryFileSystem"):
        hidden = within(_listed(setting, name))
        if hidden:
            obstacles.append(Obstacle(f"{name}={hidden}", f"hides {hidden} from the service"))
    return tuple(obstacles)


def _read_only(setting: Callable[[str], str], within: Callable[[Iterable[str]], str]) -> Iterator[Obstacle]:
    allowed = _listed(setting, _WRITABLE)
    own = [f"{base}/{each}" for name, base in _OWN_DIRECTORIES.items() for each in _listed(setting, name)]
    if within(each for each in (*allowed, *own) if each.startswith("/")):
        return
    home, system = within(_HOMES), setting("ProtectSystem")
    if home and setting("ProtectHome") == "read-only":
        yield Obstacle("ProtectHome=read-only", f"lets the service write nothing in {home}")
    if within(_READ_ONLY.get(system, _SYSTEM if system in _YES else ())) and not within(_ALWAYS_WRITABLE):
        besides = f" but for ReadWritePaths={' '.join(allowed)}" if allowed else ""
        yield Obstacle(f"ProtectSystem={system}", f"lets the service write nothing there{besides}")


def _listed(setting: Callable[[str], str], name: str) -> list[str]:
    """Give the paths of a directive, without the marks before them and the options behind them."""
    return [word.lstrip("-+").partition(":")[0] for word in unit_file.unquoted(setting(name))]
