"""Tests of obtaining and renewing tokens."""
