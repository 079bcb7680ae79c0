"""Calls that newcomers wrote before they looked: each works as written, or its error names the call that does."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.axes import Axes

import genoformer as gf
from genoformer.genome.codes import encode
from genoformer.models import registry

DEMO = Path(str(files("genoformer_data") / "demo"))
FASTA, VCF = DEMO / "genome.fa.gz", DEMO / "variants.vcf.gz"


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The names that the calls below use."""
    folder = tmp_path_factory.mktemp("calls")
    vcf = folder / "my.vcf"
    vcf.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nchrS1\t6000\t.\tG\tA\t.\t.\t.\n")
    encoder = registry.load("demo")
    return {
        "gf": gf,
        "torch": torch,
        "encode": encode,
        "vcf": vcf,
        "fasta": FASTA,
        "peaks": f"PEAK={DEMO / 'peaks.narrowPeak.gz'}",
        "table": pd.DataFrame([("chrS1", 6_000, "G", "A")], columns=["chrom", "pos", "ref", "alt"]),
        "region": "chrS1:6,001-6,020",
        "dna": "ACGTTGCATTAGCAACGTAA",
        "genome": gf.Genome(FASTA),
        "model": encoder,
        "tok": encoder.tokenizer,
        "ids": torch.tensor([[2, 5, 6, 7, 3, 0]]),
        "mask": torch.tensor([[1, 1, 1, 1, 1, 0]]),
        "changes": gf.mutagenesis("ACGTTGCA", "demo"),
        "folder": folder,
    }


