"""Attack waves as they arrive in a mail quarantine, made from a seed: `python -m tests.waves OUT --seed 1`."""
