"""Talks to the submission server: sessions, replies and the connection check."""
