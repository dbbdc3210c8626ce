"""Submission to the runners: their options, their workers, and how their jobs are watched."""
