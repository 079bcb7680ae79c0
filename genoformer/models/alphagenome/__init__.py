"""AlphaGenome: tracks at 1 and 128 bases, contact maps and splicing from up to 1 Mb of DNA (Avsec et al. 2026)."""
