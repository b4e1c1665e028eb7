"""Calls gh, GitHub's command line, which is on the machines that run the workflows."""

import subprocess


def gh(*arguments: str, text: str | None = None) -> str:
    """Run gh with text as its input, and return what it prints.

    Raises:
        SystemExit: gh failed; it has said why on stderr.
    """
    result = subprocess.run(
        ["gh", *arguments], input=text, stdout=subprocess.PIPE, text=True, check=False
    )
    if result.returncode:
        raise SystemExit(f"✗ gh {arguments[0]} {arguments[1]} failed.")
    return result.stdout
