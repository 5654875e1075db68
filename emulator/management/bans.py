"""Addresses that are banned after too many wrong logins: the stand-in bans nobody."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import AfterValidator

from emulator.management.bodies import EXISTS, Body

router = APIRouter(prefix="/v1/projects/{ref}/network-bans", dependencies=[EXISTS])


def _address(text: str) -> str:
    (IPv6Address if ":" in text else IPv4Address)(text)
    return text


class RemoveBans(Body):
    """Body of DELETE."""

    ipv4_addresses: list[Annotated[str, AfterValidator(_address)]]
    requester_ip: bool = False
    identifier: str = ""


@router.post("/retrieve", status_code=201)
def list_bans() -> dict[str, Any]:
    """List the addresses: none."""
    return {"banned_ipv4_addresses": []}


@router.post("/retrieve/enriched", status_code=201)
def list_bans_by_type() -> dict[str, Any]:
    """List the addresses with what banned them: none."""
    return list_bans()


@router.delete("", response_class=Response)
def remove_bans(_: RemoveBans) -> None:
    """Forgive addresses; those that are not banned are passed over."""
