"""Whether a finished mix is what its manifest says."""
