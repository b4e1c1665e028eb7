"""Tests of the Microsoft Graph route."""
