"""GenoformerConfig: the configuration of an encoder and of a head as a configuration of transformers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig

from genoformer.models.heads import ClassifierConfig
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.weights.own import MODEL_TYPE, classifier_shape, language_shape, special_fields
from genoformer.tokenizers import Tokenizer


class GenoformerConfig(PretrainedConfig):
    """Configuration of a model of genoformer for transformers.

    encoder: an `EncoderConfig`, or its fields. family: of the encoder, one of `families.families()`. head: fields of
    `ClassifierConfig` other than the encoder and the outputs, whose names and kind are `id2label` and `problem_type`.
    frame_token_ids: ids that cover no base, such as those of [CLS] and padding, over which the head does not pool.

    >>> GenoformerConfig(EncoderConfig(n_vocab=69, width=32, n_heads=2)).hidden_size
    32
    """

    model_type = MODEL_TYPE
    has_no_defaults_at_init = True  # config.json then has every field of the encoder

    def __init__(
        self,
        encoder: EncoderConfig | Mapping[str, Any] | None = None,
        family: str = "transformer",
        head: Mapping[str, Any] | None = None,
        frame_token_ids: Iterable[int] = (),
        mask_token_id: int | None = None,
        **options: Any,
    ) -> None:
        shape: Any = EncoderConfig() if encoder is None else encoder
        self.encoder: dict[str, Any] = dict(shape) if isinstance(shape, Mapping) else asdict(shape)
        self.family = family
        self.head = dict(head or {})
        self.frame_token_ids = list(frame_token_ids)
        self.mask_token_id = mask_token_id
        tied = self.encoder.get("tied_decoder", True) and self.encoder.get("output") != "none"
        super().__init__(**{"tie_word_embeddings": bool(tied), "use_cache": False, **options})

    @classmethod
    def for_tokenizer(cls, encoder: EncoderConfig, tokenizer: Tokenizer, **options: Any) -> GenoformerConfig:
        """Return the configuration of a new model that reads the tokens of one of genoformer's tokenizers."""
        return cls(encoder, **{**special_fields(tokenizer), **options})

    def language_shape(self) -> Any:
        """Return the configuration of the encoder."""
        return language_shape(self.to_dict(), Path(self.name_or_path or "."))

    def classifier_shape(self) -> ClassifierConfig:
        """Return the configuration of a model that classifies sequences."""
        return classifier_shape({**self.to_dict(), "id2label": self.id2label}, Path(self.name_or_path or "."))

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return int(self.encoder["n_vocab"])

    @vocab_size.setter
    def vocab_size(self, n_vocab: int) -> None:
        self.encoder["n_vocab"] = n_vocab

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states."""
        return int(self.encoder["width"])

    @property
    def num_hidden_layers(self) -> int:
        """Number of layers."""
        return int(self.encoder["n_layers"])

    @property
    def num_attention_heads(self) -> int:
        """Number of attention heads."""
        return int(self.encoder["n_heads"])
