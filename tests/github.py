"""A GitHub repository for the workflow scripts, which use it through the fake gh."""

from collections.abc import Callable
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any, Final
from unittest.mock import patch

from homeassistant.util.yaml import load_yaml_dict

from tests import fake_gh

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / ".github"


def read_yaml(name: str) -> dict[str, Any]:
    """Read a file of the folder .github."""
    return load_yaml_dict(str(FOLDER / name))


class Repository:
    """A repository on GitHub, in the state that the scripts left it."""

    def __init__(self, folder: Path) -> None:
        """Create an empty one in a folder."""
        self._state = folder / "github.json"
        program = folder / "gh"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{fake_gh.__file__}" "$@"\n')
        program.chmod(0o755)
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        self._environment = {"PATH": path, "FAKE_GH": str(self._state)}
        self.change(
            tags=[], releases={}, seen=[], issues=[], labels=[], runs={}, annotations={}, failing=""
        )

    def __getitem__(self, name: str) -> Any:
        """Return a part of GitHub's state: releases, issues or labels."""
        return json.loads(self._state.read_text("utf-8"))[name]

    def change(self, **parts: Any) -> None:
        """Set parts of GitHub's state."""
        state = json.loads(self._state.read_text("utf-8")) if self._state.exists() else {}
        self._state.write_text(json.dumps({**state, **parts}), "utf-8")

    def call[**P](self, step: Callable[P, str], *args: P.args, **kwargs: P.kwargs) -> str:
        """Run what a script does, and return its sentence, or that of its error."""
        with patch.dict(os.environ, self._environment):
            try:
                return step(*args, **kwargs)
            except SystemExit as error:
                return str(error)

    def run(self, module: str, *arguments: str | Path, **environment: str) -> str:
        """Run a script with only the standard library, and return its output."""
        return subprocess.run(  # noqa: S603 # the project's own scripts
            [sys.executable, "-S", "-m", f"scripts.{module}", *arguments],
            cwd=ROOT,
            env={**os.environ, **self._environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        ).stdout
