#!/usr/bin/env bash
# nightly.sh DATE: one night of `steno incremental`, for whatever starts it. STENO_CONFIG names the file of options.
# The same date is done once, so it may be started as often as one likes. Its exit code says what to do:
#   0  the night is done (failed rows are rows: they say why, and `steno retry` tries them again)
#   3  another run is writing: start this date again later
#   75  storage did not answer, or it or the engine failed on the way: start this date again later, and it goes on
#   130, 137  it was stopped: start this date again, and it goes on
#   2  the options, the checkpoint, the input or the output cannot be used: somebody must look
# Anything else, 1 among it, is a fault: of the program, or of how it is installed.
set -uo pipefail
date=${1:?the date of the night, as in 2026-11-20}
config=${STENO_CONFIG:?the file of options, as in /etc/steno/job.yaml}
# In this process's place, so that whoever stops the script stops the run, which then hands back its lease.
exec steno incremental --config "$config" --date "$date" --failed-ok