WORK = [  # a call, and what is true of its result
    ("gf.score(vcf, fasta, 'demo')", "result['LLR'].notna().all()"),
    ("gf.score('chrS1:6000:G>A', fasta, 'demo')", "result['LLR'].notna().all()"),
    ("gf.score(['chrS1:6000:G:A', 'chrS1-6000-G-T'], fasta, model)", "len(result) == 2"),
    ("gf.score([('chrS1', 6000, 'G', 'A')], fasta, 'demo')", "len(result) == 1"),
    ("gf.score(table, fasta, 'demo', scores='LLR')", "'PLL' not in result"),
    (
        "gf.score('chrS1:6000:G>A', fasta, 'mini-tracks', 'SAD501', tracks='CAGE', noise_places=0)",
        "'SAD501' in result or result.filter(like='SAD501').shape[1] > 0",
    ),
    ("gf.predict(fasta, region, 'mini-tracks', tracks='CAGE')", "result.shape[1] == 3 + 24"),
    ("gf.predict(dna, 'demo', track='entropy')", "len(result) == 20"),
    *(
        (f"gf.{call}(fasta=fasta, region=region, model={model!r})", "result is not None")
        for call, model in (
            ("predict", "mini-tracks"),
            ("embed", "demo"),
            ("embed_tokens", "demo"),
            ("expected", "demo"),
            ("mutagenesis", "demo"),
            ("attention", "demo"),
            ("attribution", "mini-tracks"),
        )
    ),
    ("gf.embed(model='demo', dna=dna)", "result.shape == (160,)"),
    ("gf.annotate(vcf, peaks)", "'PEAK' in result"),
    ("gf.enrich(vcf, peaks, fasta, match='none', controls=200, resamplings=20).to_frame()", "len(result) == 1"),
    ("gf.explain('chrS1:6000:G:A', fasta, 'demo', flank=5)", "result.ref.shape == result.alt.shape == (11, 4)"),
    ("gf.explain(gf.Variant('S1', 6000, 'G', 'GA'), genome, model, 'PLL').plot()", "len(result) == 2"),
    ("gf.correlate({'a': [1, 2, 3]}, [1, 2, 4])['a']", "round(result.value, 2) == 0.98"),
    ("next(gf.read_regions(peaks.partition('=')[2]))", "result.chrom == 'chrS1'"),
    ("gf.models()", "{'name', 'licence', 'state'} <= set(result)"),
    ("gf.data()", "'hg38' in set(result['name'])"),
    ("gf.data.build", "'labelled sequences' in result.__doc__"),
    ("gf.load('demo').tokenizer", "result.n_vocab == len(result) == result.vocab_size"),
    ("tok('ACGT')", "result['input_ids'] == [2, 5, 7, 8, 6, 3]"),
    ("tok.decode(tok('ACGT')['input_ids'])", "result == 'ACGT'"),
    ("tok.tokenize('ACGT')", "[names['tok'].get_vocab()[name] for name in result] == [5, 7, 8, 6]"),
    ("tok.mask_token_id, tok.pad_token_id", "result == (names['tok'].mask_id, names['tok'].pad_id)"),
    ("tok(['ACGT', 'AC'], padding=True, return_tensors='pt')['input_ids']", "result.shape == (2, 6)"),
    ("genome['chrS1', 6000:6010]", "len(result) == 10 and set(result) <= set('ACGT')"),
    ("genome.fetch('S1', 6000, 6010)", "result == names['genome']['chrS1:6001-6010']"),
    ("gf.Encoder.from_pretrained('demo')", "result.config.width == 160"),
    ("gf.embed(dna, 'demo')", "result.shape == (160,)"),
    ("gf.embed([dna, dna], 'demo', pooling='max')", "result.shape == (2, 160)"),
    ("gf.embed(region, 'demo', fasta=fasta)", "result.shape == (160,)"),
    ("gf.mutagenesis(dna, 'demo')", "result.values.shape == (1, 20, 4)"),
    ("gf.mutagenesis(fasta, region, 'demo').to_frame()", "len(result) == 60"),
    ("gf.attention(region, 'demo', fasta=fasta)", "result.shape == (20,)"),
    ("gf.attention(fasta, region, 'demo')", "result.shape == (20,)"),
    ("gf.attribution('ACGT' * 64, 'mini-tracks')", "result.hypothetical.shape == (256, 4)"),
    ("gf.expected(dna, 'demo')", "result.shape == (20, 4)"),
    ("changes.plot()", "len(result) == 2"),
    ("model(ids, attention_mask=mask)", "result.shape == (1, 6, len(names['tok']))"),
    ("gf.SCORES.to_frame()", "{'name', 'unit', 'meaning'} <= set(result)"),
    ("gf.__version__", "result[0].isdigit()"),
    ("gf.plots.letters([0, 2], [0.5, 1])", "result.shape == (2, 4)"),
    ("gf.evaluation.auroc([False, True], [0.1, 0.2])", "result == 1"),
    ("gf.codes.decode(gf.codes.reverse_complement(gf.codes.encode('AACG')))", "result == 'CGTT'"),
]
ANSWERED = [  # a call, and a part of the sentence that names the right one
    ("gf.score(vcf, fasta)", "no model is named; give its folder, or a name of genoformer.models(), such as"),
    ("gf.mutagenesis(dna)", "mini-tracks: "),
    ("gf.attention(region, 'demo')", "give it as fasta=PATH"),
    ("gf.list_models()", "write genoformer.models()"),
    ("gf.AutoModel.from_pretrained('demo')", "write genoformer.load(name)"),
    ("gf.load_tokenizer('demo')", "write genoformer.load(name).tokenizer"),
    ("gf.train(fasta)", "write genoformer.pretrain(fasta, folder) or finetune(data, folder, model)"),
    ("gf.mutagenises(dna)", "write genoformer.mutagenesis"),
    ("tok.encode('ACGT')", "call the tokenizer: tokenizer('ACGT')"),
    ("tok.tokenize(['ACGT', 'AC'])", "call tokenize for each text"),
    ("genome.sequence('chrS1', 1, 10)", "write genome.fetch(chrom, start, end), 0-based, or genome['chr1:101-200']"),
    ("genome.chromosomes", "write genome.contigs, name -> length"),
    ("genome.windws", "Genome has no 'windws'"),
    ("model.embed('ACGT')", "ids are a str, expected token ids [B, T]; for DNA as text, call genoformer.embed(text, model)"),
    ("gf.load('mini-tracks').embed('ACGT')", "expected one-hot DNA [B, 4, L]; for DNA as text, call genoformer.embed"),
    ("gf.EncoderConfig(vocab_size=69)", "its name here is n_vocab"),
    ("gf.EncoderConfig(num_hidden_layers=2)", "its name here is n_layers"),
    ("gf.EncoderConfig(widht=2)", "its name here is width"),
    ("model('ACGT')", 'call tokenizer(text, return_tensors="pt")'),
    ("model(ids[0])", "such as ids[None]"),
    ("model(ids.float())", "expected whole numbers [B, T]"),
    ("model(ids, keep=mask)", "give mask.bool(), or attention_mask=mask"),
    (
        "gf.save(gf.Encoder(gf.EncoderConfig(n_vocab=9, width=8, n_layers=1, n_heads=1, ffn_width=8)), folder / 'own')",
        "set model.tokenizer",
    ),
    ("gf.load(folder / 'nothing')", "genoformer models list"),
    ("gf.Genome(fasta)['chrS1', -5:2]", "0 <= start <= end"),
    ("gf.Genome(fasta)[5]", "write genome['chr1', 100:200]"),
    ("gf.report(table, folder / 'page.html')", "give the file that `genoformer score -o` wrote"),
    ("gf.classify(dna, 'demo')", "fine-tune it first"),
    ("gf.explain('chrS1:5', fasta, 'demo')", "is no variant, expected contig, position, REF and ALT"),
    ("gf.explain('chrS1:6000:C:A', fasta, 'demo')", "REF is C, but genome.fa.gz has G there"),
    ("gf.score(vcf, fasta, 'demo', output='x.tsv')", "option output is for files, found a table in memory"),
    ("gf.score('chrS1:6000', fasta, 'demo')", "or write a variant such as chr20:1050100:A:G"),
    ("gf.DataCollatorForLanguageModeling(tok)", "write genoformer.language_batches(fasta, tokenizer, length)"),
    ("gf.reverse_complement(dna)", "write genoformer.codes.reverse_complement(genoformer.codes.encode(text))"),
    ("gf.plot_logo(dna)", "write genoformer.plots.logo(axes, heights)"),
    ("gf.demo", "it is a command: run `genoformer demo`"),
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("call", "truth"), WORK, ids=[call for call, _ in WORK])
def test_it_works_as_written(names: dict[str, Any], call: str, truth: str) -> None:
    result = eval(call, dict(names))
    assert eval(truth, {"result": result, "names": names}), result


