# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bot's own Python, which has nats-py, asked by way of a program that it gets as text."""

from __future__ import annotations

import importlib.abc
import json
import os
import subprocess
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from ansible_collections.rosey.nats.plugins.module_utils._bot.credentials import CA_FILE_VARIABLE
from ansible_collections.rosey.nats.plugins.module_utils._host import system
from ansible_collections.rosey.nats.plugins.module_utils._server import http_reader

# Why there is no answer.
NO_PYTHON = "no Python"
NO_RESULT = "no result"
# Until a Python has started, and has ended.
_SPARE_SECONDS = 10.0


class NoAnswerError(Exception):
    """Why there is no answer. reason: NO_PYTHON or NO_RESULT; cause: in words."""

    def __init__(self, reason: str, cause: str) -> None:
        self.reason, self.cause = reason, cause
        super().__init__(f"{reason}: {cause}")


@dataclass(frozen=True)
class BotPython:
    """Where it is. user: who runs it, where this is root, since the bot may have written what is run. ca_file: of whom
    the bot trusts, None for whom the host does.
    """

    path: str
    user: str | None
    ca_file: str | None

    def ask(self, program: ModuleType, question: Mapping[str, t.Any], seconds: float) -> dict[str, t.Any]:
        """Give what a program answers to a question, within so many seconds; NoAnswerError."""
        # Isolated from what lies in the working directory, and leaving no compiled file in the bot's environment.
        words = [self.path, "-I", "-B", "-c", _source_of(program)]
        try:
            done = subprocess.run(
                words,
                cwd="/",
                env={**os.environ, CA_FILE_VARIABLE: self.ca_file} if self.ca_file else None,
                **(system.run_as(self.user) if self.user else {}),
                input=json.dumps(question),
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=seconds + _SPARE_SECONDS,
            )
        except KeyError:
            raise NoAnswerError(NO_PYTHON, f"{self.path}: this host has no user {self.user} to run it") from None
        except OSError as error:
            raise NoAnswerError(NO_PYTHON, f"{self.path}: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise NoAnswerError(NO_RESULT, f"none after {error.timeout:g} seconds") from error
        try:
            said = json.loads(done.stdout)
        except ValueError:
            said = None
        if isinstance(said, dict):
            return said
        last = done.stderr.strip().rpartition("\n")[2]
        raise NoAnswerError(NO_RESULT, f"exit status {done.returncode}: {http_reader.excerpt(last)}")


def _source_of(program: ModuleType) -> str:
    """Give the text of a program."""
    # From its loader: inspect.getsource keeps what it read in one place for all threads, which take it from each other.
    return t.cast(importlib.abc.InspectLoader, program.__loader__).get_source(program.__name__) or ""
