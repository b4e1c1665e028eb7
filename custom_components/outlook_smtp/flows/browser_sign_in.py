"""The dialogs for accounts that sign in through the browser, with application credentials."""

from collections.abc import Mapping
from typing import Any, Final, override

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.helpers.config_entry_oauth2_flow import AbstractOAuth2Implementation

from ..application_credentials import MicrosoftImplementation
from ..auth.auth_error import AuthError, read_error
from ..const import CONF_IMPLEMENTATION
from ..delivery.faults import Problem
from ..foreign_text import Markdown
from ..message.text import short_line
from ..token_store import async_find_implementation
from .sign_in import RETRY_FORM, SignInFlow

# Where application credentials are added and deleted.
CREDENTIALS_PAGE: Final = "/config/application_credentials"
# Errors in the application credentials, which another dialog changes.
CREDENTIALS_PROBLEMS: Final = frozenset(
    {Problem.SECRET_EXPIRED, Problem.SECRET_NOT_ALLOWED, Problem.SECRET_WRONG}
)


class BrowserFlow(SignInFlow):
    """Sends a person to Microsoft's page, and leads to the credentials if their secret is refused.

    `_credentials_name` is the name of the credentials whose secret was refused.
    """

    def __init__(self) -> None:
        """Start without credentials."""
        super().__init__()
        self._credentials_name = ""

    async def async_step_browser(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the tenant, and open Microsoft's page."""
        self._sign_in_step = "browser"
        errors = self._sign_in_errors()
        if user_input is not None:
            errors = self._take_directory(user_input)
            if not errors:
                return await self.async_step_pick_implementation()
        return self._show_registration("browser", {}, errors)

    async def async_step_credentials(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Lead to where a refused secret is replaced, and sign in again on request."""
        if user_input is not None:
            if not self._sign_in_step:  # A check led here.
                self._sign_in_as_before("browser")
            return await self.async_step_pick_implementation()
        await self._async_name_credentials()
        return self._show_form("credentials", RETRY_FORM, {}, self._sign_in_errors())

    @override
    async def async_generate_authorize_url(self) -> str:
        """Return the URL of Microsoft's page for the tenant, with the permission to ask for."""
        self._implementation.tenant = self._tenant
        self._implementation.cloud = self._cloud
        self._implementation.resources = (self._resource,)
        return await super().async_generate_authorize_url()

    @override
    async def async_step_creation(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Exchange the authorization code for tokens, and use the account that signed in."""
        answer: Mapping[str, Any] | AuthError
        try:
            answer = await self._implementation.async_resolve_external_data(self.external_data)
        except AuthError as error:
            answer = error
        return await self._async_take(answer, {CONF_IMPLEMENTATION: self._implementation.domain})

    @override
    async def async_step_authorize_rejected(self, data: None = None) -> ConfigFlowResult:
        """Explain why Microsoft's page returned the person without permission to send."""
        error = read_error(self.external_data)
        # Home Assistant does not pass Microsoft's message on.
        answer = AuthError(error.problem, error.code)
        return await self._async_take(answer, {CONF_IMPLEMENTATION: self._implementation.domain})

    @property
    def _implementation(self) -> MicrosoftImplementation:
        """Return the selected application credentials."""
        assert isinstance(self.flow_impl, MicrosoftImplementation)  # noqa: S101 - Only ours are offered.
        return self.flow_impl

    async def _async_name_credentials(self) -> None:
        """Find the name of the refused credentials: those selected, or those of the account."""
        selected: AbstractOAuth2Implementation | None = self.flow_impl
        if not selected:
            name = self._data[CONF_IMPLEMENTATION]
            selected = await async_find_implementation(self.hass, name)
        if selected:  # Somebody may have deleted them meanwhile.
            self._credentials_name = short_line(selected.name)

    @override
    def _step_after_refusal(self, registration: Mapping[str, str]) -> str:
        """Return the step about the credentials if their secret was refused."""
        step = super()._step_after_refusal(registration)
        return "credentials" if self._is_secret_refused(registration) else step

    def _is_secret_refused(self, registration: Mapping[str, Any]) -> bool:
        """Return whether the last fault is one of the secret in application credentials."""
        is_secret = self._fault is not None and self._fault.problem in CREDENTIALS_PROBLEMS
        return is_secret and CONF_IMPLEMENTATION in registration

    @override
    def _placeholders(self) -> dict[str, str]:
        """Return the placeholders of this dialog's texts, including the credentials."""
        return {
            **super()._placeholders(),
            "credentials_url": Markdown(CREDENTIALS_PAGE),
            "credentials": self._credentials_name,
        }
