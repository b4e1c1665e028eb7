"""Kill Home Assistant at random moments while it sends, then audit the server's messages."""
