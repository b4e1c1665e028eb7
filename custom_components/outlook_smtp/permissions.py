"""Checks what the user behind a call may do, as Home Assistant's own entity actions do."""

from collections.abc import Iterable
from dataclasses import dataclass

from homeassistant.auth.permissions import AbstractPermissions
from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.core import Context, HomeAssistant, ServiceCall
from homeassistant.exceptions import Unauthorized, UnknownUser

from .mailer import Mailer
from .notify import own_entity_id


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls an action.

    Automations and scripts that nobody has started, and administrators, have no `permissions`
    here, because they may do everything.
    """

    context: Context
    permissions: AbstractPermissions | None = None

    def may_control(self, entity_id: str) -> bool:
        """Return whether the caller may control an entity."""
        return self.permissions is None or self.permissions.check_entity(entity_id, POLICY_CONTROL)

    def check_control(self, entity_ids: Iterable[str]) -> None:
        """Raise `Unauthorized` for the first of the entities that the caller may not control."""
        for entity_id in entity_ids:
            if not self.may_control(entity_id):
                raise Unauthorized(
                    context=self.context, entity_id=entity_id, permission=POLICY_CONTROL
                )

    def check_account(self, hass: HomeAssistant, mailer: Mailer) -> None:
        """Raise `Unauthorized` unless the caller may write to anybody in the name of an account.

        The account's own notify entity stands for it. Without one, only administrators may.
        """
        if self.permissions is None:
            return
        entity_id = own_entity_id(hass, mailer)
        if entity_id is None:
            raise Unauthorized(context=self.context, permission=POLICY_CONTROL)
        self.check_control([entity_id])


async def async_find_caller(call: ServiceCall) -> Caller:
    """Return who calls an action.

    Raises:
        UnknownUser: If the user does not exist.

    """
    if not call.context.user_id:
        return Caller(call.context)
    user = await call.hass.auth.async_get_user(call.context.user_id)
    if user is None:
        raise UnknownUser(context=call.context)
    return Caller(call.context, None if user.is_admin else user.permissions)
