"""The state of the identity platform: issues codes and tokens to authorized clients."""

from collections.abc import Mapping
import time
from typing import Any

from . import identity_wording as wording
from .identity_grants import (
    WORK_DIRECTORY,
    AccessTokens,
    Grant,
    Resource,
    SignIn,
    check_account,
    check_verifier,
    id_token,
    is_personal,
    new_access_token,
    new_refresh_token,
    new_secret,
    new_user_code,
    read_scopes,
    resources_of,
)
from .identity_wording import RefusedError
from .server import FakeServer

CLIENT_ID = "7b1f6a0c-52f3-4c1e-9d1a-6f0a3c2b8e45"
CLIENT_SECRET = "Q~x8Q~the-secret-of-the-fake-01234567890"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
REDIRECT_URIS = (
    "https://my.home-assistant.io/redirect/oauth",
    "https://example.com/auth/external/callback",
    "http://127.0.0.1:8123/auth/external/callback",
    "http://localhost:8123/auth/external/callback",
)
TENANTS = ("common", "organizations", "consumers", WORK_DIRECTORY, "contoso.onmicrosoft.com")
SECRETS = ("client_secret", "code", "code_verifier", "device_code", "refresh_token")


class DeviceFlow:
    """One app registration, the accounts of a fake server, and what was issued to them.

    client_id, client_secret, redirect_uris: the registration, with redirect URIs of type "Web".
    public_client_flows: whether a device code can be redeemed without the secret.
    tenants: the existing tenants.
    sign_in_as: the account that signs in immediately in the browser; if None, a page asks.
    interval, code_lifetime, token_lifetime: the values in responses, in seconds.
    strict_rotation: whether to refuse a refresh token that has been used.
    scope_prefix: the prefix of SMTP.Send in responses, whatever was requested.
    access_tokens: the owners of access tokens, by resource.
    consents: the resources that each account has consented to.
    issued: every secret ever sent or received.
    """

    def __init__(self, fake_server: FakeServer) -> None:
        """Store access tokens where the fake server looks them up."""
        self.fake_server = fake_server
        self.client_id = CLIENT_ID
        self.client_secret = CLIENT_SECRET
        self.redirect_uris = set(REDIRECT_URIS)
        self.public_client_flows = True
        self.tenants = set(TENANTS)
        self.sign_in_as: str | None = None
        self.interval: float = 5
        self.code_lifetime: float = 900
        self.token_lifetime: float = 3599
        self.strict_rotation = True
        self.scope_prefix = "https://outlook.office365.com/"
        self.issued: set[str] = {CLIENT_SECRET}
        fake_server.access_tokens = AccessTokens(fake_server.access_tokens)
        self.access_tokens: dict[str, AccessTokens] = {
            Resource.SMTP: fake_server.access_tokens,
            Resource.GRAPH: AccessTokens({}),
        }
        self.consents: dict[str, set[str]] = {}
        self._devices: dict[str, SignIn] = {}
        self._codes: dict[str, SignIn] = {}
        self._grants: dict[str, Grant] = {}

    # What people do, and what happens to them

    @property
    def user_codes(self) -> list[str]:
        """Return the codes that have not been entered yet, oldest first."""
        now = time.time()
        return [
            sign_in.user_code
            for sign_in in self._devices.values()
            if not sign_in.address and not sign_in.declined and now < sign_in.expires_at
        ]

    def approve(self, user_code: str, address: str) -> None:
        """Enter a code and sign in, with any address of an account."""
        sign_in = self._device(user_code)
        sign_in.address = self.primary(address)
        self._consent(sign_in)

    def decline(self, user_code: str) -> None:
        """Enter a code and cancel."""
        self._device(user_code).declined = True

    def expire(self, user_code: str) -> None:
        """Expire a code."""
        self._device(user_code).expires_at = time.time()

    def revoke(self, address: str) -> None:
        """Revoke everything that an account has granted, like a password change."""
        for grant in self._grants.values():
            if grant.address.lower() == self.primary(address).lower():
                grant.revoked = True
        self.expire_access_tokens(address)

    def adopt(self, address: str, access_token: str, refresh_token: str) -> None:
        """Accept tokens for SMTP that an earlier platform issued to an account."""
        now = time.time()
        self.issued.update((access_token, refresh_token))
        self.consents.setdefault(address.lower(), set()).add(Resource.SMTP)
        self.access_tokens[Resource.SMTP].add(access_token, address, self.token_lifetime)
        self._grants[refresh_token] = Grant(
            address=address, tenant="common", public=True, issued_at=now
        )

    def withdraw(self, address: str, resource: str) -> None:
        """Withdraw an account's consent to one resource; its access tokens stay valid."""
        self.consents[self.primary(address).lower()].discard(resource)

    def expire_access_tokens(self, address: str) -> None:
        """Expire an account's access tokens early; they can be renewed."""
        for tokens in self.access_tokens.values():
            tokens.expire(self.primary(address))

    def primary(self, address: str) -> str:
        """Return the primary name of an account."""
        mailbox = self.fake_server.find_mailbox(address)
        return mailbox.address if mailbox else address

    def _consent(self, sign_in: SignIn) -> None:
        """Record the resources that a person has consented to."""
        assert sign_in.address
        consents = self.consents.setdefault(sign_in.address.lower(), set())
        consents |= resources_of(sign_in.scopes)

    def _device(self, user_code: str) -> SignIn:
        """Find the sign-in for a code, ignoring case and surrounding spaces."""
        typed = user_code.strip().upper()
        for sign_in in self._devices.values():
            if sign_in.user_code == typed:
                return sign_in
        raise LookupError(f"no sign-in waits with the code {typed}")

    # What clients request

    def check_client(self, tenant: str, fields: Mapping[str, str]) -> None:
        """Reject an unknown tenant, then an unknown app registration."""
        if tenant not in self.tenants:
            raise RefusedError(wording.TENANT_UNKNOWN, tenant)
        client_id = _require(fields, "client_id")
        if client_id.lower() != self.client_id:
            raise RefusedError(wording.CLIENT_UNKNOWN, client_id, tenant)

    def check_redirect(self, query: Mapping[str, str]) -> None:
        """Reject a redirect URI that is not registered for the application."""
        address = query.get("redirect_uri", "")
        if address not in self.redirect_uris:
            raise RefusedError(wording.REDIRECT_UNKNOWN, address, self.client_id)

    def device_code(self, tenant: str, form: Mapping[str, str]) -> dict[str, Any]:
        """Respond to a request for a code."""
        scopes = read_scopes(
            form.get("scope", ""), "somebody@outlook.com" if tenant == "consumers" else None
        )
        sign_in = SignIn(
            tenant=tenant,
            scopes=scopes,
            expires_at=time.time() + self.code_lifetime,
            user_code=new_user_code(),
        )
        device_code = self._issue(new_secret("DAQABIQEAAADnfolhJpSnRYB1SVj-Hgd8", 120))
        self._devices[device_code] = sign_in
        return {
            "user_code": sign_in.user_code,
            "device_code": device_code,
            "expires_in": self.code_lifetime,
            "interval": self.interval,
        }

    def authorization_code(self, tenant: str, query: Mapping[str, str], address: str) -> str:
        """Return a code for a browser sign-in, or refuse it."""
        if (response_type := query.get("response_type", "")) != "code":
            raise RefusedError(wording.RESPONSE_TYPE_UNKNOWN, response_type)
        challenge = query.get("code_challenge", "")
        if challenge and query.get("code_challenge_method") != "S256":
            raise RefusedError(wording.CHALLENGE_PLAIN)
        if not address:
            raise RefusedError(wording.DENIED)
        check_account(address, tenant)
        code = self._issue(new_secret("M.C507_BAY.2.U.", 120))
        sign_in = self._codes[code] = SignIn(
            tenant=tenant,
            scopes=read_scopes(query.get("scope", ""), address),
            expires_at=time.time() + self.code_lifetime,
            address=self.primary(address),
            redirect_uri=query["redirect_uri"],
            challenge=challenge,
        )
        self._consent(sign_in)
        return code

    def token(
        self, tenant: str, form: Mapping[str, str], claims: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Respond to a request for tokens; `claims` replace those of the ID token, if any."""
        self.issued.update(form[name] for name in SECRETS if form.get(name))
        grant_type = _require(form, "grant_type")
        if grant_type == DEVICE_GRANT:
            grant, scopes = self._redeem_device(form)
        elif grant_type == "authorization_code":
            grant, scopes = self._redeem_code(form)
        elif grant_type == "refresh_token":
            grant, scopes = self._refresh(tenant, form)
        else:
            raise RefusedError(wording.GRANT_UNKNOWN, grant_type)
        return self._grant(grant, scopes, claims)

    def _redeem_device(self, form: Mapping[str, str]) -> tuple[Grant, tuple[str, ...]]:
        """Redeem the code that a person entered."""
        self._check_secret(form, public=self.public_client_flows)
        sign_in = self._devices.get(_require(form, "device_code"))
        if sign_in is None or sign_in.redeemed:
            raise RefusedError(wording.BAD_CODE)
        if sign_in.declined:
            raise RefusedError(wording.DECLINED)
        if time.time() >= sign_in.expires_at:
            raise RefusedError(wording.CODE_EXPIRED)
        if sign_in.address is None:
            raise RefusedError(wording.PENDING)
        return self._redeem(sign_in, sign_in.scopes, public=self.public_client_flows)

    def _redeem_code(self, form: Mapping[str, str]) -> tuple[Grant, tuple[str, ...]]:
        """Redeem the code that came through the browser."""
        self._check_secret(form, public=False)
        sign_in = self._codes.get(_require(form, "code"))
        if sign_in is None:
            raise RefusedError(wording.CODE_INVALID)
        if sign_in.redeemed:
            raise RefusedError(wording.CODE_REDEEMED)
        if time.time() >= sign_in.expires_at:
            raise RefusedError(wording.CODE_STALE)
        if (address := form.get("redirect_uri", "")) != sign_in.redirect_uri:
            raise RefusedError(wording.REDIRECT_CHANGED, address, sign_in.redirect_uri)
        check_verifier(form.get("code_verifier", ""), sign_in.challenge)
        scopes = tuple(form.get("scope", "").split()) or sign_in.scopes
        return self._redeem(sign_in, scopes, public=False)

    def _redeem(
        self, sign_in: SignIn, scopes: tuple[str, ...], *, public: bool
    ) -> tuple[Grant, tuple[str, ...]]:
        """Consume a code."""
        assert sign_in.address
        check_account(sign_in.address, sign_in.tenant)
        read_scopes(" ".join(scopes), sign_in.address)
        self._check_resources(sign_in.address, scopes)
        sign_in.redeemed = True
        grant = Grant(
            address=sign_in.address, tenant=sign_in.tenant, public=public, issued_at=time.time()
        )
        return grant, scopes

    def _refresh(self, tenant: str, form: Mapping[str, str]) -> tuple[Grant, tuple[str, ...]]:
        """Redeem a refresh token, which is consumed."""
        grant = self._grants.get(_require(form, "refresh_token"))
        if grant is None:
            raise RefusedError(wording.REFRESH_INVALID)
        self._check_secret(form, public=grant.public)
        grant.check(strict_rotation=self.strict_rotation)
        check_account(grant.address, tenant)
        scopes = read_scopes(form.get("scope", ""), grant.address)
        self._check_resources(grant.address, scopes)
        grant.used = True
        renewed = Grant(
            address=grant.address, tenant=tenant, public=grant.public, issued_at=time.time()
        )
        return renewed, scopes

    def _check_resources(self, address: str, scopes: tuple[str, ...]) -> None:
        """Reject a request for two resources, or for one that the account has not consented to."""
        resources = resources_of(scopes)
        if len(resources) > 1:
            raise RefusedError(wording.TWO_RESOURCES, " ".join(scopes))
        if not resources <= self.consents.get(address.lower(), set()):
            refusal = wording.UNAUTHORIZED if is_personal(address) else wording.NOT_CONSENTED
            raise RefusedError(refusal, self.client_id)

    def _check_secret(self, form: Mapping[str, str], *, public: bool) -> None:
        """Reject a public client with a secret, and any other client without the right one."""
        secret = form.get("client_secret", "")
        if public and secret:
            raise RefusedError(wording.SECRET_UNWANTED)
        if not public and not secret:
            raise RefusedError(wording.SECRET_MISSING)
        if not public and secret != self.client_secret:
            raise RefusedError(wording.SECRET_WRONG, self.client_id)

    def _grant(
        self, grant: Grant, scopes: tuple[str, ...], claims: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Issue tokens."""
        asked = {scope.lower() for scope in scopes}
        access_token = self._issue(new_access_token(grant.address))
        resources = resources_of(scopes)
        for resource in resources:
            self.access_tokens[resource].add(access_token, grant.address, self.token_lifetime)
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": self._granted(asked, resources),
            "expires_in": self.token_lifetime,
            "ext_expires_in": self.token_lifetime,
            "access_token": access_token,
        }
        if "offline_access" in asked:
            answer["refresh_token"] = self._issue(new_refresh_token(grant.address))
            self._grants[answer["refresh_token"]] = grant
        if "openid" in asked:
            answer["id_token"] = self._issue(id_token(grant.address, self.client_id, claims))
        return answer

    def _granted(self, asked: set[str], resources: set[Resource]) -> str:
        """Return the granted scopes in Microsoft's form."""
        names = {
            Resource.SMTP: f"{self.scope_prefix}SMTP.Send",
            Resource.GRAPH: "https://graph.microsoft.com/Mail.Send",
        }
        send = (names[resource] for resource in resources)
        return " ".join([*(s for s in ("openid", "profile", "email") if s in asked), *send])

    def _issue(self, secret: str) -> str:
        """Record an issued secret."""
        self.issued.add(secret)
        return secret


def _require(fields: Mapping[str, str], name: str) -> str:
    """Return a required field."""
    if not (value := fields.get(name, "")):
        raise RefusedError(wording.PARAMETER_MISSING, name)
    return value
