"""The organizations that the token's owner is in, in one file."""

from __future__ import annotations

import json
import secrets
import string
import threading
from typing import TYPE_CHECKING

from emulator import folder
from emulator.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Always there, and first.
SLUG = "groundwork"
NAME = "Groundwork"


class Organizations:
    """Slugs and names; what is made lasts through a restart."""

    def __init__(self, path: Path, more: Iterable[str] = ()) -> None:
        """Read what was made before.

        Args:
            path: the file.
            more: slugs of organizations that are there as well.

        Raises:
            ValueError: the file is no JSON.
        """
        self._path = path
        self._lock = threading.Lock()
        made = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self._names: dict[str, str] = {SLUG: NAME, **{slug: slug for slug in more}, **made}

    def all(self) -> dict[str, str]:
        """Give the names by slug, oldest first."""
        with self._lock:
            return dict(self._names)

    def name(self, slug: str) -> str:
        """Give an organization's name.

        Raises:
            ApiError: 404, there is none.
        """
        names = self.all()
        if slug not in names:
            raise ApiError(404, "Organization not found")
        return names[slug]

    def add(self, name: str) -> str:
        """Make an organization and give its slug.

        Raises:
            OSError: it could not be written; there is no such organization then.
        """
        slug = "".join(secrets.choice(string.ascii_lowercase) for _ in range(20))
        with self._lock:
            names = {**self._names, slug: name}
            folder.write(self._path, json.dumps(names))
            self._names = names
        return slug
