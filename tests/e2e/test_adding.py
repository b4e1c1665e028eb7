"""Add accounts in their dialogs: three ways, right and wrong, on a computer and on a phone."""

from collections.abc import Iterator
from typing import Final

from playwright.sync_api import expect
import pytest

from tests.fake_microsoft import (
    IMAP_GREETING,
    FakeServer,
    Script,
    Step,
    identity_wording as wording,
)

from .accounts import (
    FAMILY,
    OTHER,
    OTHER_PASSWORD,
    OWN,
    OWN_PASSWORD,
    IdentityPlatform,
    approve,
    begin_sign_in,
    receive,
    refusing,
    stalled,
)
from .api import Api
from .screenshots import WIDTHS, Screenshots
from .ui import ADD, INTEGRATION, INTEGRATIONS, Ui
from .user_texts import LANGUAGES, NAME, text

NEW_RECIPIENT: Final = text("config_subentries.recipient.step.user.description")
CALLBACK: Final = "/auth/external/callback"  # Where Home Assistant expects browsers back.


@pytest.fixture
def phone(ui: Ui) -> Iterator[None]:
    """Use a phone, and speak English again after a test."""
    ui.resize(min(WIDTHS))
    ui.open(INTEGRATIONS)
    yield
    ui.speak("en")


@pytest.fixture(autouse=True)
def usual_window(ui: Ui) -> Iterator[None]:
    """Go back to the usual window and colors after a test."""
    yield
    ui.resize(1100)
    ui.page.emulate_media(color_scheme="light")


def open_menu(ui: Ui, language: str = "en") -> None:
    """Open the dialog from the documentation's link."""
    ui.open(ADD)
    ui.go_on()
    ui.see(text("config.step.user.title", language))


def begin_adding(ui: Ui) -> None:
    """Open the dialog, and choose the password."""
    open_menu(ui)
    ui.see_all()
    ui.choose(text("config.step.user.menu_options.password"), ui.dialog)
    ui.see(text("config.step.password.data_description.account_kind"))


def test_password_account(
    ui: Ui, api: Api, mail_server: FakeServer, screenshots: Screenshots
) -> None:
    """Typos cost nothing but themselves; at the end a test email and a first recipient."""
    email = text("config.step.password.data.email")
    begin_adding(ui)
    ui.choose(text("selector.account_kind.options.other"))
    ui.fill(email, "demo@outlook")
    ui.fill(text("config.step.password.data.password"), "wrong-password")
    ui.submit()
    ui.see(text("config.error.invalid_email"))
    ui.fill(email, OWN)
    ui.submit()  # The password is still there.

    ui.see(text("config.step.server.description"))
    ui.see(text("config.step.server.data.username"))
    ui.see_all()
    ui.fill(text("config.step.server.data.host"), "mail.example.invalid")
    ui.submit()
    ui.see(text("config.error.host_not_found", host="mail.example.invalid"))

    with FakeServer() as imap:
        imap.script = Script(greeting=IMAP_GREETING)
        ui.fill_server(imap.host, imap.port)
        ui.see(text("config.error.not_smtp"))

    ui.fill_server(mail_server.host, mail_server.port)
    ui.see(text("config.error.invalid_credentials"))
    ui.fill(text("config.step.password.data.password"), OWN_PASSWORD)
    ui.submit()
    ui.submit()  # The server form shows the previous input.

    ui.see(text("config.step.works.title", address=OWN))
    ui.fill(text("config.step.works.data.sender_name"), "Home")
    ui.see_all()
    screenshots.take_page("works")
    ui.submit()
    ui.see(text("config.step.tested.title"))
    assert receive(mail_server).message["From"] == f"Home <{OWN}>"
    ui.submit()

    ui.see(NEW_RECIPIENT)
    ui.fill(text("config_subentries.recipient.step.user.data.name"), "Family")
    ui.fill_list(text("config_subentries.recipient.step.user.data.recipients"), FAMILY)
    screenshots.take_dialog("recipients", ui.frame)
    ui.submit()
    ui.finish()
    api.wait_for_state("notify.family", "unknown")
    ui.open(INTEGRATION)
    ui.see(text("config.initiate_flow.user"))


