"""What the exit codes of `steno` mean."""

FINE = 0
FAILED_ROWS = 1
"""Finished, and the table has rows that say why there is no transcript."""
UNUSABLE = 2
"""The options, the checkpoint, the input or the output cannot be used, and will not be a little later."""
HELD = 3
"""Another run is writing the output."""
BROKEN = 70
"""A fault of this program: its traceback is on stderr."""
UNFINISHED = 75
"""Storage did not answer, or it or the engine failed on the way. What is committed stands, and the same command goes
on: as shells say it of what may work a little later."""
INTERRUPTED = 130
"""Stopped by the user: as shells say it of Ctrl-C."""

FAULT = "that is a fault of this program. What is written stands; the same command goes on."

TOLD = """Exit codes: 0 all is well, 1 finished with failed rows (0 with --failed-ok; `verify`: the table is not whole),
2 the options, the checkpoint, the input or the output cannot be used, 3 another run is writing the output, 70 a fault
of this program, 75 storage did not answer, or it or the engine failed on the way (run it again: it goes on),
130 interrupted."""
