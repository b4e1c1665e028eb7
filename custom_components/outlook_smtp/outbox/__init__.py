"""Keeps each message on disk until it is settled, and takes it to the server."""
