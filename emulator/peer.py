"""Who may log in to a project's server: with a password over TCP, and without one the emulator's own account.

The latter is through the server's Unix socket.

pg_cron runs a job as its owner, pg_net works as `postgres`. A session of the superuser that only switches
roles would let a job switch back; a login of the role's own does not. The account in question owns the data
folder, so the rule gives it nothing that it does not have.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import conninfo

from emulator import datafolder

if TYPE_CHECKING:
    import psycopg

_MARK = "# emulator: the account that runs it"
_MAP = "emulator"


@dataclass(frozen=True)
class Socket:
    """Where the server's Unix socket is."""

    folder: str
    port: str

    def dsn(self, user: str, database: str) -> str:
        """Give the connection string of one login."""
        return conninfo.make_conninfo(host=self.folder, port=self.port, user=user, dbname=database)


def allow(session: psycopg.Connection) -> None:
    """Let this process's account log in as any role through the socket (pg_hba.conf, pg_ident.conf).

    Over TCP a password is asked for from wherever a client comes: which addresses the server listens on
    decides who can reach it.

    Raises:
        OSError: the files cannot be written.
    """
    account = pwd.getpwuid(os.geteuid()).pw_name
    rules = (f"local all all peer map={_MAP}", "host all all all scram-sha-256")
    _put_first(Path(datafolder.setting(session, "hba_file")), *rules)
    _put_first(Path(datafolder.setting(session, "ident_file")), f'{_MAP} "{account}" all')
    session.execute("select pg_reload_conf()")


def _put_first(file: Path, *rules: str) -> None:
    """Make `rules` the first lines: PostgreSQL takes the first that fits."""
    old = file.read_text().splitlines()
    kept = [line for line in old if not line.endswith(_MARK)]
    new = [*(f"{rule} {_MARK}" for rule in rules), *kept]
    if new != old:
        datafolder.write(file, ("\n".join(new) + "\n").encode())
