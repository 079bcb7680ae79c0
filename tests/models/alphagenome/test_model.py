"""AlphaGenome against naive formulas in float64, the parts that are not computed, windows, and what is refused."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from itertools import pairwise

import alphagenome_models
import numpy as np
import pytest
import torch
from alphagenome_models import small_alphagenome
from naive_alphagenome import run
from small_models import random_onehot

from genoformer.errors import ConfigError
from genoformer.models import cost
from genoformer.models.alphagenome.config import AlphaGenomeConfig, heads_of, preset
from genoformer.models.alphagenome.model import AlphaGenome
from genoformer.models.alphagenome.tower import rotary_angles
from genoformer.models.base import Attends, Head, PredictsTracks, has

MODEL = small_alphagenome()


def close(found: torch.Tensor, expected: np.ndarray, error: float = 3e-5) -> None:
    assert found.shape == expected.shape
    assert np.abs(found.detach().double().numpy() - expected).max() <= error * np.abs(expected).max()


@pytest.mark.parametrize("length", [2048, 6144])
@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_every_head_is_the_naive_formula(length: int, organism: str) -> None:
    onehot, number = random_onehot(1, length, length), ("human", "mouse").index(organism)
    naive, (bases, bins, pairs) = run(MODEL, onehot, number)
    with torch.no_grad():
        for head in MODEL.track_heads:
            name = MODEL.parts_of(head)
            if name.organism != organism:
                continue
            embedding = bases if name.bin_size == 1 else bins
            close(MODEL.embed(onehot, head=head)[0], embedding.T)
            rows = naive.w[f"outputs.{name.output}.rows_{number}"].astype(int)
            expected = naive.tracks(embedding, name, number)[:, rows].T
            assert expected.std(1).max() > 0.02 * expected.mean()  # over the bins: else there is nothing to compare
            close(MODEL(onehot, head)[0], expected, 1e-4)
        maps = naive.last(pairs, "outputs.contact_maps.linear", number)[..., : {"human": 3, "mouse": 2}[organism]]
        close(MODEL.contact_maps(onehot, organism)[0], maps.transpose(2, 0, 1))
        np.testing.assert_allclose(maps, maps.transpose(1, 0, 2))


def test_the_soft_clip_and_the_power_are_undone() -> None:
    """4 x 10 = (10 + 30)^2 / 40; 40^(4/3) for RNA-seq; 0.5 is below the clip."""
    from genoformer.models.alphagenome.outputs import unscaled

    x = torch.tensor([[[0.5, 30.0]]])
    mean = torch.tensor([2.0])
    torch.testing.assert_close(unscaled(x, mean, 1, squashed=False), torch.tensor([[[1.0, 80.0]]]))
    torch.testing.assert_close(unscaled(x, mean, 128, squashed=True), torch.tensor([[[0.5, 40.0]]]) ** (4 / 3) * 256)


@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_junctions_are_the_naive_products(organism: str) -> None:
    onehot, number = random_onehot(1, 4096, 5), ("human", "mouse").index(organism)
    naive, (bases, _, _) = run(MODEL, onehot, number)
    sites = torch.tensor([[[3, 900, -1], [40, 4000, -1], [17, -1, -1], [2, 3, 4]]])
    with torch.no_grad():
        counts = MODEL.junctions(onehot, organism, sites).counts
    n = {"human": 4, "mouse": 2}[organism]
    assert counts.shape == (1, 2 * n, 3, 3)
    expected = np.zeros((2 * n, 3, 3))
    for strand, (donors, acceptors) in enumerate((sites[0, :2].tolist(), sites[0, 2:].tolist())):
        for i, donor in enumerate(donors):
            for j, acceptor in enumerate(acceptors):
                for tissue in range(n if donor >= 0 and acceptor >= 0 else 0):
                    value = naive.junction(bases, number, donor, acceptor, ("pos", "neg")[strand], tissue)
                    expected[strand * n + tissue, i, j] = value
    close(counts[0], expected)


def test_angles_of_far_positions_are_not_rounded() -> None:
    """At base 1,000,000 an angle of float32 is off by up to 0.1: alphagenome-pt rounds so, and its junctions differ by 1e-3."""
    position, width, longest = 1_000_000, 768, 2**20
    exact = []
    with localcontext(Context(prec=40)):
        growth = (Decimal(longest - width // 2 + 1).ln()) / (width // 2 - 1)
        for i in range(width // 2):
            exact.append(float(Decimal(position) / (i + (growth * i).exp())))
    angles = rotary_angles(torch.tensor([position]), width, longest)[0]
    assert angles.dtype == torch.float64
    assert np.abs(np.cos(angles.numpy()) - np.cos(exact)).max() < 1e-8


def test_the_likeliest_sites_by_hand() -> None:
    from genoformer.models.alphagenome.outputs import likely_sites

    probabilities = torch.zeros(1, 5, 6)
    probabilities[0, 0, [1, 4, 5]] = torch.tensor([0.2, 0.9, 0.3])
    probabilities[0, 2, [0, 3]] = torch.tensor([0.05, 0.1])
    assert likely_sites(probabilities, 2, 0.1)[0].tolist() == [[4, 5], [-1, -1], [3, -1], [-1, -1]]
    assert likely_sites(probabilities, 8, 0.1)[0, 0].tolist() == [1, 4, 5, -1, -1, -1, -1, -1]


def test_the_sites_of_junctions_are_those_of_the_splice_site_head() -> None:
    onehot = random_onehot(1, 2048, 9)
    with torch.no_grad():
        sites, _ = MODEL.junctions(onehot, "human")
        probabilities = MODEL(onehot, "human_splice_sites_classification_1bp")[0]
    assert sites.shape == (1, 4, 6)
    for kind in range(4):
        best = sorted(range(2048), key=lambda at: -probabilities[kind, at].item())[:6]
        assert sites[0, kind].tolist() == sorted(at for at in best if probabilities[kind, at] >= 0.1) + [-1] * sum(
            probabilities[kind, at] < 0.1 for at in best
        )


# --- parts that nobody asked for


def multiply_adds(head: str, length: int = 4096, n_bins: int = 0) -> int:
    meta = cost.meta_model(AlphaGenome, MODEL.config).eval()
    return cost.trace(meta, cost.track_run(meta, head, length, n_bins)).multiply_adds


def test_heads_of_128_bases_do_not_run_the_decoder() -> None:
    """Counted by hand: the convolutions of the encoder and of the decoder, without the kernels' standardisation."""
    length, c = 4096, MODEL.config.channels
    down = 4 * 15 * c[0] * length + 5 * c[0] ** 2 * length
    down += sum(5 * (a * b + b * b) * length >> i for i, (a, b) in enumerate(pairwise(c), 1))
    up = sum(
        5 * a * b * length // (2 << i) + (b * b + 5 * b * b) * length // (1 << i)
        for i, (a, b) in enumerate(zip([*c[1:], c[-1]], c, strict=True))
    )
    bases = length * (2 * c[0] * c[0]) + (length // 128) * (2 * c[-1]) * (2 * c[0])  # embedder of bases and its skip
    coarse, fine = multiply_adds("human_atac_128bp"), multiply_adds("human_atac_1bp")
    assert down < coarse < 1.6 * down
    n_tracks = 5
    outputs = n_tracks * length * 2 * c[0] - n_tracks * (length // 128) * 2 * c[-1]
    assert fine - coarse == up + bases + outputs


def test_only_the_requested_head_and_tracks_are_computed() -> None:
    c, n = MODEL.config.trunk_width, 4096 // 128
    atac, rna = multiply_adds("human_atac_128bp"), multiply_adds("human_rna_seq_128bp")
    assert rna - atac == (6 - 5) * 2 * c * n
    meta = cost.meta_model(AlphaGenome, MODEL.config).eval()
    one = cost.trace(meta, cost.track_run(meta, "human_rna_seq_128bp", 4096, 0, n_tracks=1)).multiply_adds
    assert rna - one == 5 * 2 * c * n


def test_few_bases_need_little_of_the_decoder() -> None:
    base = multiply_adds("human_atac_128bp", 65_536)
    whole = multiply_adds("human_atac_1bp", 65_536) - base
    some = multiply_adds("human_atac_1bp", 65_536, 501) - base
    assert some < whole / 20


# --- the interface


def test_heads_are_organisms_outputs_and_bin_sizes() -> None:
    heads = MODEL.track_heads
    assert heads["human_atac_1bp"] == Head(5, 1)
    assert heads["mouse_splice_sites_usage_1bp"]._replace(table=None) == Head(4, 1)
    assert "human_chip_tf_1bp" not in heads  # 128 bases only
    assert not [name for name in heads if name.startswith("mouse_procap") or "contact" in name or "junction" in name]
    assert has(MODEL, PredictsTracks, Attends)
    published = heads_of(AlphaGenomeConfig())
    assert published["human_rna_seq_128bp"] == Head(667, 128)
    assert published["mouse_chip_tf_128bp"] == Head(127, 128)


def test_splice_site_usage_has_the_tissues_of_both_strands() -> None:
    """Rows of the published metadata of mouse: 90 tissues of each strand, each followed by 277 of padding."""
    from genoformer.models.alphagenome.outputs import default_rows

    rows = default_rows("splice_sites_usage", 734, 180).tolist()
    assert rows == [*range(90), *range(367, 457)]
    assert default_rows("atac", 256, 18).tolist() == list(range(18))


def test_the_published_model_has_its_number_of_parameters() -> None:
    """450,452,613 in alphagenome-pytorch 0.3.1."""
    assert cost.count_parameters(cost.meta_model(AlphaGenome, AlphaGenomeConfig())) == 450_452_613
    assert AlphaGenomeConfig().min_parameters < 450_452_613


def test_attention_maps_are_the_naive_weights() -> None:
    codes = np.random.default_rng(3).integers(0, 4, (1, 4096), dtype=np.uint8)
    onehot = torch.nn.functional.one_hot(torch.from_numpy(codes).long(), 4).transpose(1, 2).float()
    naive, _ = run(MODEL, onehot, 0)
    x = naive.encode(onehot[0].T.double().numpy())[0] + naive.w["organism.weight"][0]
    pairs = None
    with torch.no_grad():
        for i, weights in enumerate(MODEL.attention(codes)):
            after, pairs = naive.block(x, pairs, f"blocks.{i}")
            expected = np.stack(naive.attention_weights(x, pairs, f"blocks.{i}.attention"))
            close(weights(0, 32)[0], expected)
            close(weights(13, 9)[0], expected[:, 13:22])
            x = after
    assert MODEL.spans(codes)[0, 3].tolist() == [384, 512]
    assert (MODEL.n_units(4096), MODEL.n_layers, MODEL.n_heads) == (32, 3, 2)


def test_gradients_reach_the_input_and_checkpointing_does_not_change_them() -> None:
    model = small_alphagenome(n_blocks=2).train()
    gradients = []
    for model.activation_checkpointing in (False, True):
        onehot = random_onehot(2, 2048, 3).requires_grad_()
        model(onehot, "human_cage_128bp").sum().backward()
        assert onehot.grad is not None
        gradients.append(onehot.grad)
    assert gradients[0].abs().min(-1).values.max() >= 0
    assert gradients[0].any()
    torch.testing.assert_close(gradients[0], gradients[1])


def test_statistics_follow_training_and_a_frozen_norm_keeps_them() -> None:
    from genoformer.models.alphagenome.layers import RMSBatchNorm

    norm, x = RMSBatchNorm(3, dim=1).train(), torch.randn(4, 3, 50)
    square = x.square().mean((0, 2))
    torch.testing.assert_close(norm(x), x / (square + 1e-5).sqrt()[:, None])
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * square)
    norm.weight.requires_grad_(False)
    before = norm.running_var.clone()
    torch.testing.assert_close(norm(x), x / (before + 1e-5).sqrt()[:, None])
    assert torch.equal(norm.running_var, before)


# --- refusals


@pytest.mark.parametrize("length", [1024, 2176, 4224])
def test_windows_that_are_no_multiple_of_2048_bases_are_refused(length: int) -> None:
    with pytest.raises(ConfigError, match="2048"):
        MODEL(random_onehot(1, length), "human_atac_128bp")
    with pytest.raises(ConfigError, match="2048"):
        MODEL.n_units(length)
    with pytest.raises(ConfigError, match="2048"):
        MODEL.contact_maps(random_onehot(1, length), "human")


def test_outputs_that_an_organism_does_not_have_are_refused() -> None:
    with pytest.raises(ConfigError, match="no contact_maps of 'fly', expected one of: human, mouse"):
        MODEL.contact_maps(random_onehot(1, 2048), "fly")
    with pytest.raises(ConfigError, match="there is no head 'mouse_procap_1bp'"):
        MODEL(random_onehot(1, 2048), "mouse_procap_1bp")
    with pytest.raises(ConfigError, match="no head was named"):
        MODEL(random_onehot(1, 2048))
    with pytest.raises(ConfigError, match=r"give one-hot DNA \[B, 4, L\]"):
        MODEL(random_onehot(1, 2048).transpose(1, 2), "human_atac_1bp")


ROWS = alphagenome_models.ROWS


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"width": 0}, "width = 0"),
        ({"n_blocks": 0}, "n_blocks = 0"),
        ({"kernel": 4}, "kernel = 4 has no middle"),
        ({"key_width": 5}, "key_width = 5: give an even number"),
        ({"context_length": 1000}, "context_length = 1,000: give a multiple of 2,048"),
        ({"site_threshold": 1.0}, "give a probability below 1"),
        ({"organisms": ("human", "human")}, "each once"),
        ({"organisms": ("human", "a b")}, "'a b' is not a name"),
        ({"outputs": {**ROWS, "hic": 3}}, "outputs = .*hic: give some of atac"),
        ({"outputs": {**ROWS, "atac": 0}}, "atac = 0"),
        ({"outputs": {**ROWS, "splice_sites_classification": 4}}, "it has 5 classes"),
        ({"tracks": {"human": ROWS}}, "tracks are of human; give them for human, mouse"),
        ({"tracks": {"human": ROWS, "mouse": {"atac": 2}}}, "tracks of mouse: give a number of tracks for atac"),
        ({"tracks": {"human": ROWS, "mouse": {**ROWS, "cage": 6}}}, "cage = 6: give a number from 0 to 5"),
        ({"outputs": {"splice_sites_junction": 2}}, "needs splice_sites_classification"),
        ({"outputs": {"atac": 2}, "tracks": {"human": {"atac": 0}, "mouse": {"atac": 0}}}, "no output has tracks"),
    ],
)
def test_configurations_that_are_none_are_refused(fields: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        AlphaGenomeConfig(**{**alphagenome_models.SHAPE, **fields})


def test_presets() -> None:
    assert preset("alphagenome") == AlphaGenomeConfig()
    assert preset("tiny", n_blocks=1).n_blocks == 1
    with pytest.raises(ConfigError, match="allowed are alphagenome, small, tiny"):
        preset("large")
    with pytest.raises(ConfigError, match="unknown fields rows"):
        AlphaGenomeConfig.from_dict({"rows": 3})
