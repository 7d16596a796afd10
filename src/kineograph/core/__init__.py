"""What everything stands on: conventions, configs, errors, seeds, safe files."""
