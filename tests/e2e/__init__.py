"""What users do with the integration, in a real browser and a real Home Assistant: scripts/e2e."""