def test_refused_password_leads_to_the_sign_in(
    ui: Ui, mail_server: FakeServer, identity: IdentityPlatform, screenshots: Screenshots
) -> None:
    """Microsoft accepts no passwords: the same dialog continues with a code."""
    with refusing(mail_server, "basic_auth_disabled"):
        begin_adding(ui)
        ui.choose(text("selector.account_kind.options.personal"))
        ui.fill(text("config.step.password.data.email"), OTHER)
        ui.fill(text("config.step.password.data.password"), OTHER_PASSWORD)
        screenshots.take_dialog("password", ui.frame)
        with stalled(mail_server, Step.AUTH):
            ui.submit()
            ui.see(text("config.progress.auth"))
            screenshots.take_dialog("check", ui.frame)
        ui.see(text("config.step.passwords_refused.description", address=OTHER))
        screenshots.take_dialog("passwords-refused", ui.frame)
    begin_sign_in(ui, identity)
    screenshots.take_dialog("code", ui.frame)
    approve(ui, identity, OTHER)
    ui.see(text("config.step.works.title", address=OTHER))
    ui.switch(text("config.step.works.data.send_test"))
    ui.submit()
    ui.see(NEW_RECIPIENT)
    ui.close_dialog()
    ui.open(INTEGRATION)
    ui.see(OTHER)


def test_code_after_two_mistakes(
    ui: Ui, identity: IdentityPlatform, screenshots: Screenshots
) -> None:
    """A wrong ID opens Advanced, a missing switch is named; then all is on one screen."""
    open_menu(ui)
    screenshots.take_schemes("ways", ui.see_all)
    ui.choose(text("config.step.user.menu_options.code"), ui.dialog)
    client_id = text("config.step.code.data.client_id")
    ui.fill(client_id, "00000000-0000-0000-0000-000000000000")
    ui.submit()
    ui.see(text("config.error.client_id_unknown"))
    ui.see(text("config.step.code.sections.advanced.data_description.tenant"))
    ui.see_all()
    identity.script.then("devicecode", wording.SECRET_MISSING)
    ui.fill(client_id, identity.client_id)
    ui.submit()
    ui.see(text("config.error.public_client_off"))
    ui.see_all()
    ui.submit()
    ui.see(text("config.progress.wait_for_sign_in"))
    screenshots.take_schemes("code", lambda: see_code(ui, identity.user_codes[-1]))
    approve(ui, identity, OTHER)
    ui.see(text("config.step.works.title", address=OTHER))
    ui.close_dialog()


def see_code(ui: Ui, code: str) -> None:
    """Check that a code is large, in one line and selectable, and its QR code is there."""
    heading = ui.dialog.get_by_role("heading", name=code)
    assert heading.evaluate("(code) => parseFloat(getComputedStyle(code).fontSize)") >= 24
    assert heading.evaluate("(code) => getComputedStyle(code).userSelect") != "none"
    assert heading.evaluate("(code) => code.clientHeight < 48")  # One line.
    picture = ui.dialog.locator("ha-markdown img").last
    assert picture.evaluate("(image) => image.complete && image.naturalWidth") > 100
    ui.see_all()


