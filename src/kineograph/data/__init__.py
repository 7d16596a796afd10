"""An index becomes a captioned clip."""
