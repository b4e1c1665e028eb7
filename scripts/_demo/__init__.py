"""The demo: Home Assistant, the integration and a look-alike of Outlook.com's mail server."""
