"""The Microsoft Graph route, for mailboxes with SMTP turned off."""
