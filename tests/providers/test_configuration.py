"""Sections of a project's settings, written to a real stand-in by the provider's own methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engines.supabase import SECTIONS, AuthSettings, ManagementClient, differing
from providers import _cloud
from providers.configuration import SupabaseSettingsProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fix_emulator import Emulator, Project

CANARY = "CANARY-smtp-7c1"
PROVIDER = SupabaseSettingsProvider()


@pytest.fixture(scope="module")
def target(emulator: Emulator) -> Project:
    """Give a project whose settings these tests change."""
    return emulator.create("settings")


@pytest.fixture(autouse=True)
def _fresh(target: Project) -> Iterator[None]:
    """Let each test look anew, as a new process would."""
    _forget(target)
    yield
    _forget(target)


def _forget(project: Project) -> None:
    _cloud.forget({"api_url": project.emulator.api_url, "project_ref": project.ref})


def props(project: Project, section: str, **fields: Any) -> dict[str, Any]:
    """Give the inputs of a section."""
    reach = {"api_url": project.emulator.api_url, "access_token": project.emulator.token}
    ours = {"project_ref": project.ref, "section": section, "fingerprint_key": "key", "restart": False}
    return {**reach, **ours, **fields}


def checked(olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
    """Check inputs that must be good."""
    result = PROVIDER.check(olds, news)
    assert not result.failures, result.failures[0].reason
    return dict(result.inputs)


def created(project: Project, section: str, **fields: Any) -> dict[str, Any]:
    """Create a section and give its outputs."""
    outs = PROVIDER.create(checked({}, props(project, section, **fields))).outs
    assert outs is not None
    return outs


def refreshed(outs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Refresh a section and give its outputs and inputs."""
    seen = PROVIDER.read("id", outs)
    assert seen.outs is not None
    assert seen.inputs is not None
    return seen.outs, seen.inputs


def updated(olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
    """Update a section and give its outputs."""
    outs = PROVIDER.update("id", olds, checked(olds, news)).outs
    assert outs is not None
    return outs


def changes(olds: dict[str, Any], news: dict[str, Any]) -> bool:
    """Tell whether a preview would show an update."""
    return bool(PROVIDER.diff("id", olds, checked(olds, news)).changes)


def live(project: Project, section: str) -> dict[str, Any]:
    """Read a section from the stand-in."""
    with ManagementClient(project.emulator.api_url, project.emulator.token) as client:
        return client.configuration.read(project.ref, SECTIONS[section]).values()


def by_hand(project: Project, path: str, body: dict[str, Any]) -> None:
    """Change something behind the stack's back."""
    project.emulator.client.patch(f"{project.path}/{path}", json=body).raise_for_status()
    _forget(project)


EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "auth": ({"jwt_exp": 1800.0, "site_url": "https://a.test"}, {"jwt_exp": 900.0}),
    "postgrest": ({"max_rows": 50.0, "db_schema": "public, graphql_public"}, {"max_rows": 60.0}),
    "postgres": ({"work_mem": "8MB"}, {"work_mem": "16MB"}),
    "pooler": ({"default_pool_size": 12.0}, {"default_pool_size": 13.0}),
    "storage": ({"fileSizeLimit": 1000.0}, {"fileSizeLimit": 2000.0}),
    "realtime": ({"max_concurrent_users": 30.0}, {"max_concurrent_users": 31.0}),
    "ssl": ({"database": True}, {"database": False}),
    "network": ({"dbAllowedCidrs": ["10.0.0.0/8", "192.0.2.0/24"]}, {"dbAllowedCidrs": ["10.0.0.0/8"]}),
}


