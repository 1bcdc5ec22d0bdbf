"""laion-clap's own CLAP, in a process of its own: python tests/laion_reference.py FOLDER

Reads `config.json`, `weights.safetensors`, `sounds.safetensors`, `texts.json` and the folders of three tokenizers from
FOLDER; writes `answers.safetensors` and `surroundings.json`. It begins with our import of HTSAT, so that what follows
is the import of laion-clap after ours.
"""

from __future__ import annotations

import json
import os
import sys
import types
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

FOREIGN = ("laion_clap", "clap_module", "torchvision", "training", "evaluate")


def foreign_modules() -> list[str]:
    return sorted(name for name in sys.modules if name.partition(".")[0] in FOREIGN)


def stand_in_for_pictures() -> None:
    """What laion-clap imports of torchvision and Pillow and never calls for sounds."""
    names = {
        "torchvision": [],
        "torchvision.ops": [],
        "torchvision.ops.misc": ["FrozenBatchNorm2d"],
        "torchvision.datasets": [],
        "torchvision.transforms": """
            Normalize Compose RandomResizedCrop InterpolationMode ToTensor Resize CenterCrop
        """.split(),
        "PIL": ["Image"],
    }
    for name, members in names.items():
        sys.modules[name] = module = types.ModuleType(name)
        vars(module).update({member: type(member, (nn.Module,), {}) for member in members})


def laions_model(config: dict[str, Any]) -> Any:
    """CLAP as `create_model` makes it, at another size where `config` says so, its text tower without a download."""
    import laion_clap
    import transformers
    from clap_module import htsat
    from clap_module import model as networks

    def create_htsat(audio: Any, enable_fusion: bool, fusion_type: str) -> Any:
        return htsat.HTSAT_Swin_Transformer(
            embed_dim=config["width"],
            depths=config["depths"],
            num_heads=config["heads"],
            num_classes=audio.class_num,
            config=audio,
        )

    shape = transformers.RobertaConfig(
        vocab_size=config["vocabulary"],
        hidden_size=config["text_width"],
        num_hidden_layers=config["text_layers"],
        num_attention_heads=config["text_heads"],
        intermediate_size=4 * config["text_width"],
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    networks.RobertaModel.from_pretrained = classmethod(lambda cls, name: cls(shape))
    published = json.loads((Path(laion_clap.__file__).parent / "clap_module/model_configs/HTSAT-base.json").read_text())
    if config["width"] != 128:
        networks.create_htsat_model = create_htsat
    published["text_cfg"]["model_type"] = "roberta"
    published["embed_dim"] = 8 * config["width"]
    return networks.CLAP(**published, joint_embed_shape=config["embedding"]).eval()


@torch.inference_mode()
def main(folder: Path) -> None:
    path = list(sys.path)
    from model.laion_htsat import build_htsat

    ours = build_htsat(8, (1, 1, 1, 1), (1, 1, 1, 1))
    surroundings: dict[str, Any] = {"path_is_as_before": sys.path == path, "foreign": foreign_modules()}

    from transformers import BartModel, BartTokenizer, BertModel, BertTokenizer, RobertaModel, RobertaTokenizer

    assert all((BartModel, BartTokenizer, BertModel, BertTokenizer, RobertaModel, RobertaTokenizer))
    stand_in_for_pictures()
    os.chdir(folder)  # where laion-clap finds its tokenizers, as folders
    from laion_clap.training import data

    config = json.loads(Path("config.json").read_text())
    clap = laions_model(config)
    weights = load_file("weights.safetensors")
    missing, unexpected = clap.load_state_dict(weights, strict=False)
    surroundings["same_class"] = type(ours) is type(clap.audio_branch)
    surroundings["missing"] = [name for name in missing if not name.startswith(("logit", "text_tr", "audio_tr"))]
    surroundings["unexpected"] = unexpected
    answers: dict[str, torch.Tensor] = {}
    for name, batch in load_file("sounds.safetensors").items():
        features = [data.get_audio_features({}, sound, 480_000, "rand_trunc", "repeatpad", {}) for sound in batch]
        answers[f"padded.{name}"] = torch.stack([feature["waveform"] for feature in features])
        answers[f"audio.{name}"] = clap.get_audio_embedding(features)
    tokens = data.tokenizer(json.loads(Path("texts.json").read_text()))
    answers["tokens"] = tokens["input_ids"]
    answers["text"] = clap.get_text_embedding(dict(tokens))
    save_file({name: tensor.contiguous() for name, tensor in answers.items()}, "answers.safetensors")
    Path("surroundings.json").write_text(json.dumps(surroundings))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
