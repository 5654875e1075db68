"""Which database a command is about, when it changes what cannot be asked again.

libpq fills in what a URL leaves out: from variables (PGHOST, PGDATABASE, PGHOSTADDR, PGSERVICE, …) and from
the name of the user. Source: https://www.postgresql.org/docs/current/libpq-envars.html
"""

from __future__ import annotations

import os
from typing import Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from engines.migrations.errors import RefusedError
from engines.postgres import describe

_PORT: Final = 5432
_NEEDED: Final = {"host": "a host", "dbname": "a database"}
# These send a session elsewhere although its URL names a host.
_ELSEWHERE: Final = ("PGHOSTADDR", "PGSERVICE")


def named(dsn: str, command: str) -> str:
    """Give a URL from which nothing is left to the environment: host, port and database are in it.

    Args:
        dsn: as given.
        command: what wants it, for the text.

    Raises:
        DatabaseUnreachableError: it cannot be parsed.
        RefusedError: it does not name a host and a database, or the environment would send it elsewhere.
    """
    target = describe(dsn) if dsn else ""  # raises, without the password, when it cannot be parsed
    parts = conninfo_to_dict(dsn)
    missing = [what for key, what in _NEEDED.items() if not parts.get(key)]
    if missing:
        refusal = (
            f"{command} needs a database URL that names {' and '.join(missing)}; this one would leave it to "
            "the environment: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        )
        raise RefusedError([refusal])
    elsewhere = [name for name in _ELSEWHERE if os.environ.get(name) and not parts.get("hostaddr")]
    if elsewhere:
        raise RefusedError(
            [f"{command} is about {target}, but the variable {elsewhere[0]} may send it elsewhere; unset it"]
        )
    return make_conninfo(dsn, port=parts.get("port") or _PORT)
