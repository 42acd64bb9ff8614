"""From shards of audio to a table of transcripts, losing nothing. Only `flow` knows the engine."""
