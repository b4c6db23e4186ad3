# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the bot."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from .core import Bot
from .settings import SettingsError, read_settings, trust


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(prog="rosey_bot")
    parser.add_argument("--home", type=Path, default=Path("/opt/rosey-bot"))
    parser.add_argument("--environment", required=True)
    parser.add_argument("--port", type=int, help="of /api/health, instead of the configured one")
    given = parser.parse_args()
    try:
        settings = read_settings(given.home.resolve(), given.environment)
        trust(settings.directory / "secrets.env", os.environ)
    except SettingsError as error:
        sys.exit(str(error))
    logging.basicConfig(level=settings.log_level, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(Bot(settings, given.port or settings.health_port).run())


main()
