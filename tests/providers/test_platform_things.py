"""Add-ons and the own host name: what is bought, and what DNS has to prove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engines.supabase import ConflictError, ForbiddenError, RejectedError
from providers import _cloud
from providers.addons import AddonsProvider
from providers.hostname import CustomHostnameProvider
from tests.fix_management import REF, Service, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.fix_named import Driver

ADDONS, HOSTNAMES = AddonsProvider(), CustomHostnameProvider()


def selected(driver: Driver) -> dict[str, str]:
    """Look at what the project has."""
    return {one.type: one.variant for one in driver.client.addons.all(driver.ref).selected}


class TestAddons:
    """What is bought for a project."""

    def test_named_types_follow_the_stack(self, driver: Driver) -> None:
        """Named types are applied and given up, others are left alone, and nothing goes with the stack."""
        driver.client.addons.apply(driver.ref, "ipv4", "ipv4_default")
        outs = driver.create(ADDONS, addons={"pitr": "pitr_7", "custom_domain": ""})
        assert selected(driver) == {"ipv4": "ipv4_default", "pitr": "pitr_7"}
        assert driver.refreshed(ADDONS, outs) == outs

        driver.client.addons.apply(driver.ref, "pitr", "pitr_14")
        seen = driver.refreshed(ADDONS, outs)
        assert seen is not None
        assert seen["addons"] == {"pitr": "pitr_14", "custom_domain": ""}
        outs = driver.update(ADDONS, seen, addons={"pitr": ""})
        assert selected(driver) == {"ipv4": "ipv4_default"}
        ADDONS.delete("id", outs)
        assert selected(driver) == {"ipv4": "ipv4_default"}
        driver.client.addons.remove(driver.ref, "ipv4_default")

    def test_equal_ones_are_not_bought_again(self, driver: Driver) -> None:
        """To take over what a project has sends no change."""
        driver.client.addons.apply(driver.ref, "pitr", "pitr_7")
        driver.fault(kind="status", method="PATCH", path=".*/addons", status=403)
        driver.create(ADDONS, addons={"pitr": "pitr_7"})

        with pytest.raises(ForbiddenError):
            ADDONS.create(driver.props(addons={"pitr": "pitr_14"}))
        driver.client.addons.remove(driver.ref, "pitr_7")

    def test_variant_that_is_not_offered_is_refused(self, driver: Driver) -> None:
        """Preview and update list what the project is offered, and nothing else is bought before."""
        wanted = {"pitr": "pitr_9", "ipv4": "ipv4_default"}
        [reason] = driver.reasons(ADDONS, {}, addons=wanted)
        assert reason == (
            f"groundwork:supabase.addons.pitr: project {driver.ref} is not offered pitr_9; "
            "it is offered pitr_7, pitr_14, pitr_28"
        )
        with pytest.raises(RejectedError, match="is offered pitr_7, pitr_14, pitr_28"):
            ADDONS.create(driver.props(addons=wanted))
        assert selected(driver) == {}

    def test_update_waits_for_another_machine(
        self, driver: Driver, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What needs the larger machine comes after it, and the project is healthy at the end."""
        outs = driver.create(ADDONS, addons={"pitr": "pitr_7", "compute_instance": "ci_small"})
        project = driver.client.projects.get(driver.ref)
        assert project.status == "ACTIVE_HEALTHY"
        driver.update(ADDONS, outs, addons={"pitr": "", "compute_instance": "ci_micro"})
        assert selected(driver) == {"compute_instance": "ci_micro"}
        driver.client.addons.remove(driver.ref, "ci_micro")

        lines = [line for line in capsys.readouterr().err.splitlines() if "add-on" in line]
        assert lines == [
            "applying the add-on ci_small",
            "applying the add-on pitr_7",
            "giving up the add-on pitr_7",
            "applying the add-on ci_micro",
        ]


class TestHostname:
    """The own host name, which the stand-in believes at once."""

    @pytest.fixture(autouse=True)
    def _bought(self, driver: Driver) -> Iterator[None]:
        driver.client.addons.apply(driver.ref, "custom_domain", "cd_default")
        yield
        driver.client.hostnames.delete(driver.ref)
        driver.client.addons.remove(driver.ref, "cd_default")

    def test_life_of_a_name(self, driver: Driver) -> None:
        """It is claimed, proved and put into service; another one takes its place in two steps."""
        outs = driver.create(HOSTNAMES, hostname="api.example.com")
        assert (outs["status"], outs["made"]) == ("5_services_reconfigured", True)
        assert driver.refreshed(HOSTNAMES, outs) == outs

        other = driver.checked(HOSTNAMES, outs, hostname="api2.example.com")
        found = HOSTNAMES.diff("id", outs, other)
        assert (found.replaces, found.delete_before_replace) == (["hostname"], True)
        HOSTNAMES.delete("id", outs)
        assert driver.refreshed(HOSTNAMES, outs) is None
        driver.create(HOSTNAMES, hostname="api2.example.com")

    def test_name_of_others_is_not_taken_away(self, driver: Driver) -> None:
        """A name that somebody else claimed is an error that names both; one that is equal is taken over."""
        driver.client.hostnames.claim(driver.ref, "old.example.com")
        with pytest.raises(ConflictError, match=r"has the host name old\.example\.com, which this stack did"):
            HOSTNAMES.create(driver.props(hostname="api.example.com"))

        outs = driver.create(HOSTNAMES, hostname="old.example.com")
        HOSTNAMES.delete("id", outs)
        assert driver.client.hostnames.get(driver.ref) is not None


def shown(status: str) -> httpx.Response:
    """Answer a host name in a state, with the record that proves it."""
    tls = {"validation_records": [{"txt_name": "_acme.api.example.com", "txt_value": "proof"}]}
    data = {"result": {"ssl": tls, "verification_errors": ["the TXT record is missing"]}}
    return answer(200, {"custom_hostname": "api.example.com", "status": status, "data": data})


def test_dns_that_is_not_there_yet_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The update ends with a warning that has the records, and the next preview shows another update."""
    service = Service(shown("1_not_started"), shown("2_initiated"))
    monkeypatch.setattr(_cloud, "client", lambda *_: service.client())
    props: dict[str, Any] = {"api_url": "https://api.test", "access_token": "t", "project_ref": REF}
    props["hostname"] = "api.example.com"
    outs = HOSTNAMES.create(props).outs or {}

    warned = capsys.readouterr().err
    assert "api.example.com is not in service yet (2_initiated): DNS needs the records below" in warned
    assert "  _acme.api.example.com TXT proof\n" in warned
    assert "the platform says: the TXT record is missing" in warned
    assert outs["records"] == {"_acme.api.example.com": "proof"}
    assert service.methods() == ["GET", "POST"]
    assert HOSTNAMES.diff("id", outs, props).changes

    service.answers = [
        shown("2_initiated"),
        shown("4_origin_setup_completed"),
        shown("5_services_reconfigured"),
    ]
    outs = HOSTNAMES.update("id", outs, props).outs or {}
    assert outs["status"] == "5_services_reconfigured"
    assert not HOSTNAMES.diff("id", outs, props).changes
