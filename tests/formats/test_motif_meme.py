"""MEME files of all that write them, and what contradicts its header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genoformer.errors import FileFormatError
from genoformer.formats.motif_files import read_matrices

HEAD = "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\nBackground letter frequencies\nA 0.3 C 0.2 G 0.2 T 0.3\n\n"
MOTIF = "MOTIF m alt\nletter-probability matrix: alength= 4 w= 4 nsites= 7 E= 0\n"
ROWS = "0 0 1 0\n1 0 0 0\n0 0 0 1\n0 1 0 0\n"
BLOCK = """ALPHABET "DNA" DNA-LIKE
A "Adenine" CC0000 ~ T "Thymine" 008000
C "Cytosine" 0000CC ~ G "Guanine" FFB300
N "Any = base" = ACGT
END ALPHABET
"""
TEXT = f"""****
MEME - Motif discovery tool
****
MEME version 5.0.5 (Release date: Mon Mar 18 20:12:19 2019 -0700)

ALPHABET= ACGT
Sequence name            Weight Length
1                        1.0000     50

MOTIF GATC MEME-1\twidth =   4  sites =  11  llr = 55  E-value = 1.0e-003
Simplified        A  :a::
1                             11  2.9e-05 GA GATC TT
log-odds matrix: alength= 4 w= 4 n= 500 bayes= 7 E= 1.0e-003
 -100 -100  200 -100
  100 -100 -100 -100
 -100 -100 -100  100
 -100  200 -100 -100
----
letter-probability matrix: alength= 4 w= 4 nsites= 11 E= 1.0e-003
{ROWS}----

Time  0.1 secs.
"""


@pytest.mark.parametrize(
    ("text", "name", "n_sites"),
    [
        (HEAD + MOTIF + ROWS, "m alt", 7),
        (HEAD + MOTIF + "\n" + ROWS + "\nURL http://x\n", "m alt", 7),
        ((HEAD + MOTIF + ROWS).replace("\n", "\r\n"), "m alt", 7),
        (HEAD + MOTIF.replace(" alength= 4 w= 4 nsites= 7 E= 0", "") + ROWS, "m alt", 0),
        (HEAD + MOTIF.replace("nsites= 7", "nsites= 7.5") + ROWS, "m alt", 7),
        (HEAD.replace("ACGT", "ACGU") + MOTIF + ROWS, "m alt", 7),
        (HEAD.replace("ALPHABET= ACGT\n", BLOCK) + MOTIF + ROWS, "m alt", 7),
        (HEAD.replace("ALPHABET= ACGT\n", "") + MOTIF + ROWS, "m alt", 7),
        (MOTIF + ROWS, "m alt", 7),
        ("# DREME 4.11.2\n# command: dreme\n" + HEAD + MOTIF + ROWS, "m alt", 7),
        (HEAD + MOTIF + ROWS.replace("1", "0.98").replace("0 ", "0.01 "), "m alt", 7),
        (TEXT, "GATC MEME-1", 11),
        (
            "MEME version 5\n\nALPHABET= ACGT\n\nMOTIF pos_patterns.pattern_0\n"  # modisco meme -t PFM
            "letter-probability matrix: alength= 4 w= 4 nsites= 1\n" + ROWS.rstrip() + "\n\n",
            "pos_patterns.pattern_0",
            1,
        ),
    ],
)
def test_meme_as_programs_write_it(tmp_path: Path, text: str, name: str, n_sites: int) -> None:
    (tmp_path / "m.meme").write_bytes(text.encode())
    (found,) = read_matrices(tmp_path / "m.meme")
    assert (found.name, found.n_sites, found.p.argmax(1).tolist()) == (name, n_sites, [2, 0, 3, 1])
    np.testing.assert_allclose(found.p.sum(1), 1)


PROTEIN = "ACDEFGHIKLMNPQRSTVWY"
TWENTY = " ".join(["0.05"] * 20) + "\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD.replace("ACGT", PROTEIN) + MOTIF, "line 3: the alphabet is that of proteins (ACDEF"),
        (HEAD.replace("ALPHABET= ACGT\n", "") + MOTIF.replace("alength= 4", "alength= 20") + TWENTY, "line 10: motif m alt"),
        (MOTIF.split(":")[0] + ":\n" + TWENTY, "line 3: motif m alt has 20 numbers for a position, one for each amino acid"),
        (HEAD.replace("ACGT", "ACGTN") + MOTIF + ROWS, "line 3: the alphabet has 5 letters, ACGTN"),
        (HEAD.replace("ACGT", "TGCA") + MOTIF + ROWS, "line 3: ALPHABET= TGCA, but MEME's order of bases is ACGT"),
        (BLOCK.replace("N ", 'm "5mC" ~ 1 "paired"\nN ') + MOTIF + ROWS, "line 1: the alphabet has 6 letters, 1ACGTm"),
        (BLOCK.replace("END ALPHABET\n", "") + MOTIF + ROWS, "line 1: the alphabet has no end"),
        (MOTIF.replace("w= 4", "w= 3") + ROWS, "line 2: w= 3, but motif m alt has 4 rows"),
        (MOTIF.replace("w= 4", "w= 5") + ROWS, "line 2: w= 5, but motif m alt has 4 rows"),
        (MOTIF.replace("w= 4", "w= four") + ROWS, "line 2: w= 'four'; give a whole number"),
        (MOTIF.replace("alength= 4", "alength= 5") + ROWS, "line 2: motif m alt is not four numbers"),
        (MOTIF + ROWS.replace("1 0 0 0", "1 0 0"), "line 4: motif m alt is not four numbers"),
        (MOTIF.replace(" w= 4", "") + ROWS.replace("1 0 0 0", "x 0 0 0"), "line 4: 'x 0 0 0' are no numbers"),
        (MOTIF + ROWS.replace("1 0 0 0", "nan 0 0 0"), "line 4: 'nan 0 0 0' are no numbers"),
        (MOTIF + ROWS.replace("1 0 0 0", "1.2 0 -0.2 0"), "line 4: motif m alt has negative numbers: it is a log-odds"),
        (MOTIF + ROWS.replace("1", "20"), "line 3: probabilities of motif m alt sum to 20 and not to 1; counts or contri"),
        (MOTIF + ROWS.replace("1", "0.02"), "line 3: probabilities of motif m alt sum to 0.02 and not to 1; numbers or contr"),
        (MOTIF + ROWS.replace("1 0 0 0", "0 0 0 0"), "line 4: motif m alt has a position without counts"),
        (TEXT[: TEXT.index("----")] + "----\n", "line 13: motif GATC MEME-1 has a log-odds matrix alone"),
        (HEAD + "MOTIF a\n" + MOTIF + ROWS, "line 10: motif a has no letter-probability matrix"),
        (MOTIF + ROWS + MOTIF.split("\n", 1)[1] + ROWS, "line 7: a matrix without its own MOTIF line"),
        (MOTIF, "line 2: w= 4, but motif m alt has 0 rows"),
        (HEAD, "holds no motif"),
    ],
)
def test_meme_that_is_no_motif_of_dna_is_refused_with_the_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "m.meme").write_text(text)
    with pytest.raises(FileFormatError) as refused:
        read_matrices(tmp_path / "m.meme")
    assert said in str(refused.value)
    assert "m.meme" in str(refused.value)
