"""Files in, files out: scanning, labels, decoding, writing, the JPEG coefficient domain, state."""