@pytest.mark.parametrize("section", EXAMPLES)
class TestEachSection:
    """What holds for every section."""

    def test_is_written_and_quiet_then(self, target: Project, section: str) -> None:
        """What a stack names is on the platform afterwards, and the next preview shows nothing."""
        first, _ = EXAMPLES[section]

        outs = created(target, section, **first)

        assert not differing(first, live(target, section))
        assert not changes(outs, props(target, section, **first))

    def test_a_changed_field_changes_alone(self, target: Project, section: str) -> None:
        """A change of one field writes that field, and leaves all others of the section."""
        first, second = EXAMPLES[section]
        outs, before = created(target, section, **first), live(target, section)
        wanted = props(target, section, **{**first, **second})

        assert changes(outs, wanted)
        outs = updated(outs, wanted)

        assert live(target, section) == {**before, **second}
        assert not changes(outs, wanted)

    def test_drift_is_refreshed_by_field_and_repaired(self, target: Project, section: str) -> None:
        """A refresh shows the live value of a field that was changed by hand; an update writes it back."""
        first, second = EXAMPLES[section]
        outs, wanted = created(target, section, **first), props(target, section, **first)
        created(target, section, **{**first, **second})
        _forget(target)

        seen, inputs = refreshed(outs)

        assert {name for name in first if seen[name] != first[name]} == set(second)
        assert {name: inputs[name] for name in second} == second
        updated(seen, wanted)
        assert not differing(first, live(target, section))

    def test_a_preview_names_drift(
        self, target: Project, section: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A preview without refresh names the drifted field with its live value, and asks for an update."""
        first, second = EXAMPLES[section]
        outs, wanted = created(target, section, **first), props(target, section, **first)
        created(target, section, **{**first, **second})
        _forget(target)
        capsys.readouterr()

        assert changes(outs, wanted)

        said = capsys.readouterr().err.splitlines()
        assert [line.split(" is ")[0] for line in said] == [f"drift: {section}.{name}" for name in second]


class TestAuthSecrets:
    """Values that the platform shows masked."""

    def test_a_changed_secret_is_named_and_not_shown(self, target: Project) -> None:
        """A new secret shows as another fingerprint under its name; no text has the value."""
        outs = created(target, "auth", smtp_pass=CANARY)
        wanted = checked(outs, props(target, "auth", smtp_pass=f"{CANARY}-2"))

        assert wanted["fingerprints"]["smtp_pass"] != outs["fingerprints"]["smtp_pass"]
        assert PROVIDER.diff("id", outs, wanted).changes
        assert CANARY not in str({**wanted, "smtp_pass": ""}) + str({**outs, "smtp_pass": ""})

    def test_one_that_stays_is_not_written_again(self, target: Project) -> None:
        """An update of another field leaves a secret alone that is shown as it was after it was written."""
        outs = created(target, "auth", smtp_pass=CANARY, jwt_exp=1000.0)
        by_hand(target, "config/auth", {"smtp_admin_email": "x@example.com"})
        wanted = props(target, "auth", smtp_pass=CANARY, jwt_exp=1001.0)
        with ManagementClient(target.emulator.api_url, target.emulator.token) as client:
            found = client.configuration.read(target.ref, AuthSettings)

        from providers import configuration  # noqa: PLC0415 - its private choice is what is asked

        assert configuration._changes(outs, checked(outs, wanted), found) == {"jwt_exp": 1001.0}

    def test_drift_is_seen_and_repaired(self, target: Project) -> None:
        """A secret that somebody replaced is seen by what the platform shows of it, and written again."""
        outs = created(target, "auth", smtp_pass=CANARY)
        shown = live(target, "auth")["smtp_pass"]
        by_hand(target, "config/auth", {"smtp_pass": "another"})

        seen, inputs = refreshed(outs)

        assert inputs["fingerprints"] == {"smtp_pass": _cloud.STRANGER}
        wanted = props(target, "auth", smtp_pass=CANARY)
        assert changes(seen, wanted)
        updated(seen, wanted)
        assert live(target, "auth")["smtp_pass"] == shown


class TestSparse:
    """What a stack does not name is not its own."""

    def test_a_field_let_go_stays(self, target: Project) -> None:
        """A field that leaves the stack asks for an update, and stays as it is on the platform."""
        outs = created(target, "auth", jwt_exp=1200.0, site_url="https://b.test")
        wanted = props(target, "auth", site_url="https://b.test")

        assert changes(outs, wanted)
        updated(outs, wanted)

        assert live(target, "auth")["jwt_exp"] == 1200

    def test_a_parameter_let_go_is_the_platforms_again(self, target: Project) -> None:
        """A parameter of PostgreSQL that leaves the stack is unset, for the platform knows that state."""
        outs = created(target, "postgres", work_mem="8MB", log_lock_waits=True)

        updated(outs, props(target, "postgres", work_mem="8MB"))

        assert "log_lock_waits" not in live(target, "postgres")

    def test_what_is_there_already_is_not_written(
        self, target: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """To take over a section as it is sends no change."""
        created(target, "realtime", max_concurrent_users=40.0)
        methods: list[str] = []
        exchange = ManagementClient.__enter__

        def watched(client: ManagementClient) -> ManagementClient:
            client._http.event_hooks["request"].append(lambda request: methods.append(request.method))
            return exchange(client)

        monkeypatch.setattr(ManagementClient, "__enter__", watched)

        created(target, "realtime", max_concurrent_users=40.0)

        assert set(methods) == {"GET"}

    def test_null_takes_a_value_back(self, target: Project) -> None:
        """A field that is to be null loses its value, plain or secret; a value that comes back is drift."""
        by_hand(target, "config/auth", {"smtp_sender_name": "x", "smtp_pass": CANARY})
        before = created(target, "auth", smtp_sender_name="x", smtp_pass=CANARY)
        wanted = props(target, "auth", unset=["smtp_pass", "smtp_sender_name"])

        assert changes(before, wanted)
        outs = updated(before, wanted)

        found = live(target, "auth")
        assert not found["smtp_sender_name"]
        assert not found["smtp_pass"]
        _forget(target)
        assert not changes(outs, wanted)
        assert refreshed(outs)[0] == outs
        by_hand(target, "config/auth", {"smtp_sender_name": "y", "smtp_pass": "another"})
        seen, inputs = refreshed(outs)
        assert (inputs["smtp_sender_name"], inputs["unset"]) == ("y", [])
        assert inputs["fingerprints"] == {"smtp_pass": _cloud.STRANGER}
        assert changes(seen, wanted)
        updated(seen, wanted)
        assert not live(target, "auth")["smtp_sender_name"]

    def test_another_fingerprint_key_alone_changes_no_section(self, target: Project) -> None:
        """A section without secrets has no fingerprints, and nothing to do when their key changes."""
        outs = created(target, "ssl", database=True)
        wanted = {**props(target, "ssl", database=True), "fingerprint_key": "another"}

        assert not changes(outs, wanted)

    def test_what_the_api_does_not_take_is_refused(self, target: Project) -> None:
        """A wrong name or value is refused in preview, by its full key."""
        result = PROVIDER.check({}, props(target, "auth", jwt_ex=1, site_url=5))

        text = result.failures[0].reason
        assert "groundwork:supabase.auth.jwt_ex: the API has no such field; did you mean jwt_exp?" in text


def test_a_project_that_is_gone_leaves_the_state(target: Project) -> None:
    """A refresh of settings whose project is gone drops them, so that the next update makes them again."""
    outs = {**created(target, "ssl", database=True), "project_ref": "zzzzzzzzzzzzzzzzzzzz"}

    assert PROVIDER.read("id", outs).id is None
