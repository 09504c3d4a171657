"""Picture files: found, opened, decoded, labelled and written."""
