"""Results as rows and lists for people; the JSON is the results' own."""
