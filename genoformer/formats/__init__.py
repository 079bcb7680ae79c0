"""Files of the field -> rows, tables and arrays: FASTA, VCF, BED, peaks, GTF, bigWig, motif files, track tables."""
