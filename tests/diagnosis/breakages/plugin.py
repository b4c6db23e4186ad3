# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a plugin from receiving messages, on a bus that the bot is connected to."""

from __future__ import annotations

from functools import partial

from ansible_collections.rosey.nats.tests.diagnosis import ground
from ansible_collections.rosey.nats.tests.diagnosis.breakages.bot import BOTH, RESTART
from ansible_collections.rosey.nats.tests.diagnosis.ground import (
    BOT_CONFIG,
    CONFIG,
    HOME,
    PLUGINS,
)

QUOTES = f"{PLUGINS}/quotes.yaml"
TRIVIA = f"{PLUGINS}/trivia.yaml"
# The pattern does not match itself in the command line of the shell.
SIGNAL = "kill -{name} $(grep -l 'plugins/quote[s].yaml' /proc/[0-9]*/cmdline | cut -d/ -f3)"
# It is too late to notice for a plugin that looked for the table when it started.
DROP = f"import sqlite3; sqlite3.connect('{HOME}/data/quotes.db').execute('DROP TABLE quotes')"


def permissions(what: str, subject: str) -> str:
    """Give the command that denies the bot a subject."""
    denied = f'permissions: {{{what}: {{deny: "{subject}"}}}}'
    return f"sed -i 's/^      password: .*/&\\n      {denied}/' {CONFIG}; {BOTH}"


Breakage = partial(ground.Breakage, symptom="plugin")

BREAKAGES = [
    # Its file.
    Breakage(
        name="plugin disabled",
        cause="plugin_disabled",
        says=QUOTES,
        make=f"sed -i 's/^enabled: .*/enabled: false/' {QUOTES}; {RESTART}",
        neighbour="plugin's file gone",
        touches="file of quotes",
    ),
    Breakage(
        name="plugin's file gone",
        cause="plugin_file_missing",
        says=QUOTES,
        make=f"rm {QUOTES}; {RESTART}",
        neighbour="plugin disabled",
        touches="file of quotes",
    ),
    Breakage(
        name="plugin's file unreadable",
        cause="plugin_file_unreadable",
        says="rosey may not read",
        make=f"chown root:root {QUOTES}; chmod 600 {QUOTES}; {RESTART}",
        neighbour="plugin's file no YAML",
        touches="file of quotes",
    ),
    Breakage(
        name="plugin's file no YAML",
        cause="plugin_file_broken",
        says=QUOTES,
        make=f"printf 'comment: [broken\\n' >> {QUOTES}; {RESTART}",
        neighbour="plugin's file unreadable",
        touches="file of quotes",
    ),
    Breakage(
        name="subject misspelled",
        cause="subscription_not_in_file",
        says="rosey.dev.commands.quote",
        make=f"sed -i 's/commands.quote/commands.qoute/' {QUOTES}; {RESTART}",
        neighbour="subject with the prefix of production",
        touches="file of quotes",
    ),
    Breakage(
        name="subject with the prefix of production",
        cause="prefix_mixed_up",
        says="rosey.prod.commands.quote",
        make=f"sed -i 's/rosey.dev.commands/rosey.prod.commands/' {QUOTES}; {RESTART}",
        neighbour="subject misspelled",
        touches="file of quotes",
        sample=True,
    ),
    Breakage(
        name="bot with the prefix of production",
        cause="bot_prefix_mixed_up",
        says="rosey.prod",
        make=f"sed -i 's/prefix: .*/prefix: \"rosey.prod\"/' {BOT_CONFIG}; {RESTART}",
        neighbour="subject with the prefix of production",
        touches="bot's file",
    ),
    Breakage(
        name="file that the running plugin has not read",
        cause="plugin_not_restarted",
        says=TRIVIA,
        make=(
            f"cp -p {TRIVIA} /root/trivia.yaml; sed -i 's/commands.trivia/commands.quiz/' {TRIVIA}; {RESTART}; "
            f"cat /root/trivia.yaml > {TRIVIA}"
        ),
        neighbour="subject misspelled",
        touches="file of trivia",
    ),
    # Its process.
    Breakage(
        name="plugin that dies",
        cause="plugin_dies",
        says="/nowhere.json",
        make=f"sed -i 's|questions_file: .*|questions_file: /nowhere.json|' {TRIVIA}; {RESTART}",
        neighbour="plugin that hangs",
        touches="file of trivia",
    ),
    Breakage(
        name="plugin that hangs",
        cause="plugin_hangs",
        says="SIGCONT",
        make=SIGNAL.format(name="STOP"),
        mend=SIGNAL.format(name="CONT"),
        neighbour="plugin that dies",
        touches="process of quotes",
    ),
    Breakage(
        name="plugin that fails at each message",
        cause="plugin_fails",
        says="no such table",
        make=f'{RESTART}; python3 -c "{DROP}"',
        neighbour="plugin that hangs",
        touches="process of quotes",
    ),
    # The server.
    Breakage(
        name="subscription denied",
        cause="subscribe_denied",
        says="rosey.dev.commands.quote",
        make=permissions("subscribe", "rosey.dev.commands.quote"),
        neighbour="publishing denied",
        touches="server's authorization",
    ),
    Breakage(
        name="publishing denied",
        cause="publish_denied",
        says="rosey.dev.commands.quote",
        make=permissions("publish", "rosey.dev.commands.>"),
        neighbour="subscription denied",
        touches="server's authorization",
    ),
    Breakage(
        name="more subscriptions than the server takes",
        cause="max_subscriptions_reached",
        says="max_subscriptions",
        make=f"echo 'max_subscriptions: 2' >> {CONFIG}; {BOTH}",
        neighbour="more connections than the server takes",
        touches="server's limits",
    ),
    Breakage(
        name="more connections than the server takes",
        cause="max_connections_reached",
        says="max_connections",
        make=f"echo 'max_connections: 2' >> {CONFIG}; {BOTH}",
        neighbour="more subscriptions than the server takes",
        touches="server's limits",
    ),
]
