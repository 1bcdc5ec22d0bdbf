"""A recipe: everything that decides what a training run learns, apart from the clips.

    objective   supervised   every sound of a mixture is asked for, and compared with its stem
                weak         sounds are mixtures themselves, and are never heard alone
                semi         weak, and supervised on a share of the clips
    queries     what sounds are asked for with in supervised training; weak training asks with words

Written as a short yaml of differences (`recipe_file.py`), stored in what is exported.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from model.retrieval import How
from model.training.audio_queries import Exemplar
from model.training.loop import Schedule, TrainingPrecision
from model.training.manipulation_list import check_manipulations
from model.training.mixtures import MixtureSettings
from model.training.supervised import SupervisedSettings
from model.training.weak import WeakSettings

NetworkKind = Literal["compact_clapsep", "clapsep", "conditional_unet"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NetworkRecipe(_Section):
    """The network that is trained."""

    kind: NetworkKind = "compact_clapsep"
    config: dict[str, Any] = Field(
        default_factory=dict, description="fields of the network's configuration that differ from its defaults"
    )
    start: str | None = Field(
        default=None, description="a trained model (name or path) of the same shape to go on from"
    )
    encoder: str | None = Field(
        default=None,
        description="a mixture encoder to begin with: a .safetensors file, or 'towers' for the audio tower that embeds "
        "the queries, as in CLAPSep",
    )
    frozen_encoder: bool = Field(default=False, description="leave the mixture encoder as it is")
    lora_rank: int | None = Field(
        default=None,
        ge=1,
        description="train the encoder's attention by adapters of this rank (clapsep); 16 in CLAPSep",
    )

    @model_validator(mode="after")
    def _one_way_to_train_the_encoder(self) -> NetworkRecipe:
        if self.lora_rank is not None and self.kind != "clapsep":
            raise ValueError(f"lora_rank is for the attention of clapsep, and the network is {self.kind}; leave it out")
        if self.lora_rank is not None and self.frozen_encoder:
            raise ValueError("an encoder is frozen, or trained by adapters: give frozen_encoder or lora_rank")
        return self


class RetrievalRecipe(_Section):
    """How a sound looks up captions in a cache."""

    cache: str | None = Field(
        default=None, description="what `soundquarry captions cache` wrote; else captions are generated"
    )
    generated: int = Field(default=20_000, ge=1, description="captions that our grammar makes where there is no cache")
    template: str = Field(default="{}", description="what every caption is put into; that which a cache was made with")
    how: How = Field(default="softmax", description="top1, topk or softmax")
    k: int = Field(default=8, ge=1, description="captions that topk takes")
    temperature: float = Field(default=0.01, gt=0, description="of softmax")


class QueryRecipe(_Section):
    """What a sound is asked for with."""

    source: Literal["text", "audio", "blended", "text_or_audio", "retrieved"] = Field(
        default="blended",
        description="its caption; itself; a random blend of both; its caption where there is one, else itself; "
        "captions that are like it",
    )
    exemplar: Exemplar = Field(
        default="target",
        description="what is embedded for audio: the target, the target varied, or a sibling, which is any clip of its "
        "label",
    )
    audio_share: float = Field(
        default=1.0, ge=0, le=1, description="blended: share of the batches in which audio has a part"
    )
    manipulations: list[dict[str, Any]] = Field(
        default_factory=list, description="what is done to audio vectors, in order: [{embedding_dropout: 0.5}]"
    )
    retrieval: RetrievalRecipe = RetrievalRecipe()


class Recipe(_Section):
    """See the module's docstring."""

    about: str = Field(description="one sentence: what it is, and which paper it follows")
    objective: Literal["supervised", "weak", "semi"] = "supervised"
    towers: str = Field(
        default="mini", description="model (name or path) whose CLAP towers embed queries; they are not trained"
    )
    network: NetworkRecipe = NetworkRecipe()
    mixtures: MixtureSettings = MixtureSettings()
    queries: QueryRecipe = QueryRecipe()
    supervised: SupervisedSettings = SupervisedSettings()
    weak: WeakSettings = WeakSettings()
    single_share: float = Field(default=0.05, gt=0, le=1, description="semi: share of the clips that are heard alone")
    single_weight: float = Field(
        default=1.0, gt=0, description="semi: weight of the supervised part against the weak one"
    )
    schedule: Schedule = Schedule()
    precision: TrainingPrecision = Field(default="float32", description="float32, or bfloat16 under autocast")
    validation_mixtures: int = Field(
        default=64, ge=1, description="mixtures of held-out clips that every validation scores"
    )
    seed: int = Field(default=1, ge=0, description="of weights, mixtures and draws: same seed, same run")

    @model_validator(mode="after")
    def _the_network_takes_the_queries(self) -> Recipe:
        asked_by_negatives = self.supervised.sides.positive_only < 1.0 and self.objective != "weak"
        if self.network.kind == "conditional_unet" and asked_by_negatives:
            raise ValueError(
                "conditional_unet knows no negative queries; set supervised.sides.positive_only to 1 and negative_only "
                "to 0"
            )
        return self

    @model_validator(mode="after")
    def _silent_sounds_can_be_asked_for(self) -> Recipe:
        if self.mixtures.fewest_sounds in (None, self.mixtures.sounds):
            return self
        if self.objective != "supervised":
            raise ValueError(
                f"mixtures.fewest_sounds leaves sounds silent, which {self.objective} training cannot judge; leave it "
                "out"
            )
        if self.queries.source != "text" and self.queries.exemplar != "sibling":
            raise ValueError(
                "mixtures.fewest_sounds leaves sounds silent, and a silent sound cannot ask for itself; set "
                "queries.exemplar to sibling, or queries.source to text"
            )
        return self

    @model_validator(mode="after")
    def _parts_go_together(self) -> Recipe:
        if self.supervised.measured_on == "bands" and self.network.kind != "compact_clapsep":
            raise ValueError(
                f"supervised.measured_on is bands, and {self.network.kind} has no masks on mel bands; set it to "
                "waveforms"
            )
        if self.queries.exemplar == "sibling" and self.mixtures.parts > 1:
            raise ValueError(
                f"queries.exemplar is sibling, and a sound of {self.mixtures.parts} parts (mixtures.parts) has no "
                "label of its own; set mixtures.parts to 1, or another exemplar"
            )
        return self

    @model_validator(mode="after")
    def _everything_is_read(self) -> Recipe:
        queries, plain = self.queries, QueryRecipe()
        if self.objective != "supervised" and queries != plain:
            raise ValueError(f"{self.objective} training asks by words, so nothing reads queries; leave them out")
        if queries.manipulations and queries.source == "text":
            raise ValueError("queries.manipulations are done to audio vectors, and queries.source is text")
        check_manipulations(queries.manipulations)
        return self
