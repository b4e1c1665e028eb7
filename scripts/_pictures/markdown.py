"""Take the README's pictures of a Markdown email, light and dark, in a real Chromium.

Run in the environment of scripts/test: `.venv/bin/python scripts/_pictures/markdown.py`. The dark
picture shows the email's own HTML in a reader's dark mode.
"""

from base64 import b64encode
from pathlib import Path
import shutil
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
PICTURES: Final = ROOT / "docs" / "pictures"
SCHEMES: Final = {"light": 1, "dark": 0}  # As Blink counts them.
SIZE: Final = "720,975"


def page() -> str:
    """Return the HTML of the email, with its attached picture embedded."""
    sys.path.insert(0, str(ROOT))
    from custom_components.outlook_smtp.message.markdown import render  # noqa: PLC0415

    html = render(Path(__file__).with_name("morning.md").read_text(encoding="utf-8"))
    door = b64encode(
        (ROOT / "tests" / "live_home_assistant" / "front-door.jpg").read_bytes()
    ).decode()
    return html.replace("cid:door", f"data:image/jpeg;base64,{door}")


def take(browser: str, mail: Path, name: str, scheme: int) -> None:
    """Take one picture."""
    subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--hide-scrollbars",
            "--force-device-scale-factor=2",
            f"--blink-settings=preferredColorScheme={scheme}",
            f"--window-size={SIZE}",
            f"--screenshot={PICTURES / f'markdown-{name}.png'}",
            mail.as_uri(),
        ],
        check=True,
        capture_output=True,
    )


def main() -> int:
    """Take both pictures; return the exit code."""
    if (browser := shutil.which("chromium") or shutil.which("google-chrome")) is None:
        print("Install Chromium, then run this script again.")
        return 1
    with TemporaryDirectory() as folder:
        mail = Path(folder) / "mail.html"
        mail.write_text(page(), encoding="utf-8")
        for name, scheme in SCHEMES.items():
            take(browser, mail, name, scheme)
    return 0


if __name__ == "__main__":
    sys.exit(main())
