"""A small genome with genes and elements, small models, and a browser of them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple

from commands import run_well
from small_models import small_classifier, small_encoder, small_enformer

from genoformer.browse import BrowseRequest
from genoformer.models import registry
from genoformer.tokenizers import BaseTokenizer

BASES = "".join(random.Random(5).choices("ACGT", k=2_000))
OTHER = str.maketrans("ACGT", "CGTA")
GTF = """chr1\tx\texon\t1001\t1040\t.\t+\t.\tgene_id "g1"; transcript_id "t1"; gene_name "NEAR";
chr1\tx\texon\t1101\t1120\t.\t+\t.\tgene_id "g1"; transcript_id "t1"; gene_name "NEAR";
chr1\tx\texon\t1900\t1950\t.\t-\t.\tgene_id "g2"; transcript_id "t2"; gene_name "FAR";
"""
SNV = f"chr1:1000:{BASES[999]}:{BASES[999].translate(OTHER)}"
DELETION = f"chr1:1100:{BASES[1099:1103]}:{BASES[1099]}"
INSERTION = f"chr1:1100:{BASES[1099]}:{BASES[1099]}TTG"


class World(NamedTuple):
    """A folder with g.fa, g.gtf, e.bed, the models `language`, `tracks` and `classes`, and s.vcf, scored by `tracks`."""

    folder: Path

    @property
    def fasta(self) -> Path:
        return self.folder / "g.fa"

    def request(self, model: str, **options: object) -> BrowseRequest:
        """A request with genes and elements."""
        given = {"strand": "forward", "head": "human"} if model == "tracks" and "scored" not in options else {}
        elements = (f"PEAKS={self.folder / 'e.bed'}",)
        files = {"gtf": self.folder / "g.gtf", "elements": elements, "device": "cpu"}
        return BrowseRequest(self.folder / model, self.fasta, **(files | given | options))  # type: ignore[arg-type]


def make_world(folder: Path) -> World:
    """Write the files of a world."""
    (folder / "g.fa").write_text(f">chr1\n{BASES}\n")
    (folder / "g.gtf").write_text(GTF)
    (folder / "e.bed").write_text("chr1\t950\t980\nchr1\t1110\t1120\n")
    registry.save(small_encoder(BaseTokenizer(), context_length=64, init_std=0.4), folder / "language")
    registry.save(small_enformer(), folder / "tracks")
    registry.save(small_classifier(BaseTokenizer()), folder / "classes")
    head = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    rows = "".join(
        "\t".join((*place.split(":")[:2], name, *place.split(":")[2:], ".", ".", ".")) + "\n"
        for place, name in ((SNV, "rs1"), (DELETION, "."))
    )
    (folder / "v.vcf").write_text(head + rows)
    run_well(
        *("score", folder / "v.vcf", "-f", folder / "g.fa", "-m", folder / "tracks", "-s", "SAD", "--head", "human"),
        *("--strand", "forward", "--noise-places", 0, "--device", "cpu", "-o", folder / "s.vcf"),
    )
    return World(folder)
