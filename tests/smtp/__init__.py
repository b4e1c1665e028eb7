"""Tests of the SMTP route."""
