"""The forms that describe an account."""

from typing import Final

from homeassistant.const import CONF_EMAIL, CONF_HOST, CONF_PASSWORD, CONF_PORT, CONF_USERNAME
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol

from ..const import CONF_ACCOUNT_KIND, CONF_SECURITY, CONF_SENDER_NAME
from ..smtp.settings import AccountKind, Security

_KIND: Final = SelectSelector(
    SelectSelectorConfig(
        options=[kind.value for kind in AccountKind],
        mode=SelectSelectorMode.LIST,
        translation_key=CONF_ACCOUNT_KIND,
    )
)
_EMAIL: Final = TextSelector(
    TextSelectorConfig(type=TextSelectorType.EMAIL, autocomplete="username")
)
_PASSWORD: Final = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="current-password")
)

PASSWORD_FORM: Final = vol.Schema(
    {
        vol.Required(CONF_ACCOUNT_KIND): _KIND,
        vol.Required(CONF_EMAIL): _EMAIL,
        vol.Required(CONF_PASSWORD): _PASSWORD,
    }
)
CHANGE_PASSWORD_FORM: Final = vol.Schema(
    {
        vol.Required(CONF_ACCOUNT_KIND): _KIND,
        vol.Required(CONF_EMAIL): _EMAIL,
        vol.Optional(CONF_PASSWORD): _PASSWORD,
    }
)
REAUTH_FORM: Final = vol.Schema(
    {vol.Required(CONF_EMAIL): _EMAIL, vol.Required(CONF_PASSWORD): _PASSWORD}
)
SERVER_FORM: Final = vol.Schema(
    {
        vol.Required(CONF_HOST): TextSelector(),
        vol.Required(CONF_SECURITY, default=Security.STARTTLS.value): SelectSelector(
            SelectSelectorConfig(
                options=[security.value for security in Security],
                mode=SelectSelectorMode.LIST,
                translation_key=CONF_SECURITY,
            )
        ),
        # Without one, the port follows the security.
        vol.Optional(CONF_PORT): vol.All(
            NumberSelector(
                NumberSelectorConfig(min=1, max=65535, step=1, mode=NumberSelectorMode.BOX)
            ),
            vol.Coerce(int),
        ),
    }
)
SEND_TEST: Final = "send_test"  # The field of the last form.
WORKS_FORM: Final = vol.Schema(
    {
        vol.Optional(CONF_SENDER_NAME): TextSelector(TextSelectorConfig(autocomplete="name")),
        vol.Required(SEND_TEST, default=True): BooleanSelector(),
    }
)
TESTED_FORM: Final = vol.Schema({})
OTHER_SERVER_FORM: Final = SERVER_FORM.extend(
    {vol.Optional(CONF_USERNAME): TextSelector(TextSelectorConfig(autocomplete="username"))}
)
