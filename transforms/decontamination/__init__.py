"""Decontamination: no benchmark item leaks into a mix."""
