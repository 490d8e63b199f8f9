"""The bounds of all rules in one value, each with its reason.

They are factors between numbers of one run, hardly ever absolute sizes: what is small for one network is
large for another. Where a bound was measured, the measured networks are those of the tests of this room.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is still taken for healthy.

    Attributes:
        rows: a condition must hold for as many measurements before it is told. Ten batches in a row are
            no accident of one batch.
        gap: measurements within a condition that may miss it, in a row: a batch that happens to be fine does
            not end what is wrong.
        vanish_below: a weight's gradient norm as a share of the network's large ones (the upper tenth).
            Healthy networks were measured down to 1e-4 (query and key weights of a transformer whose
            learning rate is still near 0); eight sigmoid layers reach 1e-7.
        vanish_bad: the same share, where nothing is left to learn from: below the resolution of float32.
        vanish_past: the same as a factor to the layer's own usual share. A layer that fell by a thousand against
            the others has stopped, whatever it began with.
        vanish_own: the same weight's own gradient norm, as a share of its usual one: what stays as it was while the
            others explode has not fallen.
        idle_steps: steps in a row whose loss gives no gradient to anything, before that is told: a reward may be rare.
        explode_growth: growth of a gradient norm over everything that it was before, while the loss rises.
            Warm-up, a new batch and a restart of the learning rate stay within three times of the
            run's own largest.
        explode_unknown: the same where the loss neither rises nor falls, or none is logged.
        explode_learning: the same while the loss falls: a network that leaves its first plateau was measured
            at 33.
        explode_rows: such growth must last as many measurements: one hard batch is over in one.
        explode_window: growth is looked for over at most as many steps; a norm that takes longer to grow drifts.
        explode_level: the grown norm over the network's median before: what was all but zero (a head that
            begins at zero) may grow as much as it likes until it is larger than the others.
        explode_profile: a weight's gradient norm over that of the layers next to the loss, without any past. The
            spread of healthy networks stays below a hundred.
        explode_calm: it is over below this share of the bound that was crossed: a gradient that hovers at its bound
            is one explosion, not many.
        lost_growth: a number in the last measurements before a value was lost, over its usual size: above, the network
            ran away. Before a value that was lost at once the gradient's norm was measured at 1.4 times its median
            (a log of 0, an overflow of float16), in a recurrent network that ran away at 1e9 times.
        rounding_gap: a gradient norm over the next larger one, below which it may be the rounding of a zero: float32
            resolves 1e-7, and a head whose gradient is zero by mathematics was measured at 1e-8 of its neighbours.
        rounding_level: and such a norm by itself: losses are means, whose gradient begins at about 1.
        update_large: step over weight. Above, a tenth of the layer is replaced at every step; Adam with a
            usual rate gives 1e-4 to 5e-2, the latter for weights of a new small transformer.
        update_bad: a layer that is replaced at every step.
        update_rows: such steps in a row before it is told: a large first step is how warm-up ends.
        update_small: the largest step over weight of a whole run, below which nothing was learnt: about the
            resolution of float32, below which the addition itself has no effect.
        update_share: the same against the network's median, for a layer that stays behind.
        dead_share: share of units that are 0 over a whole batch; healthy networks were measured at up to 0.65.
        dead_bad: the same, where next to nothing gets through.
        dead_steady: the share from which on dead units are a note where their number is the same at one measurement after
            another: they are the same units then. Of healthy networks with many units that are 0 the number changes.
        dead_steady_rows: such measurements in a row.
        dead_units: units of an output from which a share of them says something; of fewer, all must be dead.
        dead_samples: values of each unit in a batch from which its silence tells something: of a unit that
            fires once in ten, sixteen zeros in a row are seen in one batch of five, and never ten times.
        dead_zeros: the share of zeros of an output that says nothing at all, however few values there are of a unit.
        saturated_share: share of values in the flat part of a nonlinearity.
        saturated_bad: the same, where next to nothing gets back through.
        absent_steps: steps without a gradient before a parameter counts as without one: experts and
            branches that are not taken at every step get theirs once in a while.
        merge_ratio: gradient norm that comes by one path over that of all others together. Queries against
            values at the start of an attention layer were measured at 2e2.
        clip_steps: clipped steps in a row until it is worth a note.
        clip_factor: the median factor that clipping takes away; a transformer's first hundred steps at the
            usual bound of 1.0 are clipped by 2 to 5.
        clip_always: the share of steps that is as good as always.
        clip_idle: the norm, as a share of the bound, below which clipping is a wall far away.
        spike_scores: rise of the loss over its running median, in robust standard deviations. Losses of single
            samples are about exponential: 8 is one in three thousand.
        spike_share: the rise as a share of what the run has gained so far: a restart of the learning
            rate moves a converged loss by many of its deviations, and by nothing that counts.
        spike_rows: measurements out of five that must be up there.
        spike_past: measurements that the running median looks back over.
        diverged: how far the loss is above its first value, as a share of what the run had gained.
        skip_share: share of steps that a gradient scaler skips. It tries a larger scale every 2000 steps;
            the first dozen may be skipped until it has found its own.
        skip_window: newest steps among which skipped ones are counted.
        skip_first: skipped steps that any start may have: from 65536 a scaler halves its scale a few times.
        rank_steps: steps that a rank may be behind the first: records of one moment reach the disk apart.
        rank_seconds: and how much older its newest record must be.
        rank_gone: steps that a rank whose process is gone may be behind: the last records go with it.
        rank_slow: median time of a rank over that of the median rank.
        rank_differs: relative difference of norms that a reduction has just made equal, bit for bit.
        most: findings of one rule; the rest is named in the last one.
    """

    rows: int = 10
    gap: int = 2
    vanish_below: float = 1e-5
    vanish_bad: float = 1e-8
    vanish_past: float = 1e-3
    vanish_own: float = 0.1
    idle_steps: int = 40
    explode_growth: float = 10.0
    explode_unknown: float = 100.0
    explode_learning: float = 1000.0
    explode_rows: int = 3
    explode_window: int = 500
    explode_level: float = 3.0
    explode_profile: float = 1e4
    explode_calm: float = 0.3
    lost_growth: float = 100.0
    rounding_gap: float = 1e-6
    rounding_level: float = 1e-7
    update_large: float = 0.1
    update_bad: float = 1.0
    update_rows: int = 20
    update_small: float = 1e-7
    update_share: float = 1e-4
    dead_share: float = 0.75
    dead_bad: float = 0.99
    dead_steady: float = 0.5
    dead_steady_rows: int = 20
    dead_units: int = 16
    dead_samples: int = 16
    dead_zeros: float = 0.999
    saturated_share: float = 0.8
    saturated_bad: float = 0.98
    absent_steps: int = 100
    merge_ratio: float = 3e3
    clip_steps: int = 100
    clip_factor: float = 10.0
    clip_always: float = 0.98
    clip_idle: float = 0.1
    spike_scores: float = 8.0
    spike_share: float = 0.15
    spike_rows: int = 3
    spike_past: int = 50
    diverged: float = 0.5
    skip_share: float = 0.1
    skip_window: int = 200
    skip_first: int = 5
    rank_steps: int = 20
    rank_seconds: float = 10.0
    rank_gone: int = 5
    rank_slow: float = 1.5
    rank_differs: float = 1e-4
    most: int = 100


USUAL = Bounds()