def test_browser_after_a_wrong_secret(
    ui: Ui, identity: IdentityPlatform, base_url: str, screenshots: Screenshots
) -> None:
    """Without credentials Home Assistant asks for them; a wrong secret leads back to them."""
    identity.redirect_uris.add(f"{base_url}{CALLBACK}")
    credentials = text("config.step.credentials.title")
    open_menu(ui)
    choose_browser(ui)
    ui.submit()
    values = ("First try", identity.client_id, "mistyped")
    for number, value in enumerate(values):  # Name, client ID and secret.
        ui.dialog.locator("ha-input input").nth(number).fill(value)
    ui.submit("Add")
    ui.see(text("config.step.user.title"))
    choose_browser(ui)
    sign_in(ui)
    ui.see(text("config.error.secret_wrong"))
    ui.see("First try")
    link = ui.dialog.get_by_role("link", name=credentials)
    expect(link).to_have_attribute("href", "/config/application_credentials")
    ui.see_all()
    screenshots.take_page("credentials")

    add_credentials(ui, "Second try", identity)
    ui.submit()
    ui.see(text("config.step.pick_implementation.data_description.implementation"))
    ui.choose("Second try", ui.dialog)
    sign_in(ui)
    ui.see(text("config.step.works.title", address=OTHER))
    ui.close_dialog()


def choose_browser(ui: Ui) -> None:
    """Choose the sign-in in the browser for every kind of account."""
    ui.choose(text("config.step.user.menu_options.browser"), ui.dialog)
    ui.see(text("config.step.browser.description"))


def sign_in(ui: Ui) -> None:
    """Submit a form, and sign in on the page that Home Assistant opens."""
    with ui.page.context.expect_page() as opening:
        ui.submit()
    opening.value.get_by_role("link", name=OTHER).click()


def add_credentials(ui: Ui, name: str, identity: IdentityPlatform) -> None:
    """Add the right application credentials, as in another tab."""
    ui.page.evaluate(
        "(data) => document.querySelector('home-assistant').hass.callWS(data)",
        {
            "type": "application_credentials/create",
            "domain": "outlook_smtp",
            "client_id": identity.client_id,
            "client_secret": identity.client_secret,
            "name": name,
        },
    )


@pytest.mark.usefixtures("phone")
def test_german_phone(
    ui: Ui, mail_server: FakeServer, identity: IdentityPlatform, screenshots: Screenshots
) -> None:
    """On a phone, nothing is cut off from the menu to the first recipient, in German."""
    ui.speak("de")
    open_menu(ui, "de")
    ui.choose(text("config.step.user.menu_options.code", "de"), ui.dialog)
    ui.see(text("config.step.code.title", "de"))
    ui.see_all()
    ui.fill(text("config.step.code.data.client_id", "de"), identity.client_id)
    ui.go_on()
    ui.see(text("config.progress.wait_for_sign_in", "de"))
    see_code(ui, identity.user_codes[-1])
    screenshots.take_page("code-german")
    approve(ui, identity, OTHER)
    ui.see(text("config.step.works.title", "de", address=OTHER))
    ui.see_all()
    screenshots.take_page("works-german")
    ui.go_on()
    ui.see(text("config.step.tested.title", "de"))
    assert receive(mail_server).recipients == (OTHER,)
    ui.see_all()
    ui.go_on()
    ui.see(text("config_subentries.recipient.step.user.description", "de"))
    ui.see_all()
    screenshots.take_page("recipients-german")
    ui.close_dialog()


@pytest.mark.usefixtures("phone")
def test_ways_fit_on_a_phone(ui: Ui) -> None:
    """No text of the first menu is cut off at 390 pixels, in any language."""
    for language in LANGUAGES:
        ui.speak(language)
        open_menu(ui, language)
        ui.see(text("config.step.user.menu_option_descriptions.browser", language))
        ui.see_all()
        ui.close_dialog()


def test_search_finds_the_integration(ui: Ui) -> None:
    """Home Assistant searches names and domains, in their first twenty characters."""
    ui.open(INTEGRATIONS)
    ui.press("Add integration")
    for word in ("outlook", "smtp", "mail", "email"):
        ui.page.get_by_placeholder("Search for a brand name").fill(word)
        ui.see(NAME, ui.dialog)
    ui.page.keyboard.press("Escape")
    ui.see_no_dialog()
