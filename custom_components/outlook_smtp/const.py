"""Constants shared by several modules of the integration."""

from typing import Final

DOMAIN: Final = "outlook_smtp"

CONF_ACCOUNT_KIND: Final = "account_kind"
CONF_CHECK_INTERVAL: Final = "check_interval"
CONF_CLOUD: Final = "cloud"
CONF_DELAYED_AFTER: Final = "delayed_after"
CONF_FLOOD_LIMIT: Final = "flood_limit"
CONF_IMPLEMENTATION: Final = "auth_implementation"
CONF_LIFETIME: Final = "lifetime"
CONF_MAX_MESSAGES: Final = "max_messages"
CONF_MAX_SIZE: Final = "max_size"
CONF_RECIPIENTS: Final = "recipients"
CONF_REPLY_TO: Final = "reply_to"
CONF_ROUTE: Final = "route"
CONF_SECURITY: Final = "security"
CONF_SENDER_ADDRESS: Final = "sender_address"
CONF_SENDER_NAME: Final = "sender_name"
CONF_TENANT: Final = "tenant"
CONF_URGENT_LIFETIME: Final = "urgent_lifetime"

# The client ID of an app registration that ships with the integration. If a publisher sets it, the
# dialog no longer asks for one.
DEFAULT_CLIENT_ID: Final = ""

SIGN_IN_DOCS: Final = (
    "https://github.com/outlook-smtp/home-assistant-outlook-smtp/blob/main/docs/sign-in.md"
)

DEFAULT_CHECK_INTERVAL: Final = 30  # Minutes.
DEFAULT_DELAYED_AFTER: Final = 15  # Minutes.
DEFAULT_FLOOD_LIMIT: Final = 100  # Emails in ten minutes.
DEFAULT_LIFETIME: Final = 48  # Hours.
DEFAULT_MAX_MESSAGES: Final = 1000
DEFAULT_MAX_SIZE: Final = 500  # MB.
DEFAULT_TIMEOUT: Final = 30  # Seconds; Microsoft delays a refusal by about 5.

SUBENTRY_RECIPIENT: Final = "recipient"

EVENT_DELIVERY: Final = f"{DOMAIN}_delivery"

ATTR_ATTACHMENTS: Final = "attachments"
ATTR_ATTACHMENTS_REQUIRED: Final = "attachments_required"
ATTR_BCC: Final = "bcc"
ATTR_CC: Final = "cc"
ATTR_CONFIG_ENTRY_ID: Final = "config_entry_id"
ATTR_CONTENT_ID: Final = "content_id"
ATTR_DEDUPLICATE: Final = "deduplicate"
ATTR_EXPIRES_AFTER: Final = "expires_after"
ATTR_FILENAME: Final = "filename"
ATTR_HTML: Final = "html"
ATTR_ID: Final = "id"
ATTR_IMAGES: Final = "images"
ATTR_MARKDOWN: Final = "markdown"
ATTR_MEDIA_SOURCE: Final = "media_source"
ATTR_MIME_TYPE: Final = "mime_type"
ATTR_PATH: Final = "path"
ATTR_PRIORITY: Final = "priority"
ATTR_REPLY_TO: Final = "reply_to"
ATTR_SEND_AT: Final = "send_at"
ATTR_SENDER_NAME: Final = "sender_name"
ATTR_TO: Final = "to"
