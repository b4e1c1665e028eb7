"""The benchmark: the built-in integration, plain aiosmtplib and this integration side by side."""
