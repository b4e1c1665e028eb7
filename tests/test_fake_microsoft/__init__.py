"""Tests of the local Outlook look-alike."""
