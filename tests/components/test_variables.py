"""The variables that the program hands to its services, run under mocks."""

from __future__ import annotations

import pytest

from settings.variables import CATALOGUE, Service
from tests.components.fix_mocks import run_program, stack_config


@pytest.mark.parametrize("service", ["app", "agent"])
def test_a_service_is_told_only_what_is_declared_for_it(service: Service) -> None:
    """Whoever gives a service one more variable declares it, or the page of all variables is not complete."""
    told = run_program("local", stack_config("local")).of("Process")[service]
    declared = {(one.name, one.secret) for one in CATALOGUE if service in one.services}
    plain = {(name, False) for name in told["environment"]}
    hidden = {(name.upper(), True) for name in told["secrets"]}

    assert (plain | hidden) - declared == set()


def test_a_value_of_the_stack_reaches_the_service() -> None:
    """The stack's value stands in the place of the default, for the service named and no other."""
    given = {**stack_config("local"), "groundwork:variables": {"REPLY_PRICE": 7}}

    services = run_program("local", given).of("Process")

    assert services["agent"]["environment"]["REPLY_PRICE"] == "7"
    assert services["agent"]["environment"]["AI_MAX_TOKENS"] == "1024"
    assert "REPLY_PRICE" not in services["app"]["environment"]