@pytest.mark.parametrize(("call", "sentence"), ANSWERED, ids=[call for call, _ in ANSWERED])
def test_its_error_names_the_right_call(
    names: dict[str, Any], call: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(gf, "demo", raising=False)  # a module that another test has imported
    before = set(names["folder"].iterdir())
    with pytest.raises((gf.errors.GenoformerError, AttributeError), match=re.escape(sentence)) as error:
        eval(call, dict(names))
    assert "\n" not in str(error.value) or "such as\n" in str(error.value)  # the models that are there, one in a line
    assert set(names["folder"].iterdir()) == before


def test_the_package_shows_its_public_names_alone() -> None:
    assert [name for name in dir(gf) if not name.startswith("__")] == sorted(gf.__all__)
    assert not {"Any", "import_module", "annotations"} & set(dir(gf))
    for name in gf.__all__:
        if name.islower() and name not in ("annotate_variants", "enrich_variants", "place_alleles", "preflight", "simulate"):
            assert f"gf.{name}" in (gf.__doc__ or "") or name.startswith("read_") or name == "score_variants", name


def test_forms_of_one_call_give_the_same(names: dict[str, Any]) -> None:
    """A region of a FASTA by position and by name, and its text, for a model that reads the sequence alone."""
    region, genome = names["region"], names["genome"]
    text = genome[region]
    for call in (gf.embed, gf.attention):
        by_position = np.asarray(call(FASTA, region, "demo"))
        np.testing.assert_array_equal(call(region, "demo", fasta=genome), by_position)
        np.testing.assert_array_equal(call(text, "demo"), by_position)
        np.testing.assert_allclose(np.asarray(call([text, text], "demo"))[1], by_position, atol=1e-5)  # in one batch
        np.testing.assert_array_equal(np.asarray(call(fasta=FASTA, region=region, model="demo", dna=None)), by_position)
    for call in (gf.expected, gf.predict):
        options = {} if call is gf.expected else {"track": "entropy"}
        by_position = call(FASTA, region, "demo", **options)
        np.testing.assert_array_equal(np.asarray(call(region, "demo", fasta=FASTA, **options)), np.asarray(by_position))
    one, two = gf.mutagenesis(FASTA, [region, "chrS1:7001-7005"], "demo")
    np.testing.assert_array_equal(one.values, gf.mutagenesis(FASTA, region, "demo").values)
    assert (two.place, len(two.codes)) == ("chrS1:7,001-7,005", 5)
    genome.window("chrS1", 0, 5)  # still open


def test_a_text_is_scored_as_a_fasta_of_its_own(tmp_path: Path) -> None:
    text = "ACGTTGCATTAGCAACGTAA"
    (tmp_path / "own.fa").write_text(f">chrS1\n{text}\n")
    alone = gf.mutagenesis(text, "demo")
    np.testing.assert_array_equal(alone.values, gf.mutagenesis(tmp_path / "own.fa", "chrS1", "demo").values)
    table = gf.predict([text, "ACGT" * 40], "mini-tracks", tracks="0")
    assert table.groupby("chrom").size().to_dict() == {"sequence_1": 1, "sequence_2": 2}


def test_dna_that_is_not_given_is_asked_for() -> None:
    for call in (gf.embed, gf.mutagenesis, gf.attention):
        with pytest.raises(gf.errors.ConfigError, match="fasta is missing, expected DNA as text, or a FASTA and a region"):
            call(model="demo")


def test_arguments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(gf.errors.ConfigError, match="region is 'chr1:1-9', found DNA as text as well"):
        gf.attention("ACGT", "chr1:1-9", "demo")
    with pytest.raises(gf.errors.ConfigError, match="fasta is given in addition to three arguments"):
        gf.attention("chrS1:1-9", "chrS1:1-9", "demo", fasta=FASTA)
    with pytest.raises(gf.errors.ConfigError, match="region is None, expected a region such as"):
        gf.attention(FASTA, None, "demo")
    with pytest.raises(gf.errors.MissingFileError, match=r"no\.fa"):
        gf.embed("no.fa", "chr1:1-9", "demo")


def test_results_have_short_reprs_tables_and_figures(names: dict[str, Any]) -> None:
    attention, changes = gf.attention(names["dna"], "demo"), names["changes"]
    assert repr(changes) == "Mutagenesis(sequence_1:1-8, LLR: 8 bases)"
    assert re.fullmatch(r"BaseMap\(bases 1-20, attention \(viz\): 20 bases, highest at \d+\)", repr(attention))
    frame = changes.to_frame()
    assert frame["ref"].tolist() == [base for base in "ACGTTGCA" for _ in range(3)]
    for row in frame.itertuples():
        np.testing.assert_equal(row.LLR, changes.values[0, row.pos - 1, "ACGT".index(row.alt)])
    assert attention.to_frame()["value"].tolist() == attention.values.tolist()
    ax = attention.plot()
    assert isinstance(ax, Axes)
    assert attention.plot(ax) is ax
    for result in (attention, changes):
        assert "data:image/png;base64," in result._repr_html_()


def test_what_is_read_has_a_short_repr(names: dict[str, Any], tmp_path: Path) -> None:
    """None dumps its arrays or rows into the notebook."""
    (tmp_path / "s.csv").write_text("sequence,label\nACGT,yes\nACGA,no\n")
    gf.score_variants(gf.ScoringJob.from_names(names["vcf"], FASTA, "demo", tmp_path / "scored.vcf"))
    world = gf.simulate(tmp_path / "world", n_contigs=1, contig_length=60_000, n_variants=50)
    scored = gf.read_scored(tmp_path / "scored.vcf")
    with gf.Genome(FASTA) as genome:
        landmarks = gf.read_landmarks(genome, DEMO / "genes.gtf.gz", [names["peaks"]])
        checked = gf.preflight(names["vcf"], genome)
    texts = {
        repr(gf.read_labelled(tmp_path / "s.csv")): f"LabelledSequences({tmp_path / 's.csv'}: 2 sequences, labels in label)",
        repr(scored): "Scored(1 allele, 1 in the table; scores LLR, PLL)",
        repr(landmarks): "LocusAnnotation(genes, PEAK)",
        repr(gf.read_annotations(names["peaks"])): "Annotations(PEAK, PEAK_SCORE, PEAK_SIGNAL, PEAK_SUMMIT)",
        repr(gf.embed_tokens("ACGTA", "demo")): "TokenEmbeddings(5 tokens, 160 values each)",
        repr(checked): f"Preflight({names['vcf']} on genome.fa.gz: 1 record, 1 of 1 allele to score; .table() has all)",
        repr(world): f"World({tmp_path / 'world'}: 1 contig of 60,000 bases, {len(world.genes)} genes, 50 variants)",
    }
    assert list(texts) == list(texts.values())
    assert "<td>6000</td>" in scored._repr_html_()


def test_an_explanation_is_drawn_with_the_track_of_a_track_model(names: dict[str, Any]) -> None:
    by_track = gf.explain("chrS1:6000:G:A", FASTA, "mini-tracks", flank=5, logos="gradient")
    _, change, *logos = by_track.plot()
    assert change.get_ylabel() == "ALT − REF"
    assert [ax.get_ylabel() for ax in logos] == ["gradient x input"] * 2
    assert len(by_track.plot(logos)) == 2
    html = gf.explain("chrS1:6000:G:A", FASTA, "demo", flank=5)._repr_html_()
    assert "data:image/png;base64," in html
    assert "Logos: ISM of each allele, minus the mean LLR" in html


def test_models_and_tokenizers_are_one_line(tmp_path: Path) -> None:
    model = gf.load("demo")
    n = sum(parameter.numel() for parameter in model.parameters())
    assert repr(model) == (
        f"<Encoder demo is a language model, which predicts bases: {n:,} parameters, window of 128 bases, "
        "BaseTokenizer(k=1, stride=1), licence Apache-2.0>"
    )
    model.save_pretrained(tmp_path / "mine")
    (tmp_path / "mine" / "card.md").write_text("# mine: a model\n\nLicence: CC-BY-4.0.\n")
    assert repr(gf.Encoder.from_pretrained(tmp_path / "mine")).endswith("licence CC-BY-4.0>")
    assert "licence" not in repr(gf.Encoder(model.config))
    with pytest.raises(gf.errors.CheckpointError, match="mini-tracks is of the class Enformer, not Encoder"):
        gf.Encoder.from_pretrained("mini-tracks")
    assert "window of 49,152 bases" in repr(gf.load("mini-tracks"))
    assert repr(gf.TOKENIZERS["blocks"].new(3)) == f"BlockTokenizer(k=3, {len(gf.TOKENIZERS['blocks'].new(3)):,} tokens)"
    bpe = gf.TOKENIZERS["bpe"].train([encode("ACGTACGTAACC" * 20)], 20)
    assert repr(bpe) == f"BPETokenizer({bpe.n_vocab:,} tokens)"


def test_the_packages_that_are_calls_stay_packages() -> None:
    import genoformer.models.registry
    import genoformer.report.run

    assert gf.report is genoformer.report
    assert gf.models is genoformer.models
    assert callable(gf.report)
    assert genoformer.models.registry.load is gf.load
    assert gf.models().equals(gf._import_module("genoformer.api.catalog").models())


def test_a_report_of_scored_variants(names: dict[str, Any], tmp_path: Path) -> None:
    scored = tmp_path / "scored.vcf"
    gf.score_variants(gf.ScoringJob.from_names(names["vcf"], FASTA, "demo", scored, force=True))
    made = gf.report(scored, tmp_path / "page.html", title="mine")
    assert repr(made) == f"Report({tmp_path / 'page.html'}: 1 of 1 allele, 0 drawn)"
    with pytest.raises(gf.errors.ConfigError, match="option fasta is missing, expected the genome"):
        gf.report(scored, tmp_path / "page.html", model="demo")
    assert "mine" in made.path.read_text()
    assert f'href="{made.path}"' in made._repr_html_()


def test_enrichment_of_any_variants_is_that_of_the_file(names: dict[str, Any]) -> None:
    options = {"resamplings": 20, "controls": 400, "sizes": {"chrS1": 500_000, "chrS2": 500_000}, "match": "none"}
    with gf.Genome(FASTA) as genome:
        rows = [
            gf.Variant("chrS1", at, genome["chrS1", at - 1], "ACGT"[("ACGT".index(genome["chrS1", at - 1]) + 1) % 4])
            for at in range(6_000, 9_000, 100)
        ]
    by_objects = gf.enrich(rows, names["peaks"], **options).to_frame()
    by_ids = gf.enrich([f"{v.chrom}:{v.pos}:{v.ref}:{v.alt}" for v in rows], names["peaks"], **options).to_frame()
    pd.testing.assert_frame_equal(by_objects, by_ids)
    assert by_objects["n"].tolist() == [30]
    study = gf.enrich(VCF, names["peaks"], FASTA, resamplings=50, controls=2_000)
    direct = gf.enrich_variants(
        VCF, gf.read_annotations(names["peaks"]), genome=gf.Genome(FASTA), resamplings=50, controls=2_000
    )
    pd.testing.assert_frame_equal(study.to_frame(), direct.to_frame())
    assert repr(study).startswith("Study(")
    assert len(repr(study)) < 600
    assert study.to_frame()["fold"].item() == direct.compared[0].enrichment.fold[0]
    assert isinstance(study.plot(), Axes)
    assert "<table" in study._repr_html_()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": [0.1]}, "option top needs a score, found none"),
        ({"score": "GF_LLR", "controls": 5}, "option controls is for random controls"),
        ({"background": VCF, "sizes": "hg19"}, "option sizes is for random controls"),
        ({"match": "af,cg"}, "option match_on is cg, expected some of af, tss, gc"),
        ({"sizes": "no.sizes"}, "no.sizes"),
    ],
)
def test_options_of_enrich_without_effect_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(gf.errors.GenoformerError, match=re.escape(message)):
        gf.enrich(VCF, f"PEAK={DEMO / 'peaks.narrowPeak.gz'}", **options)
    with pytest.raises(TypeError, match="write resamplings"):
        gf.enrich(VCF, f"PEAK={DEMO / 'peaks.narrowPeak.gz'}", n_resamplings=5)


