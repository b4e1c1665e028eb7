"""Talks to the submission server: sessions, replies and the staged check."""
