"""The extensions that a project may install: our stand-ins, and the installation's own, opened to the owner.

On the platform the owner, who is no superuser, may install a list of extensions (supautils). PostgreSQL has
`trusted = true` in a control file for that; `extension_control_path` (PostgreSQL 18) lets us put our own
control files before the installation's without changing it.
"""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import sql

from emulator import datafolder

if TYPE_CHECKING:
    import psycopg

SOURCE = Path(__file__).parent / "sql" / "extensions" / "extension"
FOLDER = "emulator_extensions"
VAULT_KEY = "emulator_vault.key"
# The part of the platform's list (supautils.privileged_extensions) that the installation holds.
OPENED = (
    "autoinc",
    "bloom",
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "dblink",
    "dict_int",
    "dict_xsyn",
    "earthdistance",
    "fuzzystrmatch",
    "hstore",
    "insert_username",
    "intarray",
    "isn",
    "ltree",
    "moddatetime",
    "pg_buffercache",
    "pg_prewarm",
    "pg_stat_statements",
    "pg_trgm",
    "pg_walinspect",
    "pgrowlocks",
    "pgstattuple",
    "postgres_fdw",
    "refint",
    "seg",
    "tablefunc",
    "tcn",
    "tsm_system_rows",
    "tsm_system_time",
    "unaccent",
    "vector",
)
_REPLACED = re.compile(r"^\s*(trusted|directory)\s*=.*$", re.MULTILINE)


def install(session: psycopg.Connection) -> None:
    """Write the control files into the data folder and make the server and `session` look there first.

    Args:
        session: an autocommit session of a superuser, on the machine of the server.

    Raises:
        OSError: the data folder cannot be written, or its path cannot stand in a list of paths.
    """
    data = datafolder.path(session)
    if ":" in str(data):
        raise OSError(f"PostgreSQL cannot find extensions below {data}: move the data to a path without ':'")
    _write(data / FOLDER / "extension", _share_folder(session) / "extension")
    # Vault's key is the server's, as on the platform: in a file, out of reach of any SELECT.
    datafolder.write_once(data / VAULT_KEY, secrets.token_bytes(64))
    path = sql.Literal(f"{data / FOLDER}:$system")
    session.execute(sql.SQL("alter system set extension_control_path = {}").format(path))
    session.execute("select pg_reload_conf()")
    # The reload reaches other sessions when they are idle; this one may need an extension at once.
    session.execute(sql.SQL("set extension_control_path = {}").format(path))


def _write(folder: Path, system: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in SOURCE.iterdir():
        shutil.copyfile(file, folder / file.name)
    for name in OPENED:
        control = system / f"{name}.control"
        if control.exists():
            (folder / control.name).write_text(_opened(control.read_text(), system))
    # The server may run as another account (emulator.postgres), which owns the data folder only.
    for path in [folder.parent, folder]:
        path.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o644)


def _opened(control: str, system: Path) -> str:
    """Make an extension trusted; its scripts stay where they are, named by an absolute path."""
    kept = _REPLACED.sub("", control).rstrip()
    quoted = str(system).replace("'", "''")
    return f"{kept}\ntrusted = true\ndirectory = '{quoted}'\n"


def _share_folder(session: psycopg.Connection) -> Path:
    row = session.execute("select setting from pg_config where name = 'SHAREDIR'").fetchone()
    return Path(row[0] if row else "")
