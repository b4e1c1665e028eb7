"""What the room that builds messages promises."""