def test_batches_of_an_own_loop_train_a_model(tmp_path: Path) -> None:
    """With the calls of a notebook alone; a model without a tokenizer is not saved."""
    tokenizer = gf.KmerTokenizer(3)
    torch.manual_seed(0)
    model = gf.Encoder(gf.EncoderConfig(n_vocab=len(tokenizer), width=16, n_layers=1, n_heads=2, ffn_width=32))
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=1e-2), []
    (tmp_path / "repeats.fa").write_text(f">chr1\n{'ACGTTGCATTAGC' * 100}\n>chr2\n{'N' * 2000}\n")
    for batch in gf.language_batches(tmp_path / "repeats.fa", tokenizer, 60, batch_size=8, n_batches=15, contigs=["1"]):
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5
    with pytest.raises(gf.errors.ConfigError, match=r"has no tokenizer.*set model\.tokenizer"):
        gf.save(model, tmp_path / "own")
    assert not (tmp_path / "own").exists()
    model.tokenizer = tokenizer
    gf.save(model, tmp_path / "own")
    assert gf.embed("ACGTTGCA", tmp_path / "own").shape == (16,)


def test_batches_are_masked_windows_of_the_genome() -> None:
    tokenizer = gf.TOKENIZERS["base"]()
    first, second = gf.language_batches(FASTA, tokenizer, 40, batch_size=6, n_batches=2)
    again = next(gf.language_batches(FASTA, tokenizer, 40, batch_size=6))
    genome = gf.Genome(FASTA)
    text = genome["chrS1"] + "|" + genome["chrS2"]
    for batch in (first, second):
        labelled = batch["labels"] != -100
        assert 0.05 < labelled.float().mean() < 0.3
        whole = torch.where(labelled, batch["labels"], batch["input_ids"])
        for window in tokenizer.decode(whole):
            backward = window[::-1].translate(str.maketrans("ACGT", "TGCA"))
            assert window in text or backward in text
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["labels"], second["labels"])
    causal = next(gf.language_batches(FASTA, tokenizer, 40, batch_size=2, objective="causal"))
    assert torch.equal(causal["labels"][:, 1:39], causal["input_ids"][:, 2:40])
    with pytest.raises(gf.errors.ConfigError, match="option objective is 'mask', expected masked, causal or cloze"):
        next(gf.language_batches(FASTA, tokenizer, 40, objective="mask"))
    with pytest.raises(gf.errors.ConfigError, match="has 9000000 bases; choose a shorter window"):
        next(gf.language_batches(FASTA, tokenizer, 9_000_000))


