"""The stages between shards of audio and a table of transcripts. Imports `models`, and nothing of `jobs`."""
