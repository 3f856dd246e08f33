"""The main job, end to end, as `einproof demo` tells it: each step real, on a chain that it
starts."""
