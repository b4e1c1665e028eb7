"""Kills Home Assistant at random moments while it sends, and counts at the server."""
