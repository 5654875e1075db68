"""Print a URL that opens a stack's database; standard input has the stack's outputs, then its token."""

from __future__ import annotations

import json
import sys
from urllib.parse import quote, unquote, urlsplit

from engines import supabase
from engines.errors import GroundworkError


def url(outputs: dict[str, str], token: str, *, read_only: bool) -> str:
    """Give the owner's URL where it has its password, else one of a temporary login.

    Raises:
        SupabaseError: the platform makes no login.
    """
    owner = urlsplit(outputs["database_url"])
    if owner.password:
        return outputs["database_url"]
    with supabase.ManagementClient(outputs["supabase_api_url"], token) as client:
        login = client.database.temporary_login(outputs["supabase_ref"], read_only=read_only)
    # Behind a pooler, a user's name has the project's reference at its end.
    user = login.role + unquote(owner.username or "").removeprefix("postgres")
    login_part = f"{quote(user, safe='')}:{quote(login.password, safe='')}"
    return owner._replace(netloc=f"{login_part}@{owner.netloc.rpartition('@')[2]}").geturl()


def main() -> int:
    """Print the URL, and say by the exit code whether there is one."""
    text = sys.stdin.read()
    if not text.strip():
        return 1  # the engine has said why
    outputs, end = json.JSONDecoder().raw_decode(text)
    if "database_url" not in outputs:
        sys.stderr.write("the stack has no database; bring it up first\n")
        return 1
    try:
        found = url(outputs, text[end:].strip(), read_only="--write" not in sys.argv)
    except GroundworkError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{found}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
