# Copyright (c) Rosey-Robot Team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small Rosey to test against. What follows is the contract that a bot must fulfil, and that this one does.

Start: `<home>/venv/bin/python -m rosey_bot --home <home> --environment <environment>`, as the service cytube-bot.
    SIGTERM ends it with all its plugins. A changed file counts from the next start.
Configuration: `<home>/environments/<environment>/config.yaml`. What stands in the section `nats`, except `prefix`, goes
    to nats.connect() of nats-py. Without that section the bot runs in legacy mode: no bus and no plugins.
Secrets: NATS_SERVER (one or more, with commas; instead of `servers`) and the login come from the process environment
    (EnvironmentFile), and otherwise from `secrets.env` beside the configuration. The login is NATS_USER, NATS_PASSWORD,
    NATS_TOKEN, NATS_NKEY (path of a file with the seed of a key; needs the libraries nkeys and PyNaCl) and
    NATS_INBOX_PREFIX (the `inbox_prefix` of nats.connect()).
Trust: SSL_CERT_FILE and SSL_CERT_DIR, by which OpenSSL finds the authorities, come from `secrets.env`, whatever the
    process environment says. The plugins' processes have them, too.
Plugins: each enabled one of `plugins/*.yaml` beside the configuration runs in a process of its own. It connects as
    `<nats.name>-<name>`, subscribes to its `subscriptions` and to nothing else, and logs to
    `<home>/logs/plugins/<name>.log`. One that died is started again.
A plugin's own login: `plugins/<name>.env`. Where it is there, its login takes the place of the bot's whole login,
    whatever the process environment says, and the plugin's process gets none of the bot's in its environment. Its
    NATS_SERVER, if it has one, counts for the plugin alone. It is read whenever the plugin connects, so that one whose
    login was replaced comes back with the new one.
Commands: a chat message `!word …` on `<prefix>.cytube.chat.message`, in JSON {"user": …, "message": …}, goes on to
    `<prefix>.commands.word`. The plugin's chat message goes to what it `publishes`; where the command is a NATS
    request, it goes to the reply subject instead, without any cooldown, and as the only message.
Health: GET /api/health as in the guide. `status` is `connected` when NATS and every enabled plugin is up, otherwise
    `connecting` (no NATS) or `degraded` (a plugin is down). `subjects` counts the subscriptions that are live now,
    without what the server refuses. `server` is the URL as it was configured. In legacy mode the status is
    `connected`, and there is no key `nats`.
Trouble: a bus that is away, or refuses the login, is tried again for ever, and so is a login that a library or a file
    is missing for. What the permissions of the login do not allow is logged. No secret is logged or shown.
"""

from __future__ import annotations

VERSION = "2.0.0"
