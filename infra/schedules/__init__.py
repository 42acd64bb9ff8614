"""Recipes for running `steno incremental` every night: cron, Airflow, Dagster. Kubernetes' are in infra/manifests."""
