"""A prompt becomes a clip, and a clip becomes a file."""
