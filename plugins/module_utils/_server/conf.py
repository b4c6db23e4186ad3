# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration language of nats-server: text to mapping, mapping to text, and text without its secrets.

The reader does what conf/lex.go and conf/parse.go of nats-server 2.10.7 do, quirks included, for its verdict has to be
the server's. It is stricter in what the server swallows silently: a number with an unknown suffix, a number that
overflows, a file that includes itself."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Iterator, Mapping

from ansible_collections.rosey.nats.plugins.module_utils._host.redaction import HIDDEN
from ansible_collections.rosey.nats.plugins.module_utils._server import conf_reader, conf_writer
from ansible_collections.rosey.nats.plugins.module_utils._server.conf_lexer import ConfError
from ansible_collections.rosey.nats.plugins.module_utils._server.conf_reader import Include, Reader
from ansible_collections.rosey.nats.plugins.module_utils._server.options import model, order, table
from ansible_collections.rosey.nats.plugins.module_utils._server.options.model import (
    is_reference,
)


def parse(text: str, *, variables: Mapping[str, str] | None = None, include: Include | None = None) -> dict[str, t.Any]:
    """Read a configuration text into what it means to the server.

    variables: the environment that the server would see, name to text; without it, a reference that the text itself
    does not define stays {"$variable": name}. include: gives the text of an included file by its path relative to the
    first text; without it, the files of a block stay under its key "$include", a path or a list of paths, at the place
    of the first. Sizes come out in bytes, the quoted ones of jetstream too. A definition that serves as a variable only
    is left out. Raises ConfError.
    """
    return t.cast("dict[str, t.Any]", conf_reader.plain(Reader(text, variables, include).read(), ()))


def render(config: Mapping[str, t.Any], *, header: str = "") -> str:
    """Write a configuration as text: one setting a line, section by section, always the same for the same.

    header: lines for a comment at the top. A size keeps its spelling and is written bare, so that the server reads it
    as decimal; every other text is quoted unless it is a simple word. {"$variable": name} becomes a reference and the
    key "$include" its lines. Raises ConfError naming the option that the language cannot express.
    """
    arranged = [*order.arranged(config)]
    sections = [
        # a heading tells sections apart
        [*([f"# {heading}"] if heading and len(arranged) > 1 else []), *_section_lines(settings)]
        for heading, settings in arranged
    ]
    if header:
        sections.insert(0, comment(header).splitlines())
    return "\n".join("".join(f"{line}\n" for line in section) for section in sections)


def _section_lines(settings: Mapping[str, t.Any]) -> Iterator[str]:
    previous_is_block = False
    for position, (key, value) in enumerate(settings.items()):
        is_block = isinstance(value, Mapping) and not is_reference(value)
        if position and (is_block or previous_is_block):
            yield ""
        yield from conf_writer.setting_lines(key, value, ())
        previous_is_block = is_block


def comment(text: str) -> str:
    """Write a text as a comment that nothing in it can leave: a configuration's, and as well a unit's of systemd.

    Whatever one of their readers, or an editor, takes for the end of a line begins a new one, a NUL character too.
    """
    return "\n".join(f"# {line}".rstrip() for line in text.replace("\0", "\n").splitlines())


def redact(text: str) -> str:
    """Give the same text, line for line, with every value that is or may be secret replaced by asterisks.

    Hidden are the values of secret options, of options that the server does not know, of definitions that a secret
    option uses, and the rest of a comment that names a secret option. A text that the server cannot read is hidden
    whole.
    """
    reader = Reader(text, None, None)
    try:
        reader.read()
    except ConfError:
        return "(hidden: this is not a configuration that nats-server can read)\n"
    hidden = [(scalar.start, scalar.end, f'"{HIDDEN}"') for scalar in reader.secret_scalars()]
    hidden += [(start, end, HIDDEN) for start, end in _secret_comments(text, reader.comments)]
    parts, position = [], 0
    for start, end, asterisks in sorted(hidden):
        parts += [text[position:start], asterisks, "\n" * text.count("\n", start, end)]
        position = end
    return "".join([*parts, text[position:]])


# What hides the secrets of a file, by the word that its description has for `redact`.
REDACTORS: Mapping[str, Callable[[str], str]] = {"nats_conf": redact}


# Hiding


def _secret_comments(text: str, comments: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Give, for each comment that seems to set a secret option or to hold credentials, the part to be hidden."""
    names = {name for option in table.OPTIONS if option.secret for name in (option.name, *option.aliases)}
    any_name = "|".join(sorted(names - {model.ANY_NAME}))
    setting = re.compile(
        rf"""(?<![a-z0-9_])(?:{any_name})["']?\s*(?:[:=]\s*|\s(?=["']))|(?={conf_reader.CREDENTIALS.pattern})""",
        re.IGNORECASE,
    )
    for start, end in comments:
        found = setting.search(text, start, end)
        if found and found.end() < end:
            yield found.end(), end
