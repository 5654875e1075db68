"""Tests, mirroring the source tree; fix_*.py hold the fixtures, one subject each."""
