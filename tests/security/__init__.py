"""Attacks, and their results."""
