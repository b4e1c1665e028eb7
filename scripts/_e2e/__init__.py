"""The walk through the integration in a real browser: see scripts/e2e."""
