"""The parts that families share. Each is small, takes only what it uses, and knows no family."""
