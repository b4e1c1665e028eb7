"""Builds messages: validated input in, RFC 5322 messages out."""
