"""Talks to the submission server: accounts, sessions, replies and the connection check."""
