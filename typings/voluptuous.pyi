"""The types behind `import voluptuous`: since 2026.10 Home Assistant makes it name probatio."""

from probatio import *  # noqa: F403 - the alias covers every name
