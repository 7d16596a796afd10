"""Does the video do what the prompt says? Exact measurement, and the error of the measure."""
