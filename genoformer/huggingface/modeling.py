"""Models of genoformer as models of transformers: hidden states, masked and causal language models, classifiers."""

from __future__ import annotations

from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput, MaskedLMOutput, SequenceClassifierOutput

from genoformer.errors import ConfigError, GenoformerError
from genoformer.huggingface.configuration import GenoformerConfig
from genoformer.models import families, registry
from genoformer.models.export import OWN_CLASSES, own_classes_layout
from genoformer.models.heads import SequenceClassifier


class SpecialTokens(NamedTuple):
    """Ids of special tokens that an encoder needs: the part of a tokenizer that GenoformerConfig holds."""

    pad_id: int
    mask_id: int


class GenoformerPreTrainedModel(PreTrainedModel):
    """Parts that the models share: initial weights, embeddings, and folders of genoformer's own layout."""

    config_class = GenoformerConfig
    base_model_prefix = "model"
    _supports_sdpa = True  # attention is torch's SDPA in every case
    _tied_weights_keys: ClassVar[list[str]] = [r"encoder\.decoder\.weight"]
    _no_split_modules: ClassVar[list[str]] = ["Layer"]

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **options: Any) -> Any:
        """Load a model from a folder or from the hub, as transformers does, or from a folder that genoformer reads.

        Options are those of `PreTrainedModel.from_pretrained`, such as dtype, num_labels and id2label.
        """
        name = pretrained_model_name_or_path
        try:
            is_other = registry.layout_of(name) not in OWN_CLASSES
        except GenoformerError:  # no folder of a model: a name on the hub
            is_other = False
        if not is_other:
            return super().from_pretrained(name, *args, **options)
        loaded = registry.load(name)
        with TemporaryDirectory() as folder:
            registry.save(loaded, folder, layout=own_classes_layout(loaded))
            model = super().from_pretrained(folder, *args, **options)
        (model[0] if isinstance(model, tuple) else model).config._name_or_path = str(name)
        return model

    @property
    def network(self) -> Any:
        """The language model of genoformer inside."""
        return self.model.encoder

    def _new_encoder(self, config: GenoformerConfig) -> Any:
        encoder = families.model_class(config.family)(config.language_shape())
        encoder.tokenizer = _special_tokens(config)
        return encoder

    def _init_weights(self, module: nn.Module) -> None:
        std = self.config.encoder.get("init_std", 0.02)
        if isinstance(module, nn.Linear | nn.Embedding | nn.Conv1d):
            nn.init.normal_(module.weight, std=std)
        elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
            nn.init.ones_(module.weight)
        if (bias := getattr(module, "bias", None)) is not None:
            nn.init.zeros_(bias)

    def get_input_embeddings(self) -> Any:
        return self.network.tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.network.tokens = value

    def get_output_embeddings(self) -> Any:
        return getattr(self.network, "decoder", None)

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.network.decoder = new_embeddings

    def _keep(self, ids: Tensor, attention_mask: Tensor | None) -> Tensor | None:
        """Return False at padding, [B, T], or None if there is none; without a mask, padding is known by its id."""
        if attention_mask is None:
            pad = self.config.pad_token_id
            if pad is None or ids.is_floating_point():
                return None
            attention_mask = ids != pad
        keep = attention_mask.bool()
        if bool(keep.all()):
            return None
        if not bool(keep[:, 0].all()) and not getattr(self.network, "causal", False):
            raise ConfigError("found padding before the first token, expected it after the last; set padding_side='right'.")
        return keep


def _special_tokens(config: GenoformerConfig) -> SpecialTokens:
    pad, mask = config.pad_token_id, config.mask_token_id
    return SpecialTokens(-1 if pad is None else pad, -1 if mask is None else mask)


class GenoformerModel(GenoformerPreTrainedModel):
    """Token ids [B, T] -> hidden states [B, T, D]."""

    def __init__(self, config: GenoformerConfig) -> None:
        super().__init__(config)
        self.encoder = self._new_encoder(config)
        self.post_init()

    @property
    def network(self) -> Any:
        return self.encoder

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """Return the hidden states after the last layer, and on request those of all layers and the attention weights.

        input_ids: [B, T]; or inputs_embeds [B, T, D] in place of their embeddings. attention_mask: [B, T], 0 at padding.
        """
        ids = input_ids if inputs_embeds is None else inputs_embeds
        if ids is None:
            raise ConfigError("found no input; give input_ids or inputs_embeds.")
        keep = self._keep(ids, attention_mask)
        want_states = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        want_attentions = self.config.output_attentions if output_attentions is None else output_attentions
        states: list[Tensor] = []
        if want_states and self.config.family != "transformer":  # the inputs of the layers of others are not the states
            states = [self.encoder.embed(ids, keep, layer=layer) for layer in range(len(self.encoder.layers))]
        hooked = self.encoder.layers if want_states and not states else []
        hooks = [layer.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0])) for layer in hooked]
        try:
            last = self.encoder.embed(ids, keep)
        finally:
            for hook in hooks:
                hook.remove()
        attentions = None
        if want_attentions:
            attentions = tuple(weights(0, ids.shape[1]) for weights in self.encoder.attentions(ids, keep))
        output = BaseModelOutput(
            last_hidden_state=last, hidden_states=(*states, last) if want_states else None, attentions=attentions
        )
        return output if self._returns_dict(return_dict) else output.to_tuple()

    def _returns_dict(self, return_dict: bool | None) -> bool:
        return bool(self.config.use_return_dict if return_dict is None else return_dict)


