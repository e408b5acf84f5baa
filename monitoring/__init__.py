"""Is it healthy, what happened: probes, health windows, metrics."""
