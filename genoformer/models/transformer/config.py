"""Shape of a transformer of tokens: one configuration for BERT, DNABERT-2, ESM, ModernBERT, Llama and their like."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, Literal, Self

from genoformer.config import check_shape, checked, current
from genoformer.errors import ConfigError

Position = Literal["learned", "rotary", "alibi", "sinusoidal"]
Norm = Literal["post", "pre"]
NormType = Literal["layer", "rms"]
Activation = Literal["gelu", "geglu", "swiglu"]
Output = Literal["transform", "linear", "none"]

TRANSFORMERS_NAMES = {  # field of the configurations of transformers -> the field here
    "vocab_size": "n_vocab",
    "hidden_size": "width",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "num_key_value_heads": "n_kv_heads",
    "head_dim": "head_width",
    "intermediate_size": "ffn_width",
    "max_position_embeddings": "max_tokens",
    "position_embedding_type": "position",
    "hidden_act": "activation",
    "hidden_dropout_prob": "dropout",
    "layer_norm_eps": "norm_eps",
    "rms_norm_eps": "norm_eps",
    "initializer_range": "init_std",
    "type_vocab_size": "n_token_types",
    "rope_theta": "rotary_base",
    "tie_word_embeddings": "tied_decoder",
    "is_decoder": "causal",
}
_MAY_BE_ZERO = ("n_token_types", "conv_kernel", "n_kv_heads", "head_width", "local_window", "position_offset")


@dataclass(frozen=True)
class EncoderConfig:
    """The shape of a transformer of tokens. The defaults are DNABERT's (Ji et al. 2021), which are BERT-base's.

    SHAPES has the values in which the published families differ from these. TRANSFORMERS_NAMES has the names that the fields
    have in Hugging Face's transformers.

    >>> EncoderConfig(vocab_size=69)
    Traceback (most recent call last):
    genoformer.errors.ConfigError: EncoderConfig has no field vocab_size; its name here is n_vocab.
    """

    n_vocab: int = 4101  # 4^6 6-mers and 5 special tokens
    width: int = 768
    n_layers: int = 12
    n_heads: int = 12
    ffn_width: int = 3072  # width of the feed-forward part; GEGLU and SwiGLU have two matrices of this size
    max_tokens: int = 512  # [CLS] and [SEP] included; learned positions end there
    context_length: int = 512  # default window, in bases
    position: Position = "learned"
    norm: Norm = "post"  # "pre" trains without warm-up trouble; "post" is BERT
    activation: Activation = "gelu"
    conv_kernel: int = 0  # width in tokens of a convolution before the first layer; 0 = none, as in BERT
    causal: bool = False  # a token attends only to itself and earlier tokens: a GPT-style language model
    dropout: float = 0.1
    norm_eps: float = 1e-12
    init_std: float = 0.02
    n_token_types: int = 2  # BERT's token types; DNABERT uses the first; 0 = none
    pooler: bool = False  # tanh layer on [CLS], kept if a checkpoint has one
    n_kv_heads: int = 0  # heads of keys and values, each read by several queries (Ainslie et al. 2023); 0 = n_heads
    head_width: int = 0  # width of a head; 0 = width / n_heads
    qk_norm: bool = False  # RMS norm of each query and key (Henry et al. 2020), as in Qwen3
    rotary_base: float = 10_000.0  # of rotary positions
    local_rotary_base: float = 0.0  # of local layers; 0 = rotary_base
    local_window: int = 0  # tokens that a token of a local layer sees, half on either side; 0 = all layers see all tokens
    global_every: int = 1  # with local_window: layers 0, n, 2n ... see all tokens (ModernBERT, Warner et al. 2024)
    norm_type: NormType = "layer"  # "rms": no mean, no bias (Zhang & Sennrich 2019)
    norm_bias: bool = True
    embedding_norm: bool = False  # of a pre-norm model; a post-norm model always has one
    first_norm: bool = True  # a pre-norm model norms the input of the attention in its first layer
    final_norm: bool = True  # a pre-norm model norms the output of its last layer
    qkv_bias: bool = True
    out_bias: bool = True
    up_bias: bool = True
    down_bias: bool = True
    output: Output = "transform"  # BERT's head: dense, GELU, norm, decoder; "linear": decoder only; "none": no head
    transform_bias: bool = True
    decoder_bias: bool = True
    tied_decoder: bool = True  # the decoder has the weights of the token embeddings
    masked_in_training: float = 0.0  # ESM's token dropout: share of tokens that [MASK] replaced in training; 0 = none
    position_offset: int = 0  # rows of the learned positions before that of the first token (2 in ESM)

    def __new__(cls, *_: Any, **values: Any) -> Self:
        """Refuse, with ConfigError, a field that does not exist; a field of transformers is named as it is here."""
        if unknown := [name for name in values if name not in cls.__dataclass_fields__]:
            named = TRANSFORMERS_NAMES.get(unknown[0]) or next(
                iter(get_close_matches(unknown[0], cls.__dataclass_fields__)), ""
            )
            remedy = f"its name here is {named}" if named else f"the fields are {', '.join(cls.__dataclass_fields__)}"
            raise ConfigError(f"{cls.__name__} has no field {unknown[0]}; {remedy}.")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        check_shape(self, _MAY_BE_ZERO)
        if not self.head_width and self.width % self.n_heads:
            raise ConfigError(f"width = {self.width} is no multiple of n_heads = {self.n_heads}; change one of them.")
        if self.n_heads % self.kv_heads:
            raise ConfigError(f"n_heads = {self.n_heads} is no multiple of n_kv_heads = {self.n_kv_heads}; change one of them.")
        if self.position == "rotary" and self.head_size % 2:
            raise ConfigError(f"rotary positions need an even width per head, not {self.head_size}.")
        if self.conv_kernel and self.conv_kernel % 2 == 0:
            raise ConfigError(f"conv_kernel = {self.conv_kernel} has no middle; give an odd number, or 0 for none.")
        for name in ("dropout", "masked_in_training"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)}: give a number from 0 up to, not including, 1.")
        if self.rotary_base <= 0 or self.local_rotary_base < 0:
            raise ConfigError(
                f"rotary_base = {self.rotary_base}, local_rotary_base = {self.local_rotary_base}: give positive ones."
            )

    @property
    def head_size(self) -> int:
        """Width of a query, key or value."""
        return self.head_width or self.width // self.n_heads

    @property
    def kv_heads(self) -> int:
        """Number of heads of keys and values."""
        return self.n_kv_heads or self.n_heads

    @property
    def n_positions(self) -> int:
        """Number of tokens after which learned positions end; 0: other positions have no end."""
        return self.max_tokens if self.position == "learned" else 0

    @property
    def gated(self) -> bool:
        """True if the feed-forward part multiplies its hidden units by a gate."""
        return self.activation != "gelu"

    def is_local(self, layer: int) -> bool:
        """True if a token of this layer sees only the tokens near it."""
        return bool(self.local_window) and layer % self.global_every != 0

    def effective(self) -> dict[str, Any]:
        """Return the fields with the values that take effect: two shapes with equal ones are the same network."""
        local = {"local_rotary_base": self.local_rotary_base or self.rotary_base} if self.local_window else {}
        values = asdict(self) | {"n_kv_heads": self.kv_heads, "head_width": self.head_size} | local
        unused = [] if self.local_window else ["local_rotary_base", "global_every"]
        unused += [] if self.position == "rotary" else ["rotary_base", "local_rotary_base"]
        return {name: value for name, value in values.items() if name not in unused}

    @property
    def min_layers(self) -> int:
        """Number of layers."""
        return self.n_layers

    @property
    def min_parameters(self) -> int:
        """Lower bound of the parameter count: the parameters of the large matrices."""
        tokens = self.n_vocab + (self.max_tokens if self.position == "learned" else 0) + self.n_token_types
        attention = 2 * self.head_size * (self.n_heads + self.kv_heads)
        layer = attention + (3 if self.gated else 2) * self.ffn_width
        return self.width * (tokens + self.n_layers * layer + self.conv_kernel * self.width)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EncoderConfig:
        """Return the configuration in a saved mapping; refuse an unknown field and a value of another type."""
        return cls(**checked(cls, current(cls.__name__, values), "encoder"))


_NO_BIAS = {"qkv_bias": False, "out_bias": False, "up_bias": False, "down_bias": False}
_ESM = {"norm": "pre", "norm_eps": 1e-12, "n_token_types": 0, "masked_in_training": 0.12}
_DECODER_ONLY = {
    **_NO_BIAS,
    "causal": True,
    "position": "rotary",
    "norm": "pre",
    "norm_type": "rms",
    "norm_eps": 1e-6,
    "activation": "swiglu",
    "output": "linear",
    "decoder_bias": False,
    "n_token_types": 0,
    "dropout": 0.0,
}
SHAPES: dict[str, dict[str, Any]] = {  # family -> the fields in which it differs from BERT, sizes apart
    "bert": {},
    "dnabert2": {"position": "alibi", "activation": "geglu", "up_bias": False},
    "gena-lm": {"norm": "pre", "embedding_norm": True},
    "esm": {**_ESM, "position": "rotary"},
    "nucleotide-transformer": {**_ESM, "norm_eps": 1e-5, "position": "learned", "position_offset": 2},  # padding has id 1
    "nucleotide-transformer-v2": {
        **_ESM,
        "norm_eps": 1e-5,
        "position": "rotary",
        "activation": "swiglu",
        "up_bias": False,
        "down_bias": False,
    },
    "modernbert": {
        **_NO_BIAS,
        "position": "rotary",
        "rotary_base": 160_000.0,
        "local_rotary_base": 10_000.0,
        "local_window": 128,
        "global_every": 3,
        "norm": "pre",
        "norm_eps": 1e-5,
        "norm_bias": False,
        "embedding_norm": True,
        "first_norm": False,
        "activation": "geglu",
        "transform_bias": False,
        "n_token_types": 0,
        "dropout": 0.0,
    },
    "llama": {**_DECODER_ONLY, "tied_decoder": False},
    "qwen3": {**_DECODER_ONLY, "rotary_base": 1_000_000.0, "qk_norm": True},
}