class _LanguageModel(GenoformerPreTrainedModel):
    """Token ids [B, T] -> logits [B, T, V] and, with labels, a loss."""

    causal: ClassVar[bool] = False
    other: ClassVar[str] = ""  # class for the other kind

    def __init__(self, config: GenoformerConfig) -> None:
        super().__init__(config)
        self.model = GenoformerModel(config)
        shape = self.network.config
        if getattr(shape, "output", "") == "none":
            raise ConfigError("found a model without a head that predicts tokens; take GenoformerModel, or fine-tune it.")
        if bool(getattr(shape, "causal", False)) != self.causal:
            kind = "masked" if self.causal else "causal"
            raise ConfigError(f"found a {kind} model, which {type(self).__name__} does not hold; take {self.other}.")
        self.post_init()

    def _outputs(self, labels: Tensor | None, **inputs: Any) -> tuple[Any, Tensor, Tensor | None]:
        """Return the output of the base model, the logits, and the loss of labels [B, T], of which -100 is left out."""
        output = self.model(**inputs, return_dict=True)
        logits = self.network.head(output.last_hidden_state)  # [B, T, V]
        if labels is None:
            return output, logits, None
        scored, targets = (logits[:, :-1], labels[:, 1:]) if self.causal else (logits, labels)
        loss = F.cross_entropy(scored.flatten(0, 1).float(), targets.flatten().to(scored.device))
        return output, logits, loss


class GenoformerForMaskedLM(_LanguageModel):
    """Masked language model: logits of every token, and the cross-entropy of labels other than -100."""

    other = "GenoformerForCausalLM"

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """Return logits [B, T, V] and, with labels [B, T], the loss; other inputs as in `GenoformerModel`."""
        output, logits, loss = self._outputs(
            labels,
            input_ids=input_ids,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
        )
        answer = MaskedLMOutput(loss=loss, logits=logits, hidden_states=output.hidden_states, attentions=output.attentions)
        return answer if self.model._returns_dict(return_dict) else answer.to_tuple()


class GenoformerForCausalLM(_LanguageModel, GenerationMixin):
    """Causal language model: logits of the next token at every token, and the cross-entropy of labels, which are the ids."""

    causal = True
    other = "GenoformerForMaskedLM"

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """Return logits [B, T, V] and, with labels [B, T], the loss of each token given those before it."""
        output, logits, loss = self._outputs(
            labels,
            input_ids=input_ids,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
        )
        answer = CausalLMOutput(loss=loss, logits=logits, hidden_states=output.hidden_states, attentions=output.attentions)
        return answer if self.model._returns_dict(return_dict) else answer.to_tuple()

    def prepare_inputs_for_generation(self, input_ids: Tensor, attention_mask: Any = None, **_: Any) -> dict[str, Any]:
        """Return the inputs of a step of `generate`, which computes the whole sequence: no keys are kept."""
        return {"input_ids": input_ids, "attention_mask": attention_mask}


class GenoformerForSequenceClassification(GenoformerPreTrainedModel):
    """Classes, labels or values of sequences; with labels, the loss of their task (`problem_type`).

    Logits of values are in the unit of the values. Long sequences are not cut into windows, and one strand is read.
    """

    def __init__(self, config: GenoformerConfig) -> None:
        super().__init__(config)
        self.model = SequenceClassifier(config.classifier_shape())
        self.model.tokenizer = _special_tokens(config)
        self.num_labels = config.num_labels
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """Return logits [B, C] and, with labels, the loss.

        labels: class numbers [B], or floats [B, C] for labels and values ([B] for one value).
        """
        keep = self._keep(input_ids, attention_mask)
        frame = torch.tensor(self.config.frame_token_ids, device=input_ids.device, dtype=input_ids.dtype)
        is_base = ~torch.isin(input_ids, frame)
        is_base = is_base if keep is None else is_base & keep
        logits = self.model(input_ids, is_base, keep)  # [B, C]
        task = self.model.task
        loss = None
        if labels is not None:
            if task.one_class and labels.is_floating_point():
                raise ConfigError(
                    "found labels with decimals, expected numbers of classes; set problem_type to "
                    "'multi_label_classification' or 'regression'."
                )
            targets = labels if task.one_class else labels.reshape(logits.shape).float()
            loss = task.loss(logits.float(), targets.to(logits.device), reduction="mean").mean()
        answer = SequenceClassifierOutput(loss=loss, logits=task.values(logits) if task.has_scale else logits)
        returned = self.config.use_return_dict if return_dict is None else return_dict
        return answer if returned else answer.to_tuple()
