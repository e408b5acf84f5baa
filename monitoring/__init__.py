"""Is it healthy, what happened: probes and logs."""
