"""The pages and forms; every form works without JavaScript: post, redirect, get."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from fastapi.templating import Jinja2Templates

import account
import export
from upstream import AgentError, Event, Question
from visitors import Visitor, Visitors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

router = APIRouter()
templates = Jinja2Templates(Path(__file__).parent / "templates")
EVENTS = "text/event-stream"
NO_STORE = {"Cache-Control": "no-store"}
# Only these texts can be put on the page by a link.
NOTICES = {
    "joined": "Thank you. If the address is new to us, it is on the waitlist now.",
    "signed-out": "You are signed out.",
}


def current_visitor(request: Request) -> Visitor:
    """Give the visitor of the request."""
    visitors: Visitors = request.app.state.visitors
    return visitors.read(request)


Current = Annotated[Visitor, Depends(current_visitor)]


def own_form(request: Request, visitor: Current, form_token: Annotated[str, Form()] = "") -> None:
    """Let only forms pass that this app made for this visitor.

    Raises:
        HTTPException: 403 for a form of another site, or of an ended session.
    """
    if not request.app.state.visitors.is_own_form(visitor, form_token):
        raise HTTPException(403, "This form is not valid any more. Go back, reload the page and try again.")


def signed_in(visitor: Current) -> UUID:
    """Give the signed-in user.

    Raises:
        HTTPException: 401 when nobody is signed in.
    """
    if visitor.user is None:
        raise HTTPException(401, "Please sign in first.")
    return visitor.user


OWN_FORM = [Depends(own_form)]
User = Annotated[UUID, Depends(signed_in)]


def render(request: Request, name: str, status: int = 200, **values: Any) -> Response:
    """Give a page; the visitor's cookie is set along with it."""
    state = request.app.state
    visitor = current_visitor(request)
    values |= {
        "settings": state.settings,
        "visitor": visitor,
        "form_token": state.visitors.form_token(visitor),
        "key": secrets.token_hex(16),
    }
    page = templates.TemplateResponse(request, name, values, status, headers=dict(NO_STORE))
    state.visitors.write(request, page, visitor)
    return page


def _go(address: str) -> Response:
    # 303: the browser gets the page, so that a reload does not send the form again.
    return RedirectResponse(address, 303)


@router.get("/")
async def index(
    request: Request,
    visitor: Current,
    notice: str = "",
    organization: UUID | None = None,
    conversation: UUID | None = None,
) -> Response:
    """Show the page: for visitors the waitlist, for users the agent."""
    return await _index(request, visitor, organization, conversation, notice=NOTICES.get(notice, ""))


async def _index(
    request: Request,
    visitor: Visitor,
    organization: UUID | None = None,
    conversation: UUID | None = None,
    **values: Any,
) -> Response:
    store = request.app.state.store
    if visitor.user is not None:
        values["account"] = await account.read(store, visitor.user, organization, conversation)
    return render(request, "index.html", **values)


@router.post("/waitlist", dependencies=OWN_FORM)
async def join_waitlist(request: Request, email: Annotated[str, Form(max_length=320)] = "") -> Response:
    """Join the waitlist; the answer is the same for a known address."""
    await account.join_waitlist(request.app.state.store, email.strip())
    return _go("/?notice=joined")


@router.post("/demo", dependencies=OWN_FORM)
async def continue_as_demo(request: Request) -> Response:
    """Sign in as the demo user, where the stack allows it."""
    state = request.app.state
    if not state.settings.demo_accounts:
        raise HTTPException(404, "There is no such page.")
    page = _go("/")
    # A new id: what was known of the visitor before does not become a signed-in session.
    visitor = Visitor(user=await account.sign_in_as_demo(state.store))
    state.visitors.write(request, page, visitor)
    return page


@router.post("/sign-out", dependencies=OWN_FORM)
async def sign_out(request: Request) -> Response:
    """Forget the visitor."""
    page = _go("/?notice=signed-out")
    request.app.state.visitors.write(request, page, Visitor())
    return page


@router.post("/ask", dependencies=OWN_FORM)
async def ask(
    request: Request,
    user: User,
    organization: Annotated[UUID, Form()],
    message: Annotated[str, Form(min_length=1, max_length=8000)],
    key: Annotated[str, Form(min_length=8, max_length=200)],
    conversation: Annotated[str, Form()] = "",
) -> Response:
    """Ask the agent: streamed for the page's script, else a redirect to the stored conversation."""
    talk = UUID(conversation) if conversation else None
    question = Question(organization, user, talk, message, key)
    events = request.app.state.agent.ask(question)
    first = await anext(events)
    if EVENTS in request.headers.get("accept", ""):
        return StreamingResponse(_lines(first, events), media_type=EVENTS, headers=dict(NO_STORE))
    last = first
    async for event in events:
        last = event
    if last.name != "done":
        raise AgentError(502, last.data["error"])
    return _go(f"/?organization={organization}&conversation={last.data['conversation_id']}#latest")


async def _lines(first: Event, others: AsyncIterator[Event]) -> AsyncIterator[str]:
    yield _line(first)
    async for event in others:
        yield _line(event)


def _line(event: Event) -> str:
    # The next question needs a key of its own.
    end = {"key": secrets.token_hex(16)} if event.name in {"done", "error"} else {}
    return Event(event.name, event.data | end).line()


@router.get("/export.zip")
async def export_zip(request: Request, user: User, organization: UUID | None = None) -> Response:
    """Stream what the user's organization owns."""
    store = request.app.state.store
    if organization is None:
        organization = (await account.read(store, user, None, None)).organization["organization_id"]
    pieces = export.stream(store, user, organization)
    # The first piece comes before the answer, so that a refusal is an answer and no broken file.
    first = await anext(pieces)
    name = f"export-{datetime.now(UTC):%Y-%m-%d}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **NO_STORE}
    return StreamingResponse(_chain(first, pieces), media_type="application/zip", headers=headers)


async def _chain(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in others:
        yield piece
