"""What the dialog shows of a device code: Microsoft's page, the code and a QR code.

It is Markdown with the HTML that Home Assistant's frontend allows. The QR code is a picture with
its own white background: the frontend's own element is inverted in dark mode, and many phones
cannot read that.
"""

from collections.abc import Mapping
from functools import lru_cache
from html import escape
from types import MappingProxyType
from typing import Final

import segno
from yarl import URL

from ..auth.device_code import DeviceCode
from ..foreign_text import Markdown, link
from ..message.text import one_line

SIGN_IN_PAGE: Final = "https://microsoft.com/devicelogin"  # Where users enter Microsoft's codes.
_CODE_IN_LINK: Final = ("microsoft.com", "www.microsoft.com")
_PATH_WITH_CODE: Final = "/link"
_PIXELS: Final = 5  # Of the screen for one of the QR code.
# A picture without a size, which is not copied with the text: the address is wider than the dialog
# on a phone, and the frontend allows no <wbr>.
_MAY_BREAK: Final = (
    '<img width="0" height="0" src="data:image/gif;base64,'
    'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7">'
)
_QUIET_ZONE: Final = 4  # Modules of white around it (ISO/IEC 18004).


@lru_cache(maxsize=1)  # The dialog shows a code again with each state of the sign-in.
def describe_code(code: DeviceCode) -> Mapping[str, str]:
    """Return the placeholders that show a code and where to enter it."""
    page = link(code.verification_uri, SIGN_IN_PAGE)
    address = escape(_with_code(page, code.user_code))
    name = escape(page.partition("://")[2].rstrip("/")).replace("/", f"/{_MAY_BREAK}")
    picture = segno.make(_with_code(page, code.user_code), error="m", micro=False)
    data = picture.png_data_uri(scale=_PIXELS, border=_QUIET_ZONE, dark="black", light="white")
    texts = {
        "code": one_line(code.user_code),
        "url": page,
        # A table is the one thing with a border that the frontend allows.
        "page": Markdown(
            f'<table align="center"><tr><td><b><a href="{address}">{name} '
            '<ha-icon icon="mdi:open-in-new"></ha-icon></a></b></td></tr></table>'
        ),
        # In a table, the code stays on one line on a phone; one for layout has no padding there.
        "large_code": Markdown(
            '<table role="presentation" align="center"><tr><td>'
            f"<h1>{escape(one_line(code.user_code))}</h1></td></tr></table>"
        ),
        "qr_code": Markdown(f'<p><img src="{data}"></p>'),
    }
    return MappingProxyType(texts)


def _with_code(page: str, user_code: str) -> str:
    """Return the page's URL, with the code where the page takes it."""
    url = URL(page, encoded=True)
    if url.host in _CODE_IN_LINK and url.path.rstrip("/") == _PATH_WITH_CODE:
        return str(url.update_query(otc=one_line(user_code)))
    return page
