"""Complete Home Assistants, one after another, each as run by `hass`.

Run as `python -m tests.crash.hass_process`, it imports once what each of them imports for seconds.
For each line of JSON on standard input, it forks one, and prints its process ID, and when it has
died, its exit status.
"""

from contextlib import suppress
from ctypes import CDLL
from importlib import import_module
import json
import os
import sys
from types import ModuleType
from typing import Final

DIE_WITH_PARENT: Final = (1, 9)  # prctl: PR_SET_PDEATHSIG, SIGKILL.
# Parts of the voice assistant, which many machines would have to compile.
MISSING: Final = (("pymicro_vad", "MicroVad"), ("pyspeex_noise", "AudioProcessor"))
OPTIONS: Final = ("--skip-pip", "--log-no-color")


def run_home_assistant(folder: str, log: str, ca_file: str) -> None:
    """Become a Home Assistant in a folder, which trusts a CA."""
    CDLL(None).prctl(*DIE_WITH_PARENT)
    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), sys.stderr.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.environ["REQUESTS_CA_BUNDLE"] = ca_file
    os.chdir(folder)
    sys.argv = ["hass", "--config", folder, *OPTIONS]
    sys.exit(import_module("homeassistant.__main__").main())


def main() -> None:
    """Start one Home Assistant after another."""
    CDLL(None).prctl(*DIE_WITH_PARENT)
    for name, attribute in MISSING:
        sys.modules[name] = ModuleType(name)
        setattr(sys.modules[name], attribute, object)
    for domain in import_module("homeassistant.bootstrap").DEFAULT_INTEGRATIONS | {"hassio"}:
        with suppress(ImportError):  # The packages of some are not installed.
            import_module(f"homeassistant.components.{domain}")
    for line in sys.stdin:
        if not (process := os.fork()):
            run_home_assistant(**json.loads(line))
        sys.stdout.write(f"{process}\n")
        sys.stdout.flush()
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
