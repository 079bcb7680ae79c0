"""Classes for Hugging Face transformers: configuration, models and tokenizer, registered with its Auto classes on import.

>>> import genoformer.huggingface
>>> from transformers import AutoConfig
>>> AutoConfig.for_model("genoformer").hidden_size
768
"""

from __future__ import annotations

from genoformer.errors import MissingExtraError

try:
    import transformers
except ImportError as error:
    raise MissingExtraError(
        "genoformer.huggingface needs transformers, which is not installed; install the extra: pip install 'genoformer[hf]'."
    ) from error

from genoformer.huggingface.configuration import GenoformerConfig
from genoformer.huggingface.modeling import (
    GenoformerForCausalLM,
    GenoformerForMaskedLM,
    GenoformerForSequenceClassification,
    GenoformerModel,
)
from genoformer.huggingface.tokenization import GenoformerFastTokenizer, GenoformerTokenizer

__all__ = [
    "GenoformerConfig",
    "GenoformerFastTokenizer",
    "GenoformerForCausalLM",
    "GenoformerForMaskedLM",
    "GenoformerForSequenceClassification",
    "GenoformerModel",
    "GenoformerTokenizer",
]

transformers.AutoConfig.register(GenoformerConfig.model_type, GenoformerConfig, exist_ok=True)
transformers.AutoModel.register(GenoformerConfig, GenoformerModel, exist_ok=True)
transformers.AutoModelForMaskedLM.register(GenoformerConfig, GenoformerForMaskedLM, exist_ok=True)
transformers.AutoModelForCausalLM.register(GenoformerConfig, GenoformerForCausalLM, exist_ok=True)
transformers.AutoModelForSequenceClassification.register(GenoformerConfig, GenoformerForSequenceClassification, exist_ok=True)
transformers.AutoTokenizer.register(
    GenoformerConfig,
    slow_tokenizer_class=GenoformerTokenizer,
    fast_tokenizer_class=GenoformerFastTokenizer,
    exist_ok=True,
)
