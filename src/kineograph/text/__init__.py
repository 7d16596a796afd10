"""A caption becomes vectors."""
