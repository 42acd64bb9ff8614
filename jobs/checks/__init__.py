"""What `steno doctor` looks at: a file for each sort of thing that can be wrong with a machine."""
