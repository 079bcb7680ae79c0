"""Upload of a model folder to the Hugging Face hub: files of the folder, and its card with a licence -> one commit."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from genoformer.catalog.hub import first_line
from genoformer.errors import CheckpointError, ConfigError, UploadError

_PUSHED = re.compile(
    r"config\.json|generation_config\.json|model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json|manifest\.json|"
    r"(genoformer_)?tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|vocab\.txt|"
    r"targets.*\.tsv|seen\.npz|card\.md"
)
_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_LICENCE = re.compile(r"^license:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_LICENCE_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_TASKS = (("MaskedLM", "fill-mask"), ("CausalLM", "text-generation"), ("SequenceClassification", "text-classification"))


@dataclass(frozen=True)
class PushRequest:
    """A model folder, and the repository of the hub that it goes to."""

    folder: Path
    repository: str  # OWNER/NAME
    licence: str = ""  # as the hub spells it, "apache-2.0" for example; by default that of the card
    private: bool = False


class Upload(NamedTuple):
    """Content of a push: files by their name in the repository, and the text of README.md."""

    files: dict[str, Path]
    readme: str


def plan_push(request: PushRequest) -> Upload:
    """Return the files and the card of a push without a connection; raise ConfigError or CheckpointError if it cannot be made.

    Pushed are the files of a model that genoformer or transformers reads, and no others of the folder.
    """
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(request.repository)
    except HFValidationError as error:
        raise ConfigError(
            f"{request.repository!r} is no name of a repository ({first_line(error)}); give OWNER/NAME."
        ) from error
    if not (request.folder / "config.json").is_file():
        raise CheckpointError(f"{request.folder} has no config.json; give the folder of one model.")
    names = sorted(path.name for path in request.folder.iterdir() if path.is_file() and _PUSHED.fullmatch(path.name))
    if not any(name.endswith(".safetensors") for name in names):
        raise CheckpointError(
            f"{request.folder} has no weights in safetensors; convert it with `genoformer models convert` and push the result."
        )
    return Upload({name: request.folder / name for name in names}, _readme(request))


def push(request: PushRequest, api: Any = None) -> str:
    """Upload a model folder in one commit, and return the address of the repository, which is created if it is absent.

    The token is that of the environment (HF_TOKEN) or of `hf auth login`. api: a `huggingface_hub.HfApi`; by default that of
    $HF_ENDPOINT. Raises UploadError if the hub refuses or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, constants, get_token

    upload = plan_push(request)
    if constants.HF_HUB_OFFLINE:
        raise UploadError("the hub cannot be reached while HF_HUB_OFFLINE is set; unset it.")
    if not get_token():
        raise UploadError("no token of the hub was found; set HF_TOKEN, or log in with `hf auth login`.")
    api = HfApi(library_name="genoformer") if api is None else api
    operations = [CommitOperationAdd(name, str(path)) for name, path in upload.files.items()]
    operations.append(CommitOperationAdd("README.md", upload.readme.encode()))
    try:
        address = str(api.create_repo(request.repository, private=request.private, exist_ok=True))
        if request.private and not api.model_info(request.repository).private:
            raise UploadError(
                f"{request.repository} exists and is public, but a private one was requested; change its visibility "
                "on the hub, or push to another name."
            )
        api.create_commit(request.repository, operations, commit_message="Upload a model with genoformer")
    except (UploadError, KeyboardInterrupt):
        raise
    except Exception as error:  # of the hub, or of whichever HTTP library it uses
        raise UploadError(
            f"{request.repository} could not be pushed ({first_line(error)}); check its name, the token's permission to write, "
            "and the connection."
        ) from error
    return address


def _readme(request: PushRequest) -> str:
    """Return the card of the folder with the metadata that the hub reads; what the card itself states stays."""
    path = next((request.folder / name for name in ("card.md", "README.md") if (request.folder / name).is_file()), None)
    card = (
        f"# {request.repository.rpartition('/')[2]}\n" if path is None else path.read_text(encoding="utf-8", errors="replace")
    )
    front = _FRONT.match(card)
    stated, text = (front[1], card[front.end() :].lstrip("\n")) if front else ("", card)
    named = _LICENCE.search(stated)
    licence = request.licence or (named[1] if named else "")
    if not licence:
        raise ConfigError(
            f"the card of {request.folder} names no licence; give --licence, such as apache-2.0, cc-by-nc-sa-4.0 or other."
        )
    if not _LICENCE_NAME.fullmatch(licence):
        raise ConfigError(f"licence {licence!r}: give a name as the hub spells it, such as apache-2.0, cc-by-4.0 or other.")
    lines = [line for line in stated.splitlines() if not line.startswith("license:")]
    for key, value in _metadata(request.folder).items():
        if value and not any(line.startswith(f"{key}:") for line in lines):
            lines.append(f"{key}: {value}")
    return "\n".join(["---", f"license: {licence}", *lines, "---", "", text])


def _metadata(folder: Path) -> dict[str, str]:
    """Return the metadata of a model for the hub, from its config.json."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        classes = " ".join(map(str, config.get("architectures") or []))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{folder / 'config.json'} cannot be read ({error}); copy the model folder again.") from error
    task = next((task for name, task in _TASKS if f"For{name}" in classes), "")
    own = "genoformer" in config or config.get("model_type") == "genoformer"
    return {
        "library_name": "genoformer" if own else "transformers",
        "pipeline_tag": task,
        "tags": "[dna, genomics, genoformer]",
    }
