"""One file per kind of storage, all behind the same door: a disk, S3, and whatever else fsspec opens."""
