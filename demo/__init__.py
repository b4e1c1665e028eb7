"""The demo: Home Assistant, the integration and a fake of Outlook.com's mail server."""
