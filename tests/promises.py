"""Numbers promised to users: tests do not take them from the code that they test."""

from typing import Final

# How fast email is sent and how it is retried; times are in seconds.
PER_MINUTE: Final = 30  # Messages.
BURST: Final = 5  # Messages that may go out at once.
FIRST_DELAY: Final = 15.0
LAST_DELAY: Final = 1800.0
JITTER: Final = 0.2  # Of a delay.
LONGEST_DELAY: Final = 2160.0
PROBE_AFTER: Final = 3600.0
EARLY_CHECK: Final = 5.0
FIRST_MINUTE: Final = 60.0
LONGEST_HOLD: Final = 86_400.0
LOCK_HOURS: Final = [4, 8, 16, 24, 24]  # Between attempts of a locked account.
MAX_AUTH_FAILURES: Final = 10
MAX_LOST_ANSWERS: Final = 5
MAX_DEFERRALS: Final = 3
KEEP_FAILED: Final = 604_800.0

# What an account shows of a server that is away.
RECOVERED: Final = 90.0  # Seconds until an idle account shows that it is back.
CHECKS_A_MINUTE: Final = 2  # At most, while it is away.

# How long anyone waits for a server, in seconds.
PATIENCE: Final = 10.0
STOP_GRACE: Final = 5.0
QUIT_TIMEOUT: Final = 2.0
IDLE_TIME: Final = 90.0

MEDIA_TIMEOUT: Final = 30.0  # For a camera or another source of an attachment.

# How large things may be.
MAX_RECIPIENTS: Final = 100
MAX_ATTACHMENTS: Final = 100
MAX_NAME: Final = 1000  # Characters of a title or a name.
MAX_TEXT_SIZE: Final = 10_000_000  # Bytes of a text, and of HTML.
LONGEST_STALL: Final = 0.02  # Seconds that a call may block the event loop.
MAX_TEXT: Final = 512  # Characters of a reply that are shown.
MAX_READ: Final = 8192  # Bytes of a reply that are parsed.
MAX_REPLY: Final = 262_144  # Bytes of one reply before disconnecting.
MAX_SHOWN: Final = 200  # Characters of a title and of a recipient.

# What Microsoft Graph accepts.
GRAPH_REQUEST: Final = 4_194_304  # Bytes of a request.
GRAPH_LIMIT: Final = "3.1"  # Megabytes of a message, as errors name it.
GRAPH_ATTACHMENTS: Final = 2_200_000  # Bytes of attachments that fit for certain.

# How fast an urgent email leaves.
MOST_CONNECTIONS: Final = 2
OVERTAKES_WITHIN: Final = 2.0  # Seconds, behind 20 MB on a line of 1 MB/s.
AFTER_SNAPSHOT: Final = 1.3  # Round trips from the picture to the reply.

# How many messages may wait without anything taking longer.
MANY: Final = 10_000
MANY_MEMORY: Final = 60_000_000  # Bytes for all of them.
MANY_READ: Final = 4096  # Bytes of each that a start reads.

DELAYED_AFTER: Final = 900.0  # Seconds until people learn that an email still waits.

# The brake for automations that send without end.
FLOOD_LIMIT: Final = 100  # Emails.
FLOOD_WINDOW: Final = 600.0  # Seconds.

# What sending costs an SD card.
SYNCS_A_MESSAGE: Final = 3
WRITTEN_A_MESSAGE: Final = 3000  # Bytes, of a short one.
