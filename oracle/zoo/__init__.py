"""Models by name: what they are, where their weights come from, what they are calibrated on."""
