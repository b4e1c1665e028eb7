"""What is shown of a device code."""

import pytest

from custom_components.outlook_smtp.auth.device_code import DeviceCode
from custom_components.outlook_smtp.flows.code_page import SIGN_IN_PAGE, describe_code


@pytest.mark.parametrize(
    ("page", "target"),
    [
        ("https://microsoft.com/link", "https://microsoft.com/link?otc=AB12"),
        ("https://www.microsoft.com/link", "https://www.microsoft.com/link?otc=AB12"),
        ("https://microsoft.com/devicelogin", "https://microsoft.com/devicelogin"),
        ("https://login.microsoft.com/link", "https://login.microsoft.com/link"),
        ("javascript:alert(1)", SIGN_IN_PAGE),
    ],
)
def test_only_one_page_takes_the_code(page: str, target: str) -> None:
    """The code is part of the link where the page takes it, and never of the visible address."""
    shown = describe_code(DeviceCode("AB12", page, "x", 900, 5))
    assert f'href="{target}"' in shown["page"]
    assert "otc" not in shown["page"].partition(target)[2]


def test_foreign_text_is_escaped() -> None:
    """A code or a page from elsewhere is text, not markup."""
    shown = describe_code(DeviceCode('<b onclick="x">\n1', 'https://x.example/"><b>', "x", 900, 5))
    assert "<b " not in shown["large_code"]
    assert '"><b>' not in shown["page"].replace("<tr><td><b>", "")
