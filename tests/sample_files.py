"""Small files of each format, as bytes."""

from __future__ import annotations

FASTA = b">chr1 a\nACGTNacgtn\nACGTNacgtn\nAC\n>2\nGG\nCC\n"
LABELLED = b"sequence,label\nACGT,1\nACGA,0\nNNNN,1\n"
FASTA_LABELLED = b">a|1\nACGT\nAC\n>b|0\nGGNN\n"
MEME = (
    b"MEME version 4\n\nALPHABET= ACGT\n\nMOTIF A a\nletter-probability matrix: alength= 4 w= 2 nsites= 20 E= 0\n"
    b" 0.25 0.25 0.25 0.25\n 0.7 0.1 0.1 0.1\n"
)
JASPAR = b">MA1 X\nA [ 1 2 3 ]\nC [ 4 5 6 ]\nG [ 7 8 9 ]\nT [ 1 1 1 ]\n"
TRANSFAC = b"AC MA1\nXX\nID X\nXX\nP0 A C G T\n01 1 2 3 4\n02 4 3 2 1\nXX\n//\n"
HOMER = b">AC\tx/Homer\t6.0\t-17\t0\n0.1 0.7 0.1 0.1\n0.7 0.1 0.1 0.1\n"
CISBP = b"TF\tT1\nMotif\tM1\nPos\tA\tC\tG\tT\n1\t0.1\t0.2\t0.3\t0.4\n2\t1\t0\t0\t0\n\n"
CUSTOM = b'MEME version 5\nALPHABET "DNA" DNA-LIKE\nA "x" ~ T "y"\nC "x" ~ G "y"\nEND ALPHABET\n' + MEME[30:]
TARGETS = b"index\tidentifier\tdescription\n0\tENCFF1\tDNASE:liver\n1\tENCFF2\tCAGE:brain\n"
BEDGRAPH = b"track type=bedGraph\nchr1\t0\t5\t1.5\nchr1\t5\t9\t-2\n2\t3\t4\t0\n"

METADATA = b"""output_metadata {
  output_type: OUTPUT_TYPE_RNA_SEQ
  tracks {
    metadata {
      name: "A"
      strand: STRAND_POSITIVE
      biosample {
        name: "liver"
      }
    }
    metadata {
      name: "A"
      strand: STRAND_NEGATIVE
      assay: "total RNA-seq"
    }
  }
}
"""
