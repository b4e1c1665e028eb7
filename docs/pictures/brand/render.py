# /// script
# requires-python = ">=3.14"
# dependencies = ["oxipng-pybind==10.2.1.post1", "resvg-py==0.5.0"]
# ///
"""Renders the drawings beside it into the brand images of the integration: `uv run render.py`."""

from pathlib import Path
from typing import Final

import oxipng
import resvg_py

DRAWINGS: Final = Path(__file__).parent
IMAGES: Final = DRAWINGS.parents[2] / "custom_components" / "outlook_smtp" / "brand"
HEIGHTS: Final = {"": 256, "@2x": 512}

for drawing in sorted(DRAWINGS.glob("*.svg")):
    for suffix, height in HEIGHTS.items():
        image = resvg_py.svg_to_bytes(svg_path=str(drawing), height=height)
        small = oxipng.optimize_from_memory(image, level=6, interlace=oxipng.Interlacing.on)
        (IMAGES / f"{drawing.stem}{suffix}.png").write_bytes(small)
