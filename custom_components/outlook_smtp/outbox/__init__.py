"""Keep each message on disk until it is settled, and submit it to the server."""