def test_a_model_for_another_genome_warns(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(f">chr1\n{'ACGTTGCATTAGC' * 20}\n")
    with pytest.warns(UserWarning, match="demo is for genomes with contigs such as .*, found chr1"):
        table = gf.score("chr1:101:T:A", tmp_path / "g.fa", "demo")
    assert len(table) == 1
    for call in (gf.embed, gf.attention, gf.mutagenesis, gf.predict):
        options = {"track": "entropy"} if call is gf.predict else {}
        with pytest.warns(UserWarning, match="demo is for genomes with contigs such as") as heard:
            call(tmp_path / "g.fa", "chr1:1-20", "demo", **options)
        assert len(heard) == 1
    gf.embed("ACGTTGCA", "demo")  # a text has no contigs to judge by


def test_data_are_built_and_listed(tmp_path: Path) -> None:
    built = gf.data.build(tmp_path / "set", FASTA, {"peak": DEMO / "peaks.narrowPeak.gz"}, length=60, valid="chrS2", seed=3)
    assert built.counts["valid"]["peak"] > 0
    assert set(pd.read_csv(tmp_path / "set" / "valid.tsv", sep="\t")["chrom"]) == {"chrS2"}
    models = gf.models().set_index("name")
    assert models.loc["dnabert6", ["state", "family"]].tolist() == ["to download", "BERT"]
    assert models["licence"].notna().all()
    assert gf.data.pull("mini-human") == gf.pull("mini-human")
