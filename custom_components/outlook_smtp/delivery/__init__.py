"""The vocabulary that all routes and the outbox share, and the redaction of server replies."""
