"""Tests of building messages."""
