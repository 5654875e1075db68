"""What the stand-in keeps and answers beside settings: providers, branches, names, keys, disks."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from emulator import ed25519, rsa

if TYPE_CHECKING:
    import httpx

    from tests.fix_emulator import Emulator, Project


@pytest.fixture(scope="module")
def records(emulator: Emulator) -> Project:
    """Make a project that these tests change."""
    return emulator.create("records")


def ask(project: Project, method: str, path: str, body: Any = None) -> httpx.Response:
    """Send a request about a project."""
    return project.emulator.client.request(method, f"{project.path}/{path}", json=body)


def test_providers_of_sign_on(records: Project) -> None:
    """Once auth has SAML on, a provider is kept, changed where something is given, and removed."""
    path = "config/auth/sso/providers"
    ask(records, "PATCH", "config/auth", {"saml_enabled": True}).raise_for_status()
    new = {"type": "saml", "metadata_url": "https://idp.test/m", "domains": ["a.test"]}
    both = ask(records, "POST", path, {**new, "metadata_xml": "<x/>"})
    made = ask(records, "POST", path, new).json()
    mapping = {"keys": {"mail": {"name": "email"}}}
    changed = ask(records, "PUT", f"{path}/{made['id']}", {"attribute_mapping": mapping}).json()
    listed = ask(records, "GET", path).json()["items"]
    ask(records, "DELETE", f"{path}/{made['id']}").raise_for_status()

    assert "Exactly one of metadata_xml and metadata_url" in both.json()["message"]
    assert changed["saml"]["metadata_url"] == "https://idp.test/m"
    assert changed["saml"]["attribute_mapping"] == mapping
    assert [one["domain"] for one in changed["domains"]] == ["a.test"]
    assert listed == [changed]
    assert ask(records, "GET", f"{path}/{made['id']}").status_code == 404


def test_branches_are_records(records: Project) -> None:
    """The first branch makes the default one, which leads to the project's database; others have none."""
    client = records.emulator.client
    made = ask(records, "POST", "branches", {"branch_name": "feature", "git_branch": "f"}).json()
    again = ask(records, "POST", "branches", {"branch_name": "feature"})
    names = [one["name"] for one in ask(records, "GET", "branches").json()]
    main = client.get(f"/v1/branches/{records.ref}").json()
    database = client.get(f"/v1/branches/{made['id']}")
    kept = client.delete(f"/v1/branches/{records.ref}")
    client.delete(f"/v1/branches/{made['project_ref']}").raise_for_status()

    assert again.status_code == 409
    assert names == ["main", "feature"]
    assert (main["ref"], main["status"]) == (records.ref, "ACTIVE_HEALTHY")
    assert "it has no database" in database.json()["message"]
    assert kept.json()["message"] == "The default branch cannot be deleted."
    assert [one["name"] for one in ask(records, "GET", "branches").json()] == ["main"]


def test_a_name_belongs_to_one_project(records: Project, project: Project) -> None:
    """A subdomain that a project has is not available to another one, until it is given up."""
    body = {"vanity_subdomain": "acme-records"}
    ask(records, "POST", "vanity-subdomain/activate", body).raise_for_status()
    own = ask(records, "POST", "vanity-subdomain/check-availability", body).json()
    other = ask(project, "POST", "vanity-subdomain/check-availability", body).json()
    refused = ask(project, "POST", "vanity-subdomain/activate", body)
    ask(records, "DELETE", "vanity-subdomain").raise_for_status()

    assert (own, other) == ({"available": True}, {"available": False})
    assert refused.json()["message"] == "The subdomain acme-records is not available."
    assert ask(records, "GET", "vanity-subdomain").json() == {"status": "not-used"}


@pytest.mark.parametrize(
    "name", ["acme", "acme.test", "-a.acme.test", "a..acme.test", "a b.acme.test", "1.2.3.4", "a.acme.test."]
)
def test_what_is_no_host_name_is_refused(name: str, records: Project) -> None:
    """A host name is one below a domain."""
    addon = {"addon_type": "custom_domain", "addon_variant": "cd_default"}
    ask(records, "PATCH", "billing/addons", addon).raise_for_status()

    refused = ask(records, "POST", "custom-hostname/initialize", {"custom_hostname": name})

    assert refused.status_code == 400
    assert "must be a name below a domain" in refused.json()["message"]


@pytest.mark.parametrize(
    ("algorithm", "members", "sizes"),
    [
        ("EdDSA", {"kty": "OKP", "crv": "Ed25519"}, {"x": 32}),
        ("ES256", {"kty": "EC", "crv": "P-256"}, {"x": 32, "y": 32}),
        ("RS256", {"kty": "RSA", "e": "AQAB"}, {"n": 256}),
    ],
)
def test_signing_keys_of_every_kind(
    algorithm: str, members: dict[str, str], sizes: dict[str, int], records: Project
) -> None:
    """A key that is made has the public half that its algorithm has, and no other half."""
    made = ask(records, "POST", "config/auth/signing-keys", {"algorithm": algorithm}).json()
    shown = made["public_jwk"]
    numbers = {name: len(base64.urlsafe_b64decode(shown[name] + "==")) for name in sizes}

    assert shown | members == shown
    assert numbers == sizes
    assert set(shown) == {*members, *sizes, "alg", "use"}


@pytest.mark.parametrize(
    ("seed", "public"),
    [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        ),
    ],
)
def test_ed25519_is_that_of_the_standard(seed: str, public: str) -> None:
    """A public key is the one of RFC 8032, section 7.1."""
    assert ed25519.public_key(bytes.fromhex(seed)).hex() == public


def test_rsa_has_the_size_and_is_never_the_same() -> None:
    """A modulus has 2048 bits, is odd and new each time."""
    first, second = rsa.modulus(), rsa.modulus()

    assert first.bit_length() == second.bit_length() == 2048
    assert first % 2 == second % 2 == 1
    assert first != second


def test_disk_and_read_only_mode(records: Project) -> None:
    """A larger disk is kept; lifting the read-only mode shows until when."""
    attributes = {"type": "io2", "size_gb": 20, "iops": 4000}
    ask(records, "POST", "config/disk", {"attributes": attributes}).raise_for_status()
    before = ask(records, "GET", "readonly").json()
    ask(records, "POST", "readonly/temporary-disable").raise_for_status()
    after = ask(records, "GET", "readonly").json()
    used = ask(records, "GET", "config/disk/util").json()["metrics"]

    assert ask(records, "GET", "config/disk").json()["attributes"] == attributes
    assert before == {"enabled": False, "override_enabled": False, "override_active_until": ""}
    assert (after["override_enabled"], after["override_active_until"] > "2026") == (True, True)
    assert used["fs_size_bytes"] >= used["fs_used_bytes"] > 0


def test_null_gives_a_setting_back(records: Project) -> None:
    """Null in a setting of auth that is never null brings back what it was at first."""
    ask(records, "PATCH", "config/auth", {"mfa_phone_otp_length": 8}).raise_for_status()
    changed = ask(records, "PATCH", "config/auth", {"mfa_phone_otp_length": None}).json()

    assert changed["mfa_phone_otp_length"] == 6
