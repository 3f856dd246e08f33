"""Use cases over the ports. `serve` runs the others; a `step` may be repeated or cut off."""
