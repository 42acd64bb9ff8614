"""What a person runs. Imports `pipeline` and `models`."""
