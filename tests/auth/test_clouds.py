"""Microsoft's clouds: hosts and scopes as Microsoft documents them."""

import pytest

from custom_components.outlook_smtp.auth.application import Application, is_tenant
from custom_components.outlook_smtp.auth.clouds import CLOUDS, WORLDWIDE, Resource

from .conftest import GRAPH, SMTP

CLIENT_ID = "7b1f6a0c-52f3-4c1e-9d1a-6f0a3c2b8e45"


@pytest.mark.parametrize(
    ("name", "authority", "graph", "smtp_host", "outlook"),
    [
        (
            "worldwide",
            "https://login.microsoftonline.com",
            "https://graph.microsoft.com",
            "smtp.office365.com",
            "https://outlook.office.com",
        ),
        (
            "gcc_high",
            "https://login.microsoftonline.us",
            "https://graph.microsoft.us",
            "smtp.office365.us",
            "https://outlook.office365.us",
        ),
        (
            "china",
            "https://login.chinacloudapi.cn",
            "https://microsoftgraph.chinacloudapi.cn",
            "smtp.partner.outlook.cn",
            "https://partner.outlook.cn",
        ),
    ],
)
def test_each_cloud_has_its_own_hosts_and_scopes(
    name: str, authority: str, graph: str, smtp_host: str, outlook: str
) -> None:
    """Sign-in, Graph and SMTP have separate hosts, and scopes are written in full."""
    cloud = CLOUDS[name]
    address = f"{authority}/common/oauth2/v2.0/token"
    assert Application(CLIENT_ID, cloud=cloud).endpoint("token") == address
    assert (cloud.graph, cloud.smtp_host) == (graph, smtp_host)
    rest = "offline_access openid profile email"
    assert cloud.scope(SMTP) == f"{outlook}/SMTP.Send {rest}"
    assert cloud.scope(GRAPH) == f"{graph}/Mail.Send {rest}"
    assert cloud.scope(*Resource) == f"{outlook}/SMTP.Send {graph}/Mail.Send {rest}"


@pytest.mark.parametrize("name", CLOUDS)
def test_only_the_worldwide_cloud_has_personal_accounts(name: str) -> None:
    """All clouds have directories and the other groups of accounts."""
    cloud = CLOUDS[name]
    assert is_tenant("consumers", cloud) == (name == WORLDWIDE)
    assert all(is_tenant(tenant, cloud) for tenant in ("common", "organizations", "contoso.com"))
    if name != WORLDWIDE:
        with pytest.raises(ValueError, match="tenant"):
            Application(CLIENT_ID, "consumers", cloud)
