"""Stands in for another package of Home Assistant's voice assistant: see pymicro_vad."""


class AudioProcessor:
    """Would take the noise out of speech."""
