"""Builds the message: checked fields in, a message that can be submitted out."""
