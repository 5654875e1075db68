"""Drives the providers of a project's named things as the engine does, against a real stand-in."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from engines.supabase import ManagementClient, Timing, client, creation, storage
from providers import _cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

    from providers._named import NamedProvider
    from tests.fix_emulator import Emulator, Project

_MOMENT_S = 0.02


@dataclass
class Driver:
    """Steps through the life of a resource.

    Attributes:
        project: where it lives.
        client: a client of the platform, to look and to change behind the stack's back.
    """

    project: Project
    client: ManagementClient

    @property
    def ref(self) -> str:
        """The project's reference."""
        return self.project.ref

    def props(self, **inputs: Any) -> dict[str, Any]:
        """Give the inputs of a resource."""
        emulator = self.project.emulator
        reach = {"api_url": emulator.api_url, "access_token": emulator.token, "project_ref": self.ref}
        return {**reach, **inputs}

    def forget(self) -> None:
        """Look anew, as a new process would."""
        _cloud.forget(self.props())

    def checked(self, provider: NamedProvider, olds: dict[str, Any], **inputs: Any) -> dict[str, Any]:
        """Check inputs that must be good."""
        result = provider.check(olds, self.props(**inputs))
        assert not result.failures, result.failures[0].reason
        return dict(result.inputs)

    def reasons(self, provider: NamedProvider, olds: dict[str, Any], **inputs: Any) -> list[str]:
        """Check inputs that must be refused, and say why they are."""
        return [failure.reason for failure in provider.check(olds, self.props(**inputs)).failures]

    def create(self, provider: NamedProvider, **inputs: Any) -> dict[str, Any]:
        """Create a resource and give its outputs; the next preview is quiet."""
        outs = dict(provider.create(self.checked(provider, {}, **inputs)).outs or {})
        assert not self.changes(provider, outs, **inputs)
        return outs

    def changes(self, provider: NamedProvider, olds: dict[str, Any], **inputs: Any) -> bool:
        """Tell whether a preview would show a change."""
        return bool(provider.diff("id", olds, self.checked(provider, olds, **inputs)).changes)

    def replaces(self, provider: NamedProvider, olds: dict[str, Any], **inputs: Any) -> list[str]:
        """Name what would make another thing of it."""
        return list(provider.diff("id", olds, self.checked(provider, olds, **inputs)).replaces or [])

    def update(self, provider: NamedProvider, olds: dict[str, Any], **inputs: Any) -> dict[str, Any]:
        """Update a resource that must need it; the next preview is quiet."""
        news = self.checked(provider, olds, **inputs)
        assert provider.diff("id", olds, news).changes
        outs = dict(provider.update("id", olds, news).outs or {})
        assert not self.changes(provider, outs, **inputs)
        return outs

    def refreshed(self, provider: NamedProvider, outs: dict[str, Any]) -> dict[str, Any] | None:
        """Give the outputs after a refresh; None: it is gone. Inputs show the same live values."""
        self.forget()
        found = provider.read("id", outs)
        if found.id is None:
            return None
        live, inputs = dict(found.outs or {}), dict(found.inputs or {})
        assert inputs == {name: value for name, value in live.items() if name not in provider.results}
        return live

    def fault(self, **what: Any) -> None:
        """Let the next requests fail."""
        self.project.emulator.client.post("/emulator/faults", json=what).raise_for_status()


@pytest.fixture(scope="session")
def named_project(emulator: Emulator) -> Project:
    """Give a project for named things; a test removes what it made, or names it like no other."""
    return emulator.create("named")


@pytest.fixture
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients wait for a moment where they would wait for seconds."""
    now = [0.0]

    def pause(seconds: float) -> None:
        now[0] += seconds
        Event().wait(min(seconds, _MOMENT_S))

    monkeypatch.setattr(creation, "_PATIENCE_S", 6.0)
    for module in (client, storage):
        monkeypatch.setattr(module, "default_timing", lambda: Timing(pause, lambda: now[0], 30.0, 3))


@pytest.fixture
def driver(named_project: Project, _short_pauses: None) -> Iterator[Driver]:
    """Give a driver that looks anew, and leaves no fault behind."""
    emulator = named_project.emulator
    with ManagementClient(emulator.api_url, emulator.token) as opened:
        given = Driver(named_project, opened)
        given.forget()
        yield given
        given.forget()
    emulator.client.delete("/emulator/faults").raise_for_status()
