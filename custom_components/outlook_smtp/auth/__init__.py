"""Obtain permission to send from Microsoft's identity platform: sign in and renew tokens."""
