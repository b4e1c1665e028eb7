"""Run gh, GitHub's command line, which the workflow runners have."""

import subprocess


def gh(*arguments: str, text: str | None = None) -> str:
    """Run gh with a text as its input, and return its output.

    Raises:
        SystemExit: If gh failed; the reason is on stderr.
    """
    result = subprocess.run(
        ["gh", *arguments], input=text, stdout=subprocess.PIPE, text=True, check=False
    )
    if result.returncode:
        raise SystemExit(f"✗ gh {arguments[0]} {arguments[1]} failed.")
    return result.stdout
