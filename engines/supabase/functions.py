"""Edge functions: deployed from their source files, which the service bundles."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from email import message_from_bytes, message_from_string
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from engines.supabase.session import Call, Form
from engines.supabase.wire import Answer, project_path, segment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engines.supabase.session import Reply, Session

# Bundling takes a while, and nothing is answered until it is done.
_DEPLOY_TIMEOUT_S = 180.0


class Function(Answer):
    """A function as it runs.

    Attributes:
        version: raised by each deployment.
        ezbr_sha256: digest of the bundle; None where an answer leaves it out.
    """

    id: str
    slug: str
    name: str
    status: str
    version: int
    verify_jwt: bool | None = None
    entrypoint_path: str | None = None
    import_map_path: str | None = None
    ezbr_sha256: str | None = None


@dataclass(frozen=True)
class Bundle:
    """What to deploy.

    Attributes:
        slug: the function's name in URLs.
        entrypoint: path of the file that starts it, one of `files`.
        files: contents by path.
        import_map: path of the import map, one of `files`; None: there is none.
        static_patterns: which of the files are data.
        verify_jwt: whether the gateway refuses calls without a valid token.
    """

    slug: str
    entrypoint: str
    files: Mapping[str, bytes] = field(repr=False)
    import_map: str | None = None
    static_patterns: tuple[str, ...] = ()
    verify_jwt: bool = True

    def form(self) -> Form:
        """Give the parts of the request: each file under its path, and what they are."""
        metadata: dict[str, Any] = {
            "entrypoint_path": self.entrypoint,
            "name": self.slug,
            "verify_jwt": self.verify_jwt,
            "static_patterns": list(self.static_patterns),
        }
        if self.import_map:
            metadata["import_map_path"] = self.import_map
        return Form(tuple(sorted(self.files.items())), {"metadata": json.dumps(metadata)})


_FUNCTIONS: TypeAdapter[tuple[Function, ...]] = TypeAdapter(tuple[Function, ...])


class Functions:
    """The edge functions of projects."""

    def __init__(self, session: Session) -> None:
        """Use a session."""
        self._session = session

    def all(self, ref: str) -> tuple[Function, ...]:
        """List a project's functions."""
        call = Call("GET", project_path(ref, "functions"), f"listing the functions of project {ref}")
        return self._session.read(call, _FUNCTIONS.validate_python)

    def get(self, ref: str, slug: str) -> Function:
        """Read one function."""
        call = Call("GET", _path(ref, slug), f"reading the function {slug} of project {ref}")
        return self._session.read(call, Function.model_validate)

    def files(self, ref: str, slug: str) -> Mapping[str, bytes]:
        """Read the source files of a function, by path.

        Raises:
            UnexpectedAnswerError: the answer is no form of files.
        """
        # Without it, the service answers the bundle that it made of them.
        action = f"reading the files of function {slug} of project {ref}"
        call = Call("GET", f"{_path(ref, slug)}/body", action, accept="multipart/form-data")
        reply = self._session.exchange(call)
        kind = reply.headers.get("content-type", "no type")
        if not kind.startswith("multipart/form-data"):
            raise self._session.unexpected(call, kind)
        return _files(reply)

    def deploy(self, ref: str, bundle: Bundle) -> Function:
        """Deploy a function, new or anew; to deploy the same once more does no harm."""
        call = Call(
            "POST",
            project_path(ref, "functions/deploy"),
            f"deploying the function {bundle.slug} of project {ref}",
            form=bundle.form(),
            params={"slug": bundle.slug},
            timeout_s=_DEPLOY_TIMEOUT_S,
        )
        return self._session.read(call, Function.model_validate)

    def delete(self, ref: str, slug: str) -> None:
        """Delete a function; one that is gone already is no error."""
        action = f"deleting the function {slug} of project {ref}"
        self._session.remove(Call("DELETE", _path(ref, slug), action))


def _path(ref: str, slug: str) -> str:
    return project_path(ref, "functions", segment(slug))


def _files(reply: Reply) -> dict[str, bytes]:
    """Split a form into its files (RFC 2046, 5.1.1); parts without a file name are left out."""
    kind = message_from_bytes(b"content-type: " + reply.headers["content-type"].encode())
    boundary = b"\r\n--" + str(kind.get_param("boundary")).encode()
    files = {}
    for part in (b"\r\n" + reply.content).split(boundary)[1:-1]:
        fields, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        # A browser's form has names as they are, in UTF-8 (RFC 7578, 5.1).
        head = message_from_string(fields.decode(errors="replace"))
        # The service's own header for what a file name must not be, a path.
        if name := head.get("supabase-path") or head.get_filename():
            files[name] = content
    return files
