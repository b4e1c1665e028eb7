"""Gets a right to send from Microsoft's identity platform: signing in, and renewing tokens."""
