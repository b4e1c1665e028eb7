"""Tests of Outlook.com SMTP for Home Assistant."""
