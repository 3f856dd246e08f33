"""What `einproof bench` measures: named models, each step timed in a process of its own."""
