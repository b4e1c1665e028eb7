"""The benchmark: built-in smtp, plain aiosmtplib and this integration side by side."""

import tests  # noqa: F401 - Its logging is quieter, too.


class BenchError(Exception):
    """The benchmark cannot continue; the text is a sentence for the person who started it."""
