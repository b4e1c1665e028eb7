"""Stands in for a package of Home Assistant's voice assistant, to which nobody speaks here.

Home Assistant's UI does not open unless that assistant can be imported, and this package has to
be compiled on many machines.
"""


class MicroVad:
    """Would tell speech from silence."""
