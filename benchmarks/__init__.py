"""Benchmarks: every stage and the whole road, measured beside peers on a corpus that anyone can
make again.
"""
