"""Talks to the submission server: accounts, sessions, replies and the staged check."""
