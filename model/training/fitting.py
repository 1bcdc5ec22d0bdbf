"""One training run in this process: a recipe, a library of clips and towers in, a trained network out.

    >>> from model.training.recipe_file import read_recipe                                      # doctest: +SKIP
    >>> fitted = fit(read_recipe("supervised_debug"), library, towers, StateFile(Path("run.pt")))  # doctest: +SKIP

The `train` command does the same on the workers of a Ray cluster (`workflows/training/worker.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.metrics import improvement, si_sdr, snr_sdr
from model.separator import Condition, MaskNetwork
from model.towers import Towers
from model.training.audio_queries import AudioQueries
from model.training.clips import ClipLibrary
from model.training.examples import Examples
from model.training.loop import SCORE, print_row, train
from model.training.mixtures import MixtureDraw
from model.training.networks import build_network
from model.training.peers import Alone, Peers
from model.training.query_texts import TextQueries
from model.training.recipe import Recipe
from model.training.schemes import Drawn, draws_of, parts_of, task_of
from model.training.text_or_audio_queries import TextOrAudioQueries
from model.training.training_state import Row, StateStore, TrainingState

VALIDATION_SEED = 20_240
VALIDATION_BATCH = 4
"""Mixtures of a validation depend on the clips, on their number and on their length alone."""


@dataclass(frozen=True)
class Fitted:
    """The network with its best weights, in eval mode, and how it got there."""

    network: MaskNetwork
    curve: list[Row]
    score: float | None
    """Of the best validation, in dB; None where nothing was validated."""


class Validation:
    """`validation(network)` scores a network on mixtures of clips that are not trained on.

    Every sound is asked for by its words, and by itself where it has none. "score" is the mean SI-SDR improvement in
    dB, "snr_sdri_db" that of the plain SNR.
    """

    def __init__(self, draw: MixtureDraw, mixtures: int, towers: Towers) -> None:
        batches = -(-mixtures // draw.settings.batch)
        self.examples = [draw(step) for step in range(batches)]
        self.mixtures = mixtures
        self.source = TextOrAudioQueries(TextQueries(towers), AudioQueries(towers))

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> Row:
        assert isinstance(network, MaskNetwork)
        device = next(network.parameters()).device
        scores = [self._scores(network, examples.to(device)) for examples in self.examples]
        si_sdri, snr_sdri = (torch.cat(values) for values in zip(*scores, strict=True))
        asked = self.mixtures * self.examples[0].sounds.shape[1]
        return {SCORE: float(si_sdri[:asked].mean()), "snr_sdri_db": float(snr_sdri[:asked].mean())}

    def _scores(self, network: MaskNetwork, examples: Examples) -> tuple[Tensor, Tensor]:
        vectors = self.source(examples, torch.Generator().manual_seed(0))  # (B, S, D)
        batch, count, samples = examples.sounds.shape
        wanted = vectors.flatten(0, 1)
        condition = Condition(torch.cat([wanted, torch.zeros_like(wanted)], dim=1))
        rows = torch.arange(batch, device=wanted.device).repeat_interleave(count)
        spectrum = network.analyse(examples.mixture[:, None])
        features = network.encode(examples.mixture, spectrum[:, 0]).select(rows)
        stems = network.render(network.mask(features, condition), spectrum[rows], samples)[:, 0]
        truth, heard = examples.sounds.flatten(0, 1), examples.mixture[rows]
        return improvement(si_sdr, stems, truth, heard), improvement(snr_sdr, stems, truth, heard)


def validation_of(recipe: Recipe, library: ClipLibrary, towers: Towers, sample_rate: int) -> Validation:
    """The validation of a recipe on clips of `library`: pairs of single clips, whatever the recipe mixes."""
    settings = type(recipe.mixtures)(batch=VALIDATION_BATCH, seconds=recipe.mixtures.seconds, vary=False)
    return Validation(MixtureDraw(library, settings, sample_rate, VALIDATION_SEED), recipe.validation_mixtures, towers)


def fit(
    recipe: Recipe,
    library: ClipLibrary,
    towers: Towers,
    store: StateStore,
    *,
    validation: ClipLibrary | None = None,
    on_log: Callable[[Row], None] = print_row,
    device: str = "cpu",
    network: MaskNetwork | None = None,
) -> Fitted:
    """Train a network by `recipe` on `library`, going on from what `store` holds. Clips are at the network's rate.

    `network` is trained where it is, from its present weights; without it the one that the recipe describes is made.
    Same arguments, same weights on a CPU.
    """
    network = (network or build_network(recipe.network, towers, recipe.seed)).to(device)
    towers = towers.to(device).eval().requires_grad_(False)
    draws = draws_of(recipe, library, network.sample_rate)
    state = train_parts(
        recipe,
        network,
        towers,
        draws,
        lambda step: tuple(draw(step).to(device) for draw in draws),
        store,
        validate=None if validation is None else validation_of(recipe, validation, towers, network.sample_rate),
        on_log=on_log,
    )
    return fitted_of(state)


def train_parts(
    recipe: Recipe,
    network: MaskNetwork,
    towers: Towers,
    draws: tuple[MixtureDraw, ...],
    drawn: Callable[[int], Drawn],
    store: StateStore,
    *,
    validate: Validation | None = None,
    on_log: Callable[[Row], None] = print_row,
    peers: Peers = Alone(),  # noqa: B008 - holds nothing
) -> TrainingState:
    """The loop on the objective of a recipe; `drawn(step)` brings the examples, on the network's device."""
    parts = parts_of(recipe, network, towers, draws[0])
    return train(
        network,
        task_of(parts, drawn, recipe.seed, peers.rank),
        recipe.schedule,
        store,
        validate=validate,
        on_log=on_log,
        precision=recipe.precision,
        peers=peers,
    )


def fitted_of(state: TrainingState) -> Fitted:
    """What a finished run leaves."""
    network = state.best_module()
    assert isinstance(network, MaskNetwork)
    return Fitted(network, state.curve, state.best_score)
