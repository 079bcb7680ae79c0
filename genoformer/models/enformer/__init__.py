"""Enformer: convolutions and attention over a long window -> tracks."""
