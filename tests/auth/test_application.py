"""App registrations, and what users may enter for them."""

import pytest

from custom_components.outlook_smtp.auth.application import Application, is_client_id, is_tenant

CLIENT_ID = "7b1f6a0c-52f3-4c1e-9d1a-6f0a3c2b8e45"


@pytest.mark.parametrize("text", [CLIENT_ID, CLIENT_ID.upper()])
def test_client_id_is_a_guid(text: str) -> None:
    """A client ID is a GUID."""
    assert is_client_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        CLIENT_ID[:-1],
        f"{CLIENT_ID}\n",
        f"{{{CLIENT_ID}}}",
        CLIENT_ID.replace("-", ""),
        "Q~x8Q~a-client-secret-in-the-wrong-field",
        CLIENT_ID.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}"),
    ],
)
def test_invalid_client_id_is_rejected(text: str) -> None:
    """Anything else is invalid."""
    assert not is_client_id(text)


@pytest.mark.parametrize(
    "text",
    ["common", "organizations", "consumers", CLIENT_ID, "contoso.onmicrosoft.com", "a.b-c.EXAMPLE"],
)
def test_valid_tenants_are_accepted(text: str) -> None:
    """A tenant is a group of accounts, a GUID or a domain."""
    assert is_tenant(text)
    assert Application(CLIENT_ID, text).endpoint("token") == (
        f"https://login.microsoftonline.com/{text}/oauth2/v2.0/token"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "contoso",
        "common/..",
        "../evil.example",
        "evil.example#",
        "a@b.example",
        "https://contoso.com",
        "contoso.com\n",
        "contoso..com",
        ".com",
        "-a.example",
        "a-.example",
        f"{'a' * 64}.example",
        ".".join(["a" * 60] * 5),
        "bücher.example",
    ],
)
def test_invalid_tenants_are_rejected(text: str) -> None:
    """Nothing else can become part of a URL."""
    assert not is_tenant(text)
    with pytest.raises(ValueError, match="tenant"):
        Application(CLIENT_ID, text)


def test_secret_is_sent_and_not_shown() -> None:
    """The secret is sent if there is one, and never shown."""
    public = Application(CLIENT_ID)
    confidential = Application(CLIENT_ID, client_secret="hidden")
    assert public.credentials() == {"client_id": CLIENT_ID}
    assert confidential.credentials() == {"client_id": CLIENT_ID, "client_secret": "hidden"}
    assert "hidden" not in repr(confidential)
