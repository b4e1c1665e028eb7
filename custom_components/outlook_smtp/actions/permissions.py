"""Check the permissions of the calling user, as Home Assistant's entity actions do."""

from collections.abc import Iterable
from dataclasses import dataclass

from homeassistant.auth.permissions import AbstractPermissions, OwnerPermissions
from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.components.notify import DOMAIN as NOTIFY_DOMAIN
from homeassistant.core import Context, HomeAssistant, ServiceCall
from homeassistant.exceptions import Unauthorized, UnknownUser
from homeassistant.helpers import entity_registry as er

from ..const import DOMAIN
from ..coordinator import OutlookSmtpConfigEntry
from ..notify import MAIL


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of an action.

    Administrators may do everything, and so may automations and scripts without a user.
    """

    context: Context
    permissions: AbstractPermissions = OwnerPermissions

    def may_control(self, entity_id: str) -> bool:
        """Return whether the caller may control an entity."""
        return self.permissions.check_entity(entity_id, POLICY_CONTROL)

    def check_control(self, entity_ids: Iterable[str]) -> None:
        """Raise `Unauthorized` for the first entity that the caller may not control."""
        for entity_id in entity_ids:
            if not self.may_control(entity_id):
                raise Unauthorized(
                    context=self.context, entity_id=entity_id, permission=POLICY_CONTROL
                )

    def check_account(self, hass: HomeAssistant, account: OutlookSmtpConfigEntry) -> None:
        """Raise `Unauthorized` unless the caller may send to any recipient from an account.

        Permission to control the account's own notify entity, even if it is disabled, is
        required. If there is none, only administrators may.
        """
        unique_id = f"{account.entry_id}_{MAIL.key}"
        own = er.async_get(hass).async_get_entity_id(NOTIFY_DOMAIN, DOMAIN, unique_id)
        if own:
            self.check_control([own])
        elif self.permissions is not OwnerPermissions:
            raise Unauthorized(context=self.context, permission=POLICY_CONTROL)


async def async_check_administrator(hass: HomeAssistant, context: Context) -> None:
    """Raise `Unauthorized` if a user caused a call who is no administrator."""
    if not context.user_id:
        return
    user = await hass.auth.async_get_user(context.user_id)
    if user is None or not user.is_admin:
        raise Unauthorized(context=context)


async def async_find_caller(call: ServiceCall) -> Caller:
    """Return the caller of an action.

    Raises:
        UnknownUser: If the user does not exist.

    """
    if not call.context.user_id:
        return Caller(call.context)
    user = await call.hass.auth.async_get_user(call.context.user_id)
    if user is None:
        raise UnknownUser(context=call.context)
    return Caller(call.context, OwnerPermissions if user.is_admin else user.permissions)
