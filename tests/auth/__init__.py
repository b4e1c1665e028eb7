"""Tests of the room that gets a right to send."""
